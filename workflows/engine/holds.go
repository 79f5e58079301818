package engine

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

const (
	// awaitToClose bounds one wait for a release.
	awaitToClose = 2 * time.Minute
	// awaitHeartbeat is how much later the batch goes on where the worker is killed that
	// waits. Each wait sends a heartbeat to the server after four fifths of it.
	awaitHeartbeat = 30 * time.Second
	// awaitAgain is the wait after one that failed.
	awaitAgain = 10 * time.Second
)

// heldBack deals with an attempt that was held back, or whose answer makes the account
// hold itself: nothing more leaves through the account until it is released, and messages
// that may take another account do.
func (r *run) heldBack(l *accountQueue, i int, res contract.SendResult) {
	before := l.Held
	l.Held = res.Held
	if before.By == "" {
		r.nextRev()
		r.tellHeld()
		for _, s := range slices.Clone(l.ready) {
			if r.stands(l)(s) {
				r.holdBack(l, s.i)
			}
		}
	}
	r.change(i, func(t message.Transition) { t.Answered(res) })
	r.awaitRelease(l)
}

// tellHeld lets the batch's callbacks know that there is a hold to tell of. A segment lets
// its batch know, once.
func (r *run) tellHeld() {
	r.finalChanges++
	if r.seg != nil && !r.heldTold {
		r.heldTold = true
		r.tellProgress("")
	}
}

// holdBack deals with a message that is ready while its account is held.
func (r *run) holdBack(l *accountQueue, i int) {
	t := r.transition(i)
	if t.MayMoveOn(l.Held) || t.Stop || t.Early != nil {
		r.change(i, func(t message.Transition) { t.Hold(l.Held) })
		return
	}
	rec := t.Record
	before := rec.State
	next := rec.Next
	t.Hold(l.Held)
	rec.Next = next // it keeps its place in the queue
	r.recount(i, before)
}

// released lets the messages of an account go on.
func (r *run) released(l *accountQueue) {
	if l.Held.By == "" {
		return
	}
	l.Held, l.probing, l.idle = message.Holding{}, false, 0
	r.Resumed = r.Now()
	for _, s := range slices.Clone(l.ready) {
		if t := r.transition(s.i); r.stands(l)(s) && t.Code == message.CodeHeld {
			t.Unhold()
			r.recount(s.i, t.State)
		}
	}
	r.nextRev()
	r.Wake()
}

// awaitRelease has somebody wait until an account that is held is released, unless
// somebody does, or one message is to find out.
func (r *run) awaitRelease(l *accountQueue) {
	if l.Held.By == "" || l.awaiting || l.probing || r.draining {
		return
	}
	l.awaiting = true
	workflow.Go(r.Work, func(ctx workflow.Context) {
		defer func() { l.awaiting = false; r.Wake() }()
		for !r.draining && l.Held.By != "" && r.counts.Open() > 0 {
			ctx := workflow.WithActivityOptions(ctx, awaitOptions(contract.HoldsQueue(workflow.GetInfo(r.Root).TaskQueueName)))
			in := contract.AwaitReleaseInput{V: message.Version, Account: l.name, Held: l.Held}
			var res contract.AwaitReleaseResult
			switch err := workflow.ExecuteActivity(ctx, contract.AwaitReleaseName, in).Get(ctx, &res); {
			case err != nil:
				_ = workflow.Sleep(ctx, awaitAgain)
			case res.Released:
				r.released(l)
			case res.Probe:
				l.probing = true
				return
			}
		}
	})
}

// probed goes on waiting after a message that was to find out whether an account is still
// held, and did not release it.
func (r *run) probed(l *accountQueue, t *inflight) {
	if t.probe {
		r.awaitRelease(l)
	}
}

// answeredProbe reports whether an outcome releases the account of a probe.
func answeredProbe(res contract.SendResult) bool {
	switch res.Kind {
	case contract.KindNotStarted, contract.KindExpired, "unavailable", "ambiguous":
		return false
	}
	return res.Held.By == ""
}

// attemptInput is what an attempt is told.
func (r *run) attemptInput(t *inflight) contract.SendInput {
	in := r.input(t.i)
	if l := r.queueOf(t.i); t.probe {
		in.Probe, in.Breaker = l.Held.By != "", l.Interval > 0
	}
	return in
}

// awaitOptions are the options of a wait for a release, which is begun anew wherever its
// worker has gone.
func awaitOptions(queue string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:             queue,
		StartToCloseTimeout:   awaitToClose,
		HeartbeatTimeout:      awaitHeartbeat,
		DisableEagerExecution: true,
		RetryPolicy:           &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: 30 * time.Second},
		Summary:               "held",
	}
}

// heldBy is why messages wait that could be sent; nil where nothing does.
func (r *run) heldBy() *message.HoldView {
	if r.counts.Open() == 0 {
		return nil
	}
	if r.Paused && r.guard.held.By != "" {
		return r.guard.held.View()
	}
	for _, l := range r.accounts {
		if h := l.Held.View(); h != nil && l.load > 0 {
			return h
		}
	}
	return nil
}
