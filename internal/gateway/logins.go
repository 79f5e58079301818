package gateway

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// Bounds of how fast one address is told that its keys are wrong.
const (
	// wrongKeys are answered at once; then there is one answer a second.
	wrongKeys = 20
	// wrongKeyWait is the longest that such an answer takes.
	wrongKeyWait = 5 * time.Second
	// maxAddresses is how many addresses are told apart; others are slowed down together.
	maxAddresses = 10_000
)

// logins slows down whoever guesses keys, by the address that the guesses come from: a
// host, or a network of IPv6. Who has a key is never slowed down.
type logins struct {
	mu   sync.Mutex
	from map[netip.Prefix]*guesser
	// swept is when addresses that are quiet were last forgotten.
	swept time.Time
}

type guesser struct {
	answers *rate.Limiter
	// slowed means that the log has been told.
	slowed bool
}

// failed counts a wrong key and returns how long its answer has to wait; first is true
// where answers from there begin to.
func (l *logins) failed(from netip.Prefix, now time.Time) (wait time.Duration, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from == nil {
		l.from = map[netip.Prefix]*guesser{}
	}
	if _, known := l.from[from]; !known && len(l.from) >= maxAddresses {
		if l.sweep(now); len(l.from) >= maxAddresses {
			from = netip.Prefix{}
		}
	}
	g := l.from[from]
	if g == nil {
		g = &guesser{answers: rate.NewLimiter(1, wrongKeys)}
		l.from[from] = g
	}
	r := g.answers.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > wrongKeyWait {
		r.CancelAt(now)
		wait = wrongKeyWait
	}
	first = wait > 0 && !g.slowed
	g.slowed = wait > 0
	return wait, first
}

// sweep forgets the addresses from which no wrong key has come for a while, at most once
// a second.
func (l *logins) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for from, g := range l.from {
		if g.answers.TokensAt(now) >= wrongKeys {
			delete(l.from, from)
		}
	}
}

// wrongKey counts a request with a wrong key or password, and waits before it may be
// answered.
func (g *Gateway) wrongKey(r *http.Request) {
	g.o.CountFailedLogin(r.Pattern)
	failedLogin(r)
	from := addressOf(r)
	wait, first := g.logins.failed(from, g.o.Now())
	if first {
		g.o.Log.Warn("an address gives keys that are not known, and is slowed down", zap.Stringer("from", from))
	}
	if wait == 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-g.leaving:
	}
}

// addressOf is where a request comes from: a host of IPv4, or a network of IPv6, of which
// one host may have every address.
func addressOf(r *http.Request) netip.Prefix { return networkOf(r.RemoteAddr) }

// networkOf is the same for a host and port.
func networkOf(hostport string) netip.Prefix {
	at, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 64
	ip := at.Addr().Unmap().WithZone("")
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits) // both lengths are possible
	return p
}
