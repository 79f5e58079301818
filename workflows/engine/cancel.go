package engine

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/internal/sabotage"
	"volley/workflows/internal/flow"
)

// onCancel ends what has not left and answers with what became of each message.
func (r *run) onCancel(ctx workflow.Context, q message.CancelRequest) message.CancelResult {
	targets, _ := r.targets(q.Messages)
	before := make(map[int]message.State, len(targets))
	for _, i := range targets {
		before[i] = r.recs[i].State
	}
	if !sabotage.Active(sabotage.Cancel) && r.stop(targets, q) {
		r.awaitVerdicts(ctx)
	}
	res := message.NewCancelResult(r.batch.ID)
	for _, i := range targets {
		res.Add(r.id(i), message.CancelEffectOf(r.recs[i].State, !before[i].Final()))
	}
	return res
}

// stop ends every target that waits, and takes back those under way that have not
// begun; it reports whether there are any, of which the server decides.
func (r *run) stop(targets []int, q message.CancelRequest) (asked bool) {
	q.Reason = message.Clip(q.Reason, message.MaxDetail)
	if q.Messages == nil && r.counts.Open() > 0 {
		r.Canceled, r.Reason = true, q.Reason
		r.nextRev()
	}
	for _, i := range targets {
		r.cancel(i, r.Now(), q.Reason)
		if t := r.inFlight[i]; t != nil {
			t.withdraw()
			asked = true
		}
	}
	r.Wake()
	return asked
}

// cancel ends a message that waits. Another that has not ended gets no more attempts.
func (r *run) cancel(i int, at int64, reason string) {
	rec := &r.recs[i]
	switch {
	case rec.State.Final():
	case rec.State.Waiting():
		r.change(i, func(t message.Transition) { t.Cancel(at, reason) })
	default:
		rec.Stop, rec.Code, rec.Detail, rec.Rev = true, "canceled", reason, r.nextRev()
	}
}

// awaitVerdicts waits until the server has reported which of the attempts that
// were asked back had not started. It writes those reports in the transaction
// that takes the request, so they are here before any later timer. Groups that were asked back
// hear of it with their next heartbeat, for which it waits at most groupVerdict.
func (r *run) awaitVerdicts(ctx workflow.Context) {
	_ = workflow.NewTimerWithOptions(ctx, verdictWait, workflow.TimerOptions{Summary: "withdrawn attempts"}).Get(ctx, nil)
	flow.Yield(ctx)
	stopping := func() bool {
		return slices.ContainsFunc(r.inFlight, func(t *inflight) bool { return t != nil && t.group && t.withdrawn })
	}
	if !stopping() {
		return
	}
	tctx, cancel := workflow.WithCancel(ctx)
	timer := workflow.NewTimerWithOptions(tctx, groupVerdict, workflow.TimerOptions{Summary: "groups that stop"})
	_ = workflow.Await(ctx, func() bool { return timer.IsReady() || !stopping() })
	cancel()
	flow.Yield(ctx)
}
