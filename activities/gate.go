package activities

import (
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
	// maxWindow is how many messages a group's heartbeat lets leave at most, unless
	// that is less than what leaves within a second divided by windowParts; then it
	// is that, up to fastWindow.
	maxWindow   = 100
	windowParts = 20
	fastWindow  = 250
	// blindWindow is that of an account whose provider cannot be asked what became of
	// a message: whatever is in doubt there stays unknown.
	blindWindow = 20
)

// gate bounds the requests of one account in this process. Single messages and
// groups take turns at it in the order in which they come. The server's own rate
// for the queue of single messages holds across workers; for groups it is the sum
// of the gates that does.
type gate struct {
	concurrency int
	blind       bool // its provider cannot be asked
	slots       *semaphore.Weighted
	// rate is the account's over all processes; without one, limiter is nil.
	rate    float64
	limiter *rate.Limiter
	// turn belongs to the one that waits for the limiter, so that a new share counts
	// for all that wait behind it; waiting is how many wait for either.
	turn    *semaphore.Weighted
	waiting atomic.Int64

	mu sync.Mutex
	// open is closed unless the gate is held.
	open chan struct{}
	// groups is how many groups have messages to start, messages how many single ones
	// have yet to start.
	groups, messages backlog
	// second is the one in which current answers have come; before it there were
	// last.
	second, current, last int64
}

func newGate(a provider.Account) *gate {
	g := &gate{
		concurrency: a.Concurrency, rate: a.Rate, blind: !a.Policy().Reconciles, turn: semaphore.NewWeighted(1),
		open: make(chan struct{}),
	}
	close(g.open)
	if g.concurrency <= 0 {
		g.concurrency = defaultConcurrency
	}
	g.slots = semaphore.NewWeighted(int64(g.concurrency))
	if a.Rate > 0 {
		g.limiter = rate.NewLimiter(rate.Limit(a.Rate), burst(a.Rate))
	}
	return g
}

// gate is the account's.
func (a *Activities) gate(account string) *gate {
	if g, ok := a.gates[account]; ok {
		return g
	}
	return a.other
}

// Share gives this process its part of an account's rate when so many processes
// send through it; fewer than one counts as one. An account without a rate has
// none to share.
func (a *Activities) Share(account string, processes int) { a.gate(account).share(processes) }

func (g *gate) share(processes int) {
	if g.limiter == nil {
		return
	}
	part := g.rate / float64(max(processes, 1))
	g.limiter.SetLimit(rate.Limit(part))
	g.limiter.SetBurst(burst(part))
}

// burst is how many requests may leave at once: a twentieth of a second's worth,
// where the server lets a whole second's through.
func burst(rate float64) int { return max(1, int(rate/20)) }

// Hold keeps every request of an account with a rate waiting until Release: a
// process that has come is not counted yet by those that were there.
func (a *Activities) Hold(account string) {
	g := a.gate(account)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held() || g.limiter == nil {
		return
	}
	g.open = make(chan struct{})
}

// Release ends what Hold began.
func (a *Activities) Release(account string) {
	g := a.gate(account)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held() {
		close(g.open)
	}
}

func (g *gate) held() bool {
	select {
	case <-g.open:
		return false
	default:
		return true
	}
}

// Starting has calls made, now and whenever it changes, with how many groups and how
// many single messages of an account this process has that have something to start,
// be it that they wait for their turn. They must not block.
func (a *Activities) Starting(account string, groups, messages func(n int)) {
	g := a.gate(account)
	g.groups.tell(groups)
	g.messages.tell(messages)
}

// backlog counts what this process has yet to start.
type backlog struct {
	mu   sync.Mutex
	n    int
	told func(n int)
}

func (b *backlog) tell(told func(n int)) {
	b.mu.Lock()
	b.told = told
	b.mu.Unlock()
	b.add(0)
}

func (b *backlog) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
	if b.told != nil {
		b.told(b.n)
	}
}

// enter waits for a turn. After a nil error the caller makes its request and then
// leaves. It fails when ctx ends, and at once when ctx would end before the turn.
func (g *gate) enter(ctx context.Context) error {
	if !g.slots.TryAcquire(1) {
		if err := g.slots.Acquire(ctx, 1); err != nil {
			return err
		}
	}
	if g.limiter == nil {
		return nil
	}
	if err := g.pace(ctx); err != nil {
		g.slots.Release(1)
		return err
	}
	return nil
}

// pace waits until the share of the rate allows one more request.
func (g *gate) pace(ctx context.Context) error {
	before := g.waiting.Add(1) - 1
	defer g.waiting.Add(-1)
	if end, ok := ctx.Deadline(); ok && time.Until(end).Seconds()*float64(g.limiter.Limit()) < float64(before)-1 {
		return context.DeadlineExceeded
	}
	if err := g.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer g.turn.Release(1)
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return g.limiter.Wait(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) leave() { g.slots.Release(1) }

// answered counts an answer.
func (g *gate) answered(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tick(now)
	g.current++
}

func (g *gate) tick(now time.Time) {
	switch second := now.Unix(); second {
	case g.second:
	case g.second + 1:
		g.second, g.last, g.current = second, g.current, 0
	default:
		g.second, g.last, g.current = second, 0, 0
	}
}

// window is how many messages of a group may leave on one heartbeat: those that
// may be under way at once or that leave within a second, whichever is more, but
// no more than the rate allows in a second. It is what a worker that dies leaves
// in doubt.
func (g *gate) window(now time.Time) int {
	g.mu.Lock()
	g.tick(now)
	last, current := g.last, g.current
	g.mu.Unlock()
	n := max(int64(g.concurrency), last, current)
	n = min(n, max(maxWindow, min(max(last, current)/windowParts, fastWindow)))
	if g.blind {
		n = min(n, blindWindow)
	}
	if g.limiter != nil {
		n = min(n, int64(g.limiter.Limit()))
	}
	return int(max(n, 1))
}
