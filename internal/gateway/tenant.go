package gateway

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"volley/internal/intake"
)

// Tenant is a caller of this gateway, as one of its keys.
type Tenant struct {
	intake.Caller
	// key is the one that it is known by.
	key intake.Key

	// submits and reads are nil where there is no limit, and else those of all its keys.
	submits, reads *rate.Limiter
}

// tenants finds callers by their keys. There is one for each key.
type tenants struct {
	all []*Tenant
	// named are those of people's requests, by name.
	named map[string]*Tenant
}

func newTenants(list []intake.Caller) *tenants {
	out := &tenants{named: map[string]*Tenant{}}
	for _, c := range list {
		submits, reads := limiterOf(c.Rate), limiterOf(c.ReadRate)
		// A tenant that reads too much must not keep people from looking at it.
		out.named[c.Tenant] = &Tenant{Caller: c, submits: submits}
		for _, key := range c.Keys {
			out.all = append(out.all, &Tenant{Caller: c, key: key, submits: submits, reads: reads})
		}
	}
	return out
}

// limiterOf lets so much in a second, and as much at once; 0 is no limit.
func limiterOf(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}

// of finds the caller with a key. It takes the same time whichever key it is, and
// whether there is one or not.
func (ts *tenants) of(key string) *Tenant {
	if key == "" {
		return nil
	}
	given := intake.HashKey(key)
	var found *Tenant
	for _, t := range ts.all {
		if subtle.ConstantTimeCompare(given[:], t.key.Hash[:]) == 1 {
			found = t
		}
	}
	return found
}

// has reports whether the tenant may use an account.
func (t *Tenant) has(account string) bool {
	return t.Accounts == nil || slices.Contains(t.Accounts, account)
}

// admit counts n calls and returns how long to wait where there are too many; 0 is that
// they may go on.
func admit(l *rate.Limiter, now time.Time, n int) time.Duration {
	if l == nil {
		return 0
	}
	r := l.ReserveN(now, min(n, l.Burst()))
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// credential is the key in an Authorization header of a scheme; empty is none.
func credential(r *http.Request, scheme string) string {
	given, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(given, scheme) {
		return ""
	}
	return strings.TrimSpace(key)
}

func bearer(r *http.Request) string { return credential(r, "Bearer") }
