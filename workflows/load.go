package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// answerLoading answers questions until the segment has been read.
func answerLoading(ctx workflow.Context) error {
	loading := temporal.NewApplicationError("the segment is being read from the store", ErrLoadingType)
	if err := workflow.SetQueryHandler(ctx, QueryStatus, func() (nothing, error) { return nothing{}, loading }); err != nil {
		return err
	}
	for _, name := range []string{QueryMessages, QueryMessage} {
		if err := workflow.SetQueryHandler(ctx, name, func(nothing) (nothing, error) { return nothing{}, loading }); err != nil {
			return err
		}
	}
	return nil
}

// load reads what the workflow needs of its messages; nil when the store does not
// have it, or has what makes no sense.
func load(ctx workflow.Context, in SegmentInput) (*segment, message.Batch) {
	work, _ := workflow.NewDisconnectedContext(ctx)
	deadline := time.Duration(max(in.Expires-workflow.Now(ctx).UnixMilli(), 0))*time.Millisecond + loadGrace
	opts := storeOptions()
	opts.ScheduleToCloseTimeout = deadline
	work = workflow.WithActivityOptions(work, opts)
	q := activities.LoadInput{V: message.Version, Dir: in.Dir, Sources: in.Sources}
	var res activities.LoadResult
	for range loadTries {
		if workflow.ExecuteActivity(work, LoadName, q).Get(work, &res) != nil {
			return nil, message.Batch{}
		}
		if res.Found {
			break
		}
		_ = workflow.Sleep(work, time.Second)
	}
	if !res.Found {
		return nil, message.Batch{}
	}
	s := &segment{in: in, lines: res.Lines, begun: res.Records}
	if p := workflow.GetInfo(ctx).ParentWorkflowExecution; p != nil {
		s.parent = p.ID
	}
	if in.State != nil {
		s.begun = &in.State.Ledger
	}
	b := res.Batch
	b.V, b.ID, b.Tenant, b.Dialect, b.Dispatch = message.Version, in.ID, in.Tenant, in.Dialect, in.Dispatch
	b.InFlight, b.Summaries = in.InFlight, in.Summaries
	b.Messages = make([]message.Message, len(s.lines))
	for i, l := range s.lines {
		b.Messages[i] = message.Message{Due: l.Due, TTL: l.TTL, Route: l.Route}
		if l.Code != "" {
			b.Messages[i].Problems = message.Problems{{Index: l.Index, Code: l.Code}}
		}
	}
	if check(&Input{V: message.Version, Batch: b}) != nil || s.begun != nil && len(s.begun.Records) != len(s.lines) {
		return nil, message.Batch{}
	}
	return s, b
}

// storeOptions are the options of an activity that reads or writes the store. It
// may be repeated, and is until it succeeds.
func storeOptions() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout: storeToClose,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: storeRetry},
	}
}
