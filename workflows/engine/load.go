package engine

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// answerLoading answers questions until the segment has been read. Of one that goes on
// after another run something is known, so that it does not count as one that waits.
func answerLoading(ctx workflow.Context, first bool) error {
	kind := contract.ErrLoadingType
	if !first {
		kind = ""
	}
	loading := temporal.NewApplicationError("the segment is being read from the store", kind)
	for _, name := range []string{contract.QueryStatus, contract.QueryMessages, contract.QueryMessage, contract.QueryLedger} {
		if err := workflow.SetQueryHandler(ctx, name, func(flow.Nothing) (flow.Nothing, error) { return flow.Nothing{}, loading }); err != nil {
			return err
		}
	}
	return nil
}

// load reads what the workflow needs of its messages; nil when the store does not
// have it, or has what makes no sense, or, as unread says, could not be read as long as
// the messages might be sent.
func load(l *flow.Loop, in contract.SegmentInput) (s *segment, b message.Batch, unread bool) {
	patience := time.Duration(max(in.Expires-l.Now(), 0))*time.Millisecond + loadGrace
	work := workflow.WithActivityOptions(l.Work, storeOptions(patience))
	q := contract.LoadInput{V: message.Version, Dir: in.Dir, Segment: in.Number}
	var res contract.LoadResult
	for range loadTries {
		if workflow.ExecuteActivity(work, contract.LoadName, q).Get(work, &res) != nil {
			return nil, message.Batch{}, true
		}
		if res.Found {
			break
		}
		_ = workflow.Sleep(work, time.Second)
	}
	if !res.Found {
		return nil, message.Batch{}, false
	}
	s = &segment{in: in, lines: res.Lines, named: res.Canceled}
	if p := workflow.GetInfo(l.Root).ParentWorkflowExecution; p != nil {
		s.parent = p.ID
	}
	b = res.Batch
	b.V, b.ID, b.Tenant, b.Dialect, b.Dispatch = message.Version, in.ID, in.Tenant, in.Dialect, in.Dispatch
	b.InFlight, b.Summaries, b.Guard = in.InFlight, in.Summaries, in.Guard
	b.Messages = make([]message.Message, len(s.lines))
	for i, m := range s.lines {
		b.Messages[i] = message.Message{Due: m.Due, TTL: m.TTL, Route: m.Route}
		if m.Code != "" {
			b.Messages[i].Problems = message.Problems{{Index: m.Index, Code: m.Code}}
		}
	}
	if check(&contract.Input{V: message.Version, Batch: b}) != nil || in.State != nil && len(in.State.Ledger.Records) != len(s.lines) {
		return nil, message.Batch{}, false
	}
	return s, b, false
}

// storeOptions are the options of an activity that reads or writes a few objects of the
// store. It is repeated until it succeeds, as long as patience lasts.
func storeOptions(patience time.Duration) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout:    storeToClose,
		ScheduleToCloseTimeout: patience,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: storeRetry},
	}
}
