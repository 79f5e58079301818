package starter

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"

	"volley/internal/message"
	"volley/workflows"
)

// description is what Temporal itself knows of a batch.
type description struct {
	// end is there when only the store still knows the batch.
	end *message.Result

	// at is where the history ends.
	at moment

	memo   memo
	known  bool // the memo is one of ours
	open   bool
	closed time.Time
	status enumspb.WorkflowExecutionStatus
}

func (s *Starter) describe(ctx context.Context, ref Ref) (description, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return description{}, err
	}
	dctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	res, err := s.c.DescribeWorkflowExecution(dctx, wid, "")
	if err != nil {
		return description{}, s.translate(ctx, "batch "+ref.ID, err)
	}
	return s.descriptionOf(res.GetWorkflowExecutionInfo()), nil
}

func (s *Starter) descriptionOf(info *workflowpb.WorkflowExecutionInfo) description {
	m, known := s.readMemo(info.GetMemo())
	d := description{at: moment{info.GetExecution().GetRunId(), info.GetHistoryLength()}, memo: m, known: known, status: info.GetStatus(), open: isOpen(info.GetStatus())}
	if info.GetCloseTime() != nil {
		d.closed = info.GetCloseTime().AsTime()
	}
	return d
}

// isOpen reports whether a batch goes on; the end of one of its runs is not its
// end.
func isOpen(st enumspb.WorkflowExecutionStatus) bool {
	return st == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING || st == enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED ||
		st == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
}

// input reads what the latest run of a batch was given.
func (s *Starter) input(ctx context.Context, ref Ref) (workflows.Input, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return workflows.Input{}, err
	}
	events := s.c.GetWorkflowHistory(ctx, wid, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return workflows.Input{}, fmt.Errorf("batch %s: its history is empty", ref.ID)
	}
	first, err := events.Next()
	if err != nil {
		return workflows.Input{}, s.translate(ctx, "batch "+ref.ID, err)
	}
	return s.inputOf(ref, first)
}
