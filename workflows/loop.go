package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// loop carries the batch until all messages have ended, or all that a segment
// keeps, or until the run is to continue as new, which it reports.
func (r *run) loop() (again bool) {
	canceled := r.root.Done()
	for {
		yield(r.work) // what a signal asks for comes before anything else leaves
		if r.root.Err() != nil && canceled != nil {
			canceled = nil
			all, _ := r.targets(nil)
			r.stop(all, message.CancelRequest{Reason: "canceled through Temporal"})
		}
		r.promote(r.now())
		r.fill()
		r.show()
		r.tellFirstMade()
		if !r.draining && r.counts.Open() > 0 { // close tells the end
			r.herald.tell(r.now(), r.state(), r.news)
		}
		if r.counts.Open() == 0 || r.rests() {
			r.close()
			if r.counts.Open() == 0 || r.rests() {
				return false
			}
			r.reopen() // what was asked for meanwhile goes first
			continue
		}
		if !r.draining && r.grown() {
			r.drain()
		}
		if r.draining && r.quiet() {
			return true
		}
		r.sleep(canceled)
	}
}

// grown reports whether the history is as long as one run's may be.
func (r *run) grown() bool {
	info := workflow.GetInfo(r.root)
	return info.GetCurrentHistoryLength() >= maxEvents ||
		info.GetCurrentHistorySize() >= maxHistory || r.updates >= maxUpdates
}

// drain lets the run come to its end: nothing new starts, and what waits in a
// queue comes back, so that only what has left is waited for.
func (r *run) drain() {
	r.draining = true
	for i := range r.recs {
		if t := r.open[i]; t != nil {
			t.recall()
		}
	}
}

// quiet reports whether nothing is under way, so that the run may be left. What
// signals had asked for until now is done first.
func (r *run) quiet() bool {
	if !r.still() {
		return false
	}
	yield(r.work)
	return r.still() && !r.drainSignals() && r.still() && r.telling == 0 && r.herald.still()
}

func (r *run) still() bool {
	return r.running == 0 && r.handlers == 0 && workflow.AllHandlersFinished(r.root)
}

// yield lets every other coroutine run once. A signal goes straight to the
// listener that waits for it, which may not have run yet, and so does a verdict.
func yield(ctx workflow.Context) {
	done := false
	workflow.Go(ctx, func(workflow.Context) { done = true })
	_ = workflow.Await(ctx, func() bool { return done })
}

// close waits for those who still wait for an answer, and shows and tells the end.
func (r *run) close() {
	r.settle()
	r.finished = r.now()
	if r.disarm != nil {
		r.disarm()
	}
	r.show()
	for r.herald.end(r.state(), r.news) {
		r.settle()
	}
}

// settle waits until nobody waits for an answer and no signal is left.
func (r *run) settle() {
	for {
		_ = workflow.Await(r.work, r.still)
		if !r.drainSignals() {
			return
		}
	}
}

// reopen takes close back.
func (r *run) reopen() {
	r.finished = 0
	r.armed, r.timer, r.disarm = 0, nil, nil
}

// fill hands ready messages to coroutines while there is room.
func (r *run) fill() {
	for r.running < r.limit {
		t := r.take()
		if t == nil {
			return
		}
		r.running++
		workflow.Go(r.work, func(ctx workflow.Context) { r.carry(ctx, t) })
	}
}

// carry takes messages one after the other to their answers.
func (r *run) carry(ctx workflow.Context, t *trip) {
	for ; t != nil; t = r.take() {
		switch {
		case t.question:
			r.ask(ctx, t)
		case t.group != nil:
			r.sendGroup(ctx, t)
		default:
			r.attempt(ctx, t)
		}
	}
	r.running--
	r.poke()
}

// sleep waits until something changes or the next time comes.
func (r *run) sleep(canceled workflow.Channel) {
	r.arm()
	sel := workflow.NewSelector(r.work)
	sel.AddReceive(r.wake, func(c workflow.ReceiveChannel, _ bool) { c.ReceiveAsync(nil) })
	if r.timer != nil {
		sel.AddFuture(r.timer, func(workflow.Future) { r.armed, r.timer, r.disarm = 0, nil, nil })
	}
	if canceled != nil {
		sel.AddReceive(canceled, func(workflow.ReceiveChannel, bool) {})
	}
	sel.Select(r.work)
}

// arm keeps one timer, for the next time at which a message may move.
func (r *run) arm() {
	at := r.nextTime()
	if !r.draining {
		at = r.herald.sooner(at, r.state(), r.news)
	}
	if at == 0 || r.armed != 0 && r.armed <= at {
		return
	}
	if r.disarm != nil {
		r.disarm()
	}
	ctx, cancel := workflow.WithCancel(r.work)
	wait := max(time.Duration(at-r.now())*time.Millisecond, time.Millisecond)
	r.timer = workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: "next due"})
	r.armed, r.disarm = at, cancel
}

// nextTime is the next time for which nothing else wakes the run, rounded up; 0
// is none.
func (r *run) nextTime() int64 {
	if r.draining {
		return 0
	}
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
	for _, l := range r.lanes {
		// A probe that could leave now waits for a free slot, which wakes the run.
		if _, some := l.ready.top(r.stands(l)); some && !r.paused && l.Probe > r.now() {
			sooner(l.Probe)
		}
	}
	if at > 0 {
		at = (at + tick - 1) / tick * tick
	}
	return at
}

// poke wakes the loop.
func (r *run) poke() { r.wake.SendAsync(nil) }
