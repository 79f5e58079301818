package server

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/workflows/contract"
)

// HasEnded reports whether a batch is known to have ended.
func (s *Server) HasEnded(ctx context.Context, c client.Client, ref Ref) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*HealthWait) // the SDK gives a call half of it
	defer cancel()
	d, err := s.DescribeBy(ctx, c, ref)
	return err == nil && !d.Open
}

// The server ends a workflow whose history has 51,200 events or 50 MB. What is left from
// here on is for what ends a batch.
const (
	fullLength = 40_000
	fullSize   = 40 << 20
)

// Description is what Temporal itself knows of a batch.
type Description struct {
	// End is there when only the store still knows the batch.
	End *message.Result

	// At is where the history ends.
	At HistoryPosition

	Memo  Memo
	Known bool // the memo is one of ours
	// State is what the workflow last showed to lists; empty is nothing.
	State message.BatchState
	// Full means that the history leaves no room for more signals.
	Full   bool
	Open   bool
	Closed time.Time
	Status enumspb.WorkflowExecutionStatus
}

// Describe asks Temporal for what it knows of a batch.
func (s *Server) Describe(ctx context.Context, ref Ref) (Description, error) {
	return s.DescribeBy(ctx, s.Client, ref)
}

// DescribeBy asks on a connection.
func (s *Server) DescribeBy(ctx context.Context, c client.Client, ref Ref) (Description, error) {
	wid, err := WorkflowOf(ref)
	if err != nil {
		return Description{}, err
	}
	dctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	res, err := c.DescribeWorkflowExecution(dctx, wid, "")
	if err != nil {
		return Description{}, Translate(ctx, "batch "+ref.ID, err)
	}
	return s.DescriptionOf(res.GetWorkflowExecutionInfo()), nil
}

// DescriptionOf reads what Temporal knows of a workflow.
func (s *Server) DescriptionOf(info *workflowpb.WorkflowExecutionInfo) Description {
	m, known := s.ReadMemo(info)
	d := Description{
		At: HistoryPosition{info.GetExecution().GetRunId(), info.GetHistoryLength()}, Memo: m, Known: known, Status: info.GetStatus(), Open: IsOpen(info.GetStatus()),
		Full: info.GetHistoryLength() >= fullLength || info.GetHistorySizeBytes() >= fullSize,
	}
	ReadAttribute(info, contract.AttrState, &d.State)
	if info.GetCloseTime() != nil {
		d.Closed = info.GetCloseTime().AsTime()
	}
	return d
}

// IsOpen reports whether a batch goes on; the end of one of its runs is not its
// end.
func IsOpen(st enumspb.WorkflowExecutionStatus) bool {
	return st == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING || st == enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED ||
		st == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
}

// Input reads what the latest run of a batch was given.
func (s *Server) Input(ctx context.Context, ref Ref) (contract.Input, error) {
	return s.InputBy(ctx, s.Client, ref)
}

// InputBy reads it on a connection.
func (s *Server) InputBy(ctx context.Context, c client.Client, ref Ref) (contract.Input, error) {
	var in contract.Input
	wid, err := WorkflowOf(ref)
	if err != nil {
		return in, err
	}
	return in, s.InputOf(ctx, c, "batch "+ref.ID, wid, &in)
}

// InputOf reads what the latest run of a workflow was given, which what names in errors.
func (s *Server) InputOf(ctx context.Context, c client.Client, what, wid string, in any) error {
	events := c.GetWorkflowHistory(ctx, wid, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return fmt.Errorf("%s: its history is empty", what)
	}
	first, err := events.Next()
	if err != nil {
		return Translate(ctx, what, err)
	}
	if err := s.ConverterOf(wid).FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), in); err != nil {
		return fmt.Errorf("read the input of %s: %w", what, err)
	}
	return nil
}

// HistoryPosition is a place in a workflow's history: its end, when it had so many events.
// The zero value is not known, and equal to none.
type HistoryPosition struct {
	run    string
	events int64
}

// Known reports whether the position is one.
func (p HistoryPosition) Known() bool { return p.run != "" && p.events > 0 }
