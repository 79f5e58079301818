package workflows

import (
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// onCancel ends what has not left and answers with what became of each message.
func (r *run) onCancel(ctx workflow.Context, q message.CancelRequest) message.CancelResult {
	targets, _ := r.targets(q.Messages)
	before := make(map[int]message.State, len(targets))
	for _, i := range targets {
		before[i] = r.recs[i].State
	}
	if r.stop(targets, q) {
		r.awaitVerdicts(ctx)
	}
	return r.cancelResult(targets, before)
}

// stop ends every target that waits, and takes back those under way that have not
// begun; it reports whether there are any, of which the server decides.
func (r *run) stop(targets []int, q message.CancelRequest) (asked bool) {
	q.Reason = message.Clip(q.Reason, message.MaxDetail)
	if q.Messages == nil && r.counts.Open() > 0 {
		r.cancel, r.reason = true, q.Reason
		r.change()
	}
	for _, i := range targets {
		rec := &r.recs[i]
		switch {
		case rec.State.Final():
		case rec.State.Waiting():
			r.note(i, message.EventCanceled, r.now(), "", q.Reason)
			r.end(i, message.Canceled, "canceled", q.Reason)
		default:
			rec.Stop, rec.Code, rec.Detail, rec.Rev = true, "canceled", q.Reason, r.change()
			if t := r.open[i]; t != nil {
				t.recall()
				asked = true
			}
		}
	}
	r.poke()
	return asked
}

func (r *run) cancelResult(targets []int, before map[int]message.State) message.CancelResult {
	res := message.CancelResult{
		Batch: r.batch.ID, Confirmed: true,
		Canceled: []string{}, Sent: []string{}, InFlight: []string{}, Ended: []string{},
	}
	for _, i := range targets {
		id, s := r.id(i), r.recs[i].State
		switch {
		case s == message.Canceled && !before[i].Final():
			res.Canceled = append(res.Canceled, id)
		case s.Taken():
			res.Sent = append(res.Sent, id)
		case !s.Final():
			res.InFlight = append(res.InFlight, id)
		default:
			res.Ended = append(res.Ended, id)
		}
	}
	res.Counts = message.CancelCounts{
		Canceled: len(res.Canceled), Sent: len(res.Sent), InFlight: len(res.InFlight), Ended: len(res.Ended),
	}
	return res
}

// canceledNow ends a message that was canceled while its attempt had not begun,
// or that turned out not to have arrived.
func (r *run) canceledNow(i int) {
	reason := ""
	if rec := &r.recs[i]; rec.Code == "canceled" {
		reason = rec.Detail
	}
	r.note(i, message.EventCanceled, r.now(), "", reason)
	r.end(i, message.Canceled, "canceled", reason)
}

// awaitVerdicts waits until the server has reported which of the attempts that
// were asked back had not started. It writes those reports in the transaction
// that takes the request, so they are here before any later timer.
func (r *run) awaitVerdicts(ctx workflow.Context) {
	_ = workflow.NewTimerWithOptions(ctx, verdictWait, workflow.TimerOptions{Summary: "withdrawn attempts"}).Get(ctx, nil)
	yield(ctx)
	r.awaitGroups(ctx)
}
