package measure

import (
	"context"
	"fmt"

	common "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
)

// Histories are the sums and the largest values over a workflow, all of its runs,
// its children and theirs.
type Histories struct {
	Workflows int
	Runs      int
	// Events, Bytes (as the server counts them) and Actions are sums.
	Events  int
	Bytes   int64
	Actions int
	// The largest of a single run.
	MostEvents int
	MostBytes  int64
	// Pending is the most of one kind that one run had open at once, Payload the
	// largest payload in bytes.
	Pending int
	Payload int
}

// ReadHistories reads the histories of a closed workflow and of everything that it
// started. A run that has not closed, or ended otherwise than completed or
// continued, is an error.
func ReadHistories(ctx context.Context, c client.Client, id string) (Histories, error) {
	var h Histories
	first, err := firstRun(ctx, c, id)
	if err != nil {
		return h, err
	}
	todo := []*common.WorkflowExecution{first}
	for len(todo) > 0 {
		x := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		h.Workflows++
		for run := x.GetRunId(); run != ""; {
			t, err := h.read(ctx, c, x.GetWorkflowId(), run)
			if err != nil {
				return h, fmt.Errorf("history of %s: %w", x.GetWorkflowId(), err)
			}
			todo = append(todo, t.Children...)
			run = t.Next
		}
	}
	return h, nil
}

// firstRun is the first of the runs of a workflow.
func firstRun(ctx context.Context, c client.Client, id string) (*common.WorkflowExecution, error) {
	d, err := c.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return nil, err
	}
	run := d.GetWorkflowExecutionInfo().GetFirstRunId()
	if run == "" {
		run = d.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	}
	return &common.WorkflowExecution{WorkflowId: id, RunId: run}, nil
}

// read adds one run.
func (h *Histories) read(ctx context.Context, c client.Client, id, run string) (*Tally, error) {
	d, err := c.DescribeWorkflowExecution(ctx, id, run)
	if err != nil {
		return nil, err
	}
	info := d.GetWorkflowExecutionInfo()
	switch info.GetStatus() {
	case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
	default:
		return nil, fmt.Errorf("it is %s", info.GetStatus())
	}
	t := &Tally{}
	events := c.GetWorkflowHistory(ctx, id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, err
		}
		t.Add(e)
	}
	h.add(t, info.GetHistorySizeBytes())
	return t, nil
}

func (h *Histories) add(t *Tally, bytes int64) {
	h.Runs++
	h.Events += t.Events
	h.Bytes += bytes
	h.Actions += t.Actions
	h.MostEvents, h.MostBytes = max(h.MostEvents, t.Events), max(h.MostBytes, bytes)
	h.Pending, h.Payload = max(h.Pending, t.Pending), max(h.Payload, t.Payload)
}
