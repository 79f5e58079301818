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

// Tenant is a caller of this gateway.
type Tenant struct {
	intake.Caller

	limiter *rate.Limiter
}

// tenants finds callers by their keys.
type tenants struct{ all []*Tenant }

func newTenants(list []intake.Caller) *tenants {
	out := &tenants{}
	for _, c := range list {
		t := &Tenant{Caller: c}
		if t.Rate > 0 {
			t.limiter = rate.NewLimiter(rate.Limit(t.Rate), max(1, int(t.Rate)))
		}
		out.all = append(out.all, t)
	}
	return out
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
		for i := range t.Keys {
			if subtle.ConstantTimeCompare(given[:], t.Keys[i][:]) == 1 {
				found = t
			}
		}
	}
	return found
}

// uses reports whether the tenant may use a dialect.
func (t *Tenant) uses(dialect string) bool {
	return t.Dialects == nil || slices.Contains(t.Dialects, dialect)
}

// has reports whether the tenant may use an account.
func (t *Tenant) has(account string) bool {
	return t.Accounts == nil || slices.Contains(t.Accounts, account)
}

// admit counts a submit and returns how long to wait where there are too many; 0 is
// that it may go on.
func (t *Tenant) admit(now time.Time) time.Duration {
	if t.limiter == nil {
		return 0
	}
	r := t.limiter.ReserveN(now, 1)
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
