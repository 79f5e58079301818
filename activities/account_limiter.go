package activities

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"volley/internal/provider"
)

const (
	defaultConcurrency = 64
	// A heartbeat lets one part in windowParts of what leaves in a second leave, at least
	// minWindow messages and at most maxWindow.
	windowParts = 10
	minWindow   = 10
	maxWindow   = 250
	// cannotReconcileWindow is the most for an account whose provider cannot be asked
	// what became of a message: whatever is in doubt there stays unknown.
	cannotReconcileWindow = 20
)

// accountLimiter bounds the requests of one account in this process. Single messages
// and groups take turns in the order in which they come. For single messages the
// server keeps the rate across workers; for groups the sum of the limiters does.
type accountLimiter struct {
	concurrency     int
	cannotReconcile bool // its provider cannot be asked
	slots           *semaphore.Weighted
	// rate is the account's over all processes; without one, pacer is nil.
	rate  float64
	pacer *rate.Limiter
	// turn belongs to the one that waits for pacer, so that a new share counts
	// for all that wait behind it, or to Hold; waiting is how many wait for either.
	turn    *semaphore.Weighted
	waiting atomic.Int64
	held    atomic.Bool
	// underWay is how many requests are, and ended when the last one was, in Unix ns.
	underWay, ended atomic.Int64

	mu sync.Mutex
	// second is the one in which current answers have come; before it there were
	// last.
	second, current, last int64
}

func newAccountLimiter(a provider.Account) *accountLimiter {
	l := &accountLimiter{
		concurrency: cmp.Or(a.Concurrency, defaultConcurrency), rate: a.Rate, cannotReconcile: !a.Policy().Reconciles,
		turn: semaphore.NewWeighted(1),
	}
	l.slots = semaphore.NewWeighted(int64(l.concurrency))
	if a.Rate > 0 {
		l.pacer = rate.NewLimiter(rate.Limit(a.Rate), burst(a.Rate))
	}
	return l
}

// limiter is the account's.
func (a *Activities) limiter(account string) *accountLimiter {
	if l, ok := a.limiters[account]; ok {
		return l
	}
	return a.otherAccounts
}

// Share gives this process its part of an account's rate when so many processes
// send through it; fewer than one counts as one. An account without a rate has
// none to share.
func (a *Activities) Share(account string, processes int) {
	if l := a.limiter(account); l.pacer != nil {
		part := l.rate / float64(max(processes, 1))
		l.pacer.SetLimit(rate.Limit(part))
		l.pacer.SetBurst(burst(part))
	}
}

// burst is how many requests may leave at once: a twentieth of a second's worth,
// where the server lets a whole second's through.
func burst(rate float64) int { return max(1, int(rate/20)) }

// Hold keeps every request of an account with a rate waiting until Release: a
// process that has come is not counted yet by those that were there.
func (a *Activities) Hold(account string) {
	if l := a.limiter(account); !l.held.Swap(true) {
		_ = l.turn.Acquire(context.Background(), 1) // never fails
	}
}

// Release ends what Hold began.
func (a *Activities) Release(account string) {
	if l := a.limiter(account); l.held.Swap(false) {
		l.turn.Release(1)
	}
}

// acquire waits for a turn. After a nil error the caller makes its request and then
// releases. It fails when ctx ends, and at once when ctx would end before the turn.
func (l *accountLimiter) acquire(ctx context.Context) error {
	if !l.slots.TryAcquire(1) {
		if err := l.slots.Acquire(ctx, 1); err != nil {
			return err
		}
	}
	err := l.pace(ctx)
	if err != nil {
		l.slots.Release(1)
		return err
	}
	l.underWay.Add(1)
	return nil
}

// pace waits until the share of the rate allows one more request.
func (l *accountLimiter) pace(ctx context.Context) error {
	if l.pacer == nil {
		return nil
	}
	before := l.waiting.Add(1) - 1
	defer l.waiting.Add(-1)
	if end, ok := ctx.Deadline(); ok && time.Until(end).Seconds()*float64(l.pacer.Limit()) < float64(before)-1 {
		return context.DeadlineExceeded
	}
	if err := l.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer l.turn.Release(1)
	return l.pacer.Wait(ctx)
}

func (l *accountLimiter) release() {
	l.ended.Store(time.Now().UnixNano())
	l.underWay.Add(-1)
	l.slots.Release(1)
}

// Sending reports whether a request of this process is under way, or was a moment ago, so
// that what is not urgent leaves it the machine.
func (a *Activities) Sending(within time.Duration) bool {
	since := a.now().Add(-within).UnixNano()
	sends := func(l *accountLimiter) bool { return l.underWay.Load() > 0 || l.ended.Load() > since }
	for _, l := range a.limiters {
		if sends(l) {
			return true
		}
	}
	return sends(a.otherAccounts)
}

// countAnswer notes that an answer has come, for window.
func (l *accountLimiter) countAnswer(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.startSecond(now)
	l.current++
}

func (l *accountLimiter) startSecond(now time.Time) {
	if second := now.Unix(); second != l.second {
		if second != l.second+1 {
			l.current = 0
		}
		l.second, l.last, l.current = second, l.current, 0
	}
}

// window is how many messages of a group may leave on one heartbeat: those that leave in
// some 100 ms, as fast as answers have come lately, or may be under way at once where none
// have; no more than the rate allows in a second. It is what a group leaves in doubt whose
// worker dies.
func (l *accountLimiter) window(now time.Time) int {
	l.mu.Lock()
	l.startSecond(now)
	lately := max(l.last, l.current)
	l.mu.Unlock()
	n := max(lately/windowParts, minWindow)
	if lately == 0 {
		n = int64(l.concurrency)
	}
	n = min(n, maxWindow)
	if l.cannotReconcile {
		n = min(n, cannotReconcileWindow)
	}
	if l.pacer != nil {
		n = min(n, int64(l.pacer.Limit()))
	}
	return int(max(n, 1))
}
