package reports

import (
	"context"
	"fmt"
	"sync"
	"time"

	"volley/internal/message"
	"volley/starter/internal/server"
)

// Reporter takes delivery reports in as Intake.Report does, and gathers those of a
// batch for a while (Options.Gather), so that many callbacks become one signal. It holds what
// its callers wait for, whose number they bound. It is safe for concurrent use.
type Reporter struct {
	s *Intake

	mu      sync.Mutex
	pending map[string]*pendingBatch // by workflow id
	closed  bool
	running sync.WaitGroup
}

// pendingBatch are reports of one batch that go into one signal.
type pendingBatch struct {
	to      *destination
	reports []message.Report
	size    int
	timer   *time.Timer
	done    chan struct{} // closed once err says what became of them
	err     error
}

// NewReporter returns a Reporter. Close ends it.
func (s *Intake) NewReporter() *Reporter {
	return &Reporter{s: s, pending: map[string]*pendingBatch{}}
}

// Add takes reports in. It returns when they are durable, which takes about a second,
// or with an error, after which they can be given again: those of Intake.Report, or
// ctx's. Some of them may then have been taken, which does no harm.
func (r *Reporter) Add(ctx context.Context, reports []message.Report) (out Outcome, err error) {
	places, err := r.s.find(ctx, reports)
	if err != nil {
		return out, err
	}
	now, waits := r.s.Now(), map[*pendingBatch]int{}
	r.mu.Lock()
	for i := range reports {
		k, _, _ := message.ParseID(reports[i].ID)
		switch to := places[k].believed(now); {
		case to != nil:
			waits[r.gather(to, reports[i].Bounded())]++
		case places[k].unlisted(&reports[i], now):
			err = fmt.Errorf("report of message %s: no batch of it is listed yet: %w", reports[i].ID, server.ErrReportAgain)
		default:
			out.Foreign++
		}
	}
	for g := range waits {
		if r.closed {
			r.send(g)
		}
	}
	r.mu.Unlock()
	for g, n := range waits {
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-g.done:
		}
		if g.err != nil {
			err = g.err
		} else {
			out.Accepted += n
		}
	}
	return out, err
}

// gather puts a report with others of its batch, which leave in a while, or at once
// where no more fit in; the caller holds the lock.
func (r *Reporter) gather(to *destination, p message.Report) *pendingBatch {
	g := r.pending[to.wid]
	if g != nil && g.size+p.Size() > maxSignal {
		r.send(g)
		g = nil
	}
	if g == nil {
		g = &pendingBatch{to: to, done: make(chan struct{})}
		r.pending[to.wid] = g
		g.timer = time.AfterFunc(r.s.o.Gather, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.send(g)
		})
	}
	g.reports, g.size = append(g.reports, p), g.size+p.Size()
	if len(g.reports) == message.MaxReports {
		r.send(g)
	}
	return g
}

// send sends what was gathered, unless it has left; the caller holds the lock.
func (r *Reporter) send(g *pendingBatch) {
	if r.pending[g.to.wid] != g {
		return
	}
	delete(r.pending, g.to.wid)
	g.timer.Stop()
	deliver := func() {
		defer close(g.done)
		// Several callers wait for it, and none of them takes it back.
		g.err = r.s.deliver(context.Background(), g.to, g.reports, g.size)
	}
	if r.closed {
		go deliver()
		return
	}
	r.running.Go(deliver)
}

// Close sends what was gathered and waits for it. What is added afterwards is sent
// at once.
func (r *Reporter) Close() {
	r.mu.Lock()
	for _, g := range r.pending {
		r.send(g)
	}
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}
