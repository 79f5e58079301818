package starter

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Histories is what Temporal keeps of a batch.
type Histories struct {
	// Workflow is the id of the batch's workflow.
	Workflow string
	// Open means that the batch has not ended.
	Open bool
	// Dir is the folder of a large batch, whose messages are in the store; empty is that the
	// messages are in the workflow's history.
	Dir string
	// Created is when the batch was accepted.
	Created time.Time
	// Until is when Temporal deletes the history; zero is not known, or not yet.
	Until time.Time
	// KeepsReports means that reports of the batch are being kept right now.
	KeepsReports bool
}

// Histories says what Temporal keeps of a batch, and until when. Errors: ErrNotFound,
// ErrUnreachable.
func (s *Starter) Histories(ctx context.Context, ref Ref) (Histories, error) {
	d, err := s.server.Describe(ctx, ref)
	if err != nil {
		return Histories{}, err
	}
	h := Histories{Workflow: WorkflowID(ref), Open: d.Open, Dir: d.Memo.Dir, Created: d.Memo.CreatedAt}
	res, err := s.server.Client.DescribeWorkflowExecution(ctx, contract.ReportsID(h.Workflow), "")
	switch err = server.Translate(ctx, "batch "+ref.ID, err); {
	case err == nil:
		h.KeepsReports = server.IsOpen(res.GetWorkflowExecutionInfo().GetStatus())
	case !errors.Is(err, ErrNotFound):
		return h, err
	}
	if d.Closed.IsZero() {
		return h, nil
	}
	space, err := s.server.Client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: s.o.Namespace})
	if err != nil {
		return h, server.Translate(ctx, "namespace "+s.o.Namespace, err)
	}
	if keeps := space.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(); keeps > 0 {
		h.Until = d.Closed.Add(keeps).UTC()
	}
	return h, nil
}
