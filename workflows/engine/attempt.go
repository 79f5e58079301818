package engine

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// attempt hands one attempt at a message to Temporal and deals with its end.
func (r *run) attempt(ctx workflow.Context, t *inflight) {
	i, rec, l := t.i, &r.recs[t.i], r.queueOf(t.i)
	deadline := time.Duration(rec.Expires-r.Now())*time.Millisecond + queueGrace
	var res contract.SendResult
	err := r.execute(ctx, t, attemptOptions(contract.SendQueue(r.account(i)), deadline, r.summary(i, "attempt")), contract.SendName, r.attemptInput(t), &res)
	switch {
	case err == nil:
		r.answered(i, res, t.probe)
	case begun(err):
		r.lost(i, 0)
	default:
		r.withdrawn(i, againAfter(err))
	}
	r.probed(l, t)
}

// answered deals with what an attempt reported.
func (r *run) answered(i int, res contract.SendResult, probe bool) {
	l := r.queueOf(i)
	if res.Held.By != "" {
		r.heldBack(l, i, res)
		return
	}
	if res.Suppressed() && workflow.GetVersion(r.Root, contract.ChangeSuppressed, workflow.DefaultVersion, 1) > workflow.DefaultVersion {
		r.change(i, func(t message.Transition) { t.Suppress(res) })
		return
	}
	if probe && answeredProbe(res) {
		r.released(l)
	}
	wait := r.backoff(i, r.recs[i].HopAttempts)
	switch res.Kind {
	case contract.KindNotStarted:
		// A worker that has too little time now will have no more at once.
		wait = max(wait, retryInitial.Milliseconds())
	case contract.KindExpired:
	case "unavailable":
		r.unavailable(l, probe)
	default:
		r.available(l)
	}
	res.RetryAfter = max(wait, res.RetryAfter)
	r.change(i, func(t message.Transition) {
		if res.Suppressed() { // decided before ChangeSuppressed
			t.Step(message.EventRejected, res.At, res.Code, res.Detail)
			t.NextHop(res.Code, res.Detail)
			return
		}
		t.Answered(res)
	})
}

// withdrawn puts a message back whose attempt never began, for wait ms.
func (r *run) withdrawn(i int, wait int64) {
	r.change(i, func(t message.Transition) { t.Withdraw(wait) })
}

// lost deals with an attempt that may have left and of which nobody reported. A request of it
// may be under way for settle ms yet.
func (r *run) lost(i int, settle int64) {
	r.change(i, func(t message.Transition) {
		t.Ambiguous("lost", "the worker did not report what became of the attempt")
		if !t.State.Final() {
			t.Next += settle
		}
	})
}
