package workflows

import (
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// keep puts a ledger into the store.
func keep(ctx workflow.Context, in *SegmentInput, l message.Ledger) {
	ctx = workflow.WithActivityOptions(ctx, storeOptions())
	q := activities.KeepInput{V: message.Version, Dir: in.Dir, Number: in.Number, Ledger: l}
	if err := workflow.ExecuteActivity(ctx, KeepName, q).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("the ledger of a segment was not kept", "error", err)
	}
}

// salvage ends a segment that the store has lost between two of its runs. What had
// become of its messages stands; nothing more is sent of the others.
func salvage(ctx workflow.Context, in SegmentInput) SegmentResult {
	work, _ := workflow.NewDisconnectedContext(ctx)
	now := workflow.Now(ctx).UnixMilli()
	s := in.State
	res := SegmentResult{V: message.Version, Rev: s.Rev, Started: s.Started, Finished: now}
	for i := range s.Ledger.Records {
		rec := &s.Ledger.Records[i]
		if !rec.State.Final() {
			res.Rev = max(res.Rev+1, now<<revShift)
			switch {
			case rec.Await > 0:
				rec.State, rec.Code, rec.Detail = message.Sent, "", ""
			case rec.Doubt > 0:
				rec.State, rec.Code, rec.Detail = message.Unknown, "unknown", "the store has lost its segment, so that its provider was not asked"
			case s.Cancel:
				rec.State, rec.Code, rec.Detail = message.Canceled, "canceled", s.Reason
			default:
				rec.State, rec.Code, rec.Detail = message.Failed, message.CodeStore, "the store has lost its segment"
			}
			rec.Finished, rec.Next, rec.Doubt, rec.Await, rec.Rev = now, 0, 0, 0, res.Rev
			workflow.GetMetricsHandler(ctx).
				WithTags(map[string]string{"state": rec.State.String(), "account": ""}).Counter("volley_messages").Inc(1)
		}
		res.Counts[rec.State]++
	}
	workflow.GetLogger(ctx).Error("a segment cannot be read from the store any more", "number", in.Number)
	keep(work, &in, s.Ledger)
	return res
}
