package large

import (
	"context"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/closeout"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// segmentOf names a segment to whoever finds out how its workflow has ended.
func (v *View) segmentOf(number int) closeout.Segment {
	rest := message.UnrunOutcome{State: message.Failed, Code: contract.CodeSegmentLost, Detail: contract.DetailSegmentLost}
	if v.Status.State == message.BatchCanceling && v.Large.Rest != nil {
		rest = *v.Large.Rest
	}
	return closeout.Segment{Ref: v.Ref, Dir: v.Large.Dir, Number: number, Rest: rest}
}

// ledger reads the ledger of a workflow that has ended. One that others ended has none until
// the batch has had it written; until then it is put together here.
func (v *View) ledger(ctx context.Context, number int) (*message.Ledger, error) {
	l, err := v.s.Store.Ledger(ctx, v.Large.Dir, number)
	if store.Missing(err) && v.Open {
		if end, err := v.s.closed.End(ctx, v.segmentOf(number)); err == nil && end.Ledger != nil {
			return end.Ledger, nil
		}
	}
	return l, server.StoreError("batch "+v.Ref.ID, err)
}
