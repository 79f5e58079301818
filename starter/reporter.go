package starter

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"volley/internal/message"
)

// maxGathered is how many reports a Reporter holds at once; those who bring more wait.
const maxGathered = 50_000

// Reporter takes delivery reports in as Starter.Report does, and gathers those of a
// batch for a while (Options.ReportGather), so that many callbacks become one signal. It is safe for
// concurrent use.
type Reporter struct {
	s    *Starter
	room *semaphore.Weighted

	mu      sync.Mutex
	pending map[string]*gathering // by workflow id
	closed  bool
	running sync.WaitGroup
}

// gathering are reports of one batch that go into one signal.
type gathering struct {
	home    *home
	reports []message.Report
	size    int
	timer   *time.Timer
	done    chan struct{} // closed once err says what became of them
	err     error
}

// NewReporter returns a Reporter. Close ends it.
func (s *Starter) NewReporter() *Reporter {
	return &Reporter{s: s, room: semaphore.NewWeighted(maxGathered), pending: map[string]*gathering{}}
}

// Add takes reports in. It returns when they are durable, which takes about a second,
// or with an error, after which they can be given again: those of Starter.Report, or
// ctx's. Some of them may then have been taken, which does no harm.
func (r *Reporter) Add(ctx context.Context, reports []message.Report) (ReportOutcome, error) {
	var out ReportOutcome
	groups, err := r.s.grouped(ctx, reports, &out)
	if err != nil {
		return out, err
	}
	waits := map[*gathering]int{}
	for h, all := range groups {
		for _, some := range signals(all) {
			if err := r.room.Acquire(ctx, int64(len(some))); err != nil {
				return out, err
			}
			waits[r.gather(h, some)] += len(some)
		}
	}
	for g, n := range waits {
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-g.done:
		}
		if g.err != nil {
			err = g.err
			continue
		}
		out.Accepted += n
	}
	return out, err
}

// gather puts reports with others of their batch, which leave in a while, or at once
// where no more fit in.
func (r *Reporter) gather(h *home, some []message.Report) *gathering {
	size := 0
	for i := range some {
		size += sizeOf(&some[i])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.pending[h.wid]
	if g != nil && (len(g.reports)+len(some) > message.MaxReports || g.size+size > maxSignal) {
		r.leave(g)
		g = nil
	}
	if g == nil {
		g = &gathering{home: h, done: make(chan struct{})}
		r.pending[h.wid] = g
		g.timer = time.AfterFunc(r.s.o.ReportGather, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.leave(g)
		})
	}
	g.reports, g.size = append(g.reports, some...), g.size+size
	if r.closed || len(g.reports) == message.MaxReports {
		r.leave(g)
	}
	return g
}

// leave sends what was gathered; the caller holds the lock.
func (r *Reporter) leave(g *gathering) {
	if r.pending[g.home.wid] != g {
		return // it has left
	}
	delete(r.pending, g.home.wid)
	g.timer.Stop()
	send := func() {
		defer close(g.done)
		defer r.room.Release(int64(len(g.reports)))
		// Several callers wait for it, and none of them takes it back.
		g.err = r.s.deliver(context.Background(), g.home, g.reports)
	}
	if r.closed {
		go send()
		return
	}
	r.running.Go(send)
}

// Close sends what was gathered and waits for it. What is added afterwards is sent
// at once.
func (r *Reporter) Close() {
	r.mu.Lock()
	for _, g := range r.pending {
		r.leave(g)
	}
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}
