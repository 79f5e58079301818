package engine

import (
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/internal/flow"
)

// loop carries the batch until all messages have ended, or until the run is to continue
// as new, which it reports.
func (r *run) loop() (again bool) {
	canceled := r.Root.Done()
	for _, l := range r.accounts {
		r.awaitRelease(l) // the run before may have left it held
	}
	for {
		flow.Yield(r.Work) // what a signal asks for comes before anything else leaves
		if r.Root.Err() != nil && canceled != nil {
			canceled = nil
			all, _ := r.targets(nil)
			r.stop(all, message.CancelRequest{Reason: "canceled through Temporal"})
		}
		r.promote(r.Now())
		r.startWorkers()
		r.show()
		r.reportFirstAttempts()
		if r.counts.Open() == 0 {
			r.close()
			return false
		}
		at := int64(0) // once it drains, only what is under way is waited for
		if !r.draining {
			r.signaler.Signal(r.Now(), r.State(), r.finalChanges)
			at = r.signaler.NextSignal(r.nextTime(), r.State(), r.finalChanges)
			if r.grown() {
				r.drain()
				at = 0
			}
		}
		if r.draining && r.drained() {
			return true
		}
		r.Sleep(at, canceled)
	}
}

// grown reports whether the history is as long as one run's may be.
func (r *run) grown() bool {
	info := workflow.GetInfo(r.Root)
	return info.GetCurrentHistoryLength() >= maxEvents ||
		info.GetCurrentHistorySize() >= maxHistory || r.Updates() >= maxUpdates
}

// drain lets the run come to its end: nothing new starts, and what waits in a
// queue comes back, so that only what has left is waited for.
func (r *run) drain() {
	r.draining = true
	for _, t := range r.inFlight {
		if t != nil {
			t.withdraw()
		}
	}
}

// drained reports whether nothing is under way, so that the run may be left. What
// signals had asked for until now is done first.
func (r *run) drained() bool {
	if !r.idle() {
		return false
	}
	flow.Yield(r.Work)
	return r.idle() && !r.Drain() && r.idle() && r.telling == 0 && r.signaler.Idle()
}

func (r *run) idle() bool {
	return r.running == 0 && r.Idle()
}

// close waits for those who still wait for an answer, and shows and tells the end.
func (r *run) close() {
	r.settle()
	r.Finished = r.Now()
	r.Disarm()
	r.show()
	for r.signaler.End(r.State(), r.finalChanges) {
		r.settle()
	}
}

// settle waits until nobody waits for an answer and no signal is left.
func (r *run) settle() {
	for {
		_ = workflow.Await(r.Work, r.idle)
		if !r.Drain() {
			return
		}
	}
}

// startWorkers hands ready messages to coroutines while there is room.
func (r *run) startWorkers() {
	for r.running < r.limit {
		t := r.take()
		if t == nil {
			return
		}
		r.running++
		workflow.Go(r.Work, func(ctx workflow.Context) { r.worker(ctx, t) })
	}
}

// worker takes messages one after the other to their answers.
func (r *run) worker(ctx workflow.Context, t *inflight) {
	for ; t != nil; t = r.take() {
		switch {
		case t.question:
			r.reconcile(ctx, t)
		case t.group:
			r.sendGroup(ctx, t)
		default:
			r.attempt(ctx, t)
		}
	}
	r.running--
	r.Wake()
}

// nextTime is the next time for which nothing else wakes the run, rounded up; 0
// is none.
func (r *run) nextTime() int64 {
	var at int64
	sooner := func(t int64) {
		if at == 0 || t < at {
			at = t
		}
	}
	if s, ok := r.due.top(r.standsDue); ok {
		sooner(s.at)
	}
	if s, ok := r.expiry.top(r.standsExpiry); ok {
		sooner(s.at)
	}
	for _, l := range r.accounts {
		// A probe that could leave now waits for a free slot, which wakes the run.
		if _, some := l.ready.top(r.stands(l)); some && !r.Paused && l.Probe > r.Now() {
			sooner(l.Probe)
		}
	}
	if at > 0 {
		at = (at + tick - 1) / tick * tick
	}
	return at
}
