package engine

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// storeLedger puts a ledger into the store. Where that takes long, as when the store is
// full, tell hears why; in the end it is an error, with which the segment ends.
func storeLedger(ctx workflow.Context, in *contract.SegmentInput, records []message.Record, tell func(fault string)) error {
	q := contract.KeepInput{V: message.Version, Dir: in.Dir, Number: in.Number, Ledger: message.Ledger{V: message.Version, Records: records}}
	keep := func(patience time.Duration) error {
		ctx := workflow.WithActivityOptions(ctx, storeOptions(patience))
		return workflow.ExecuteActivity(ctx, contract.KeepName, q).Get(ctx, nil)
	}
	err := keep(keepQuiet)
	if err == nil {
		return nil
	}
	workflow.GetLogger(ctx).Error("the ledger of a segment is not kept yet", "number", in.Number, "error", err)
	tell(fmt.Sprintf("the store does not take the ledger of segment %d: %s", in.Number, flow.Cause(err)))
	if err := keep(keepPatience); err != nil {
		return temporal.NewNonRetryableApplicationError("the store does not take the ledger: "+flow.Cause(err), message.CodeStore, nil)
	}
	return nil
}

// finishLost ends a segment that the store has lost between two of its runs, or that
// could not be read as long as its messages might be sent. What had become of its
// messages stands; nothing more is sent of the others.
func finishLost(l *flow.Loop, in contract.SegmentInput, unread bool) (contract.SegmentResult, error) {
	now, s := l.Now(), in.State
	rest := message.UnrunOutcome{State: message.Failed, Code: message.CodeStore, Detail: "the store has lost its segment"}
	switch {
	case s.Cancel:
		rest = message.UnrunOutcome{State: message.Canceled, Detail: s.Reason}
	case unread:
		rest = message.UnrunOutcome{State: message.Expired, Code: "expired", Detail: "its validity ran out while the store could not be read"}
	}
	doubt := message.UnrunOutcome{Code: "unknown", Detail: "its segment cannot be read from the store, so that its provider was not asked"}
	res := contract.SegmentResult{V: message.Version, Rev: s.Rev, Started: s.Started, Finished: now}
	for i := range s.Ledger.Records {
		rec := &s.Ledger.Records[i]
		if !rec.State.Final() {
			message.Transition{Record: rec, Batch: &message.Batch{}, Now: now}.Close(rest, doubt, nil)
			res.Rev = max(res.Rev+1, now<<message.RevShift)
			rec.Rev = res.Rev
			l.CountEnds(rec.State, rec.Code, "", 1)
		}
		res.Counts[rec.State]++
	}
	res.Reasons = message.ReasonsOf(s.Ledger.Records)
	workflow.GetLogger(l.Root).Error("a segment cannot be read from the store any more", "number", in.Number)
	return res, storeLedger(l.Work, &in, s.Ledger.Records, func(string) {})
}
