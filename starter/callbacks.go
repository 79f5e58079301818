package starter

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// restartTries is how often RestartCallbacks looks when what it found had just ended.
const restartTries = 3

// RestartCallbacks lets callbacks tell what a batch has learned since, such as reports that
// came after its end: it signals the batch's Notify, or starts it again where it had
// stopped. What was told is not told again. A batch without callbacks, one whose
// endpoint is gone (410), and one whose Notify was ended by hand stay silent.
//
// Errors: ErrNotFound (no such batch), ErrUnreachable, ErrInvalid (a bad id).
func (s *Starter) RestartCallbacks(ctx context.Context, ref Ref) error {
	in, err := s.server.Input(ctx, ref)
	if err != nil || in.Batch.Callbacks == nil {
		return err
	}
	for try := 1; ; try++ {
		err = s.wakeCallbacks(ctx, ref, contract.NotifyID(WorkflowID(ref)), &in)
		if !server.IsNotFound(err) || try == restartTries {
			return server.Translate(ctx, "callbacks of batch "+ref.ID, err)
		}
	}
}

// wakeCallbacks signals the batch's Notify, or starts it where it goes on. The error of
// Temporal that it is not there means that it ended this instant.
func (s *Starter) wakeCallbacks(ctx context.Context, ref Ref, id string, in *contract.Input) error {
	b := &in.Batch
	next := contract.NotifyInput{
		V: message.Version, ID: b.ID, Tenant: server.TenantOf(ref), Dialect: b.Dialect, Total: len(b.Messages), Callbacks: *b.Callbacks,
	}
	if in.Large != nil {
		next.Total, next.Large = in.Large.Total, true
	}
	dctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	d, err := s.server.Client.DescribeWorkflowExecution(dctx, id, "")
	switch status := d.GetWorkflowExecutionInfo().GetStatus(); {
	case server.IsNotFound(err):
		// Temporal has forgotten it, or never had it: what the batch itself ended with
		// counts as told.
		if next.Cursor, err = s.finalCursor(ctx, ref); err != nil {
			return err
		}
	case err != nil:
		return err
	case server.IsOpen(status):
		return s.server.Client.SignalWorkflow(ctx, id, "", contract.SignalChanged, nil)
	case status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return nil
	default:
		var res contract.NotifyResult
		if err := s.server.Client.GetWorkflow(ctx, id, "").Get(ctx, &res); err != nil {
			return fmt.Errorf("read how callbacks ended: %w", err)
		}
		if res.Gone {
			return nil
		}
		next.Cursor, next.Told, next.GivenUp = res.Cursor, res.Told, res.GivenUp
	}
	_, err = s.server.Client.SignalWithStartWorkflow(ctx, id, contract.SignalChanged, nil, client.StartWorkflowOptions{
		ID: id, TaskQueue: s.o.TaskQueue, StaticSummary: "callbacks",
	}, contract.NotifyName, next)
	return err
}

// finalCursor is the cursor of a batch of which all was told when it ended; that of one
// that runs is nothing.
func (s *Starter) finalCursor(ctx context.Context, ref Ref) (contract.Cursor, error) {
	d, err := s.server.Describe(ctx, ref)
	if err != nil || d.Open {
		return contract.Cursor{}, err
	}
	res, err := s.result(ctx, ref)
	if err != nil {
		return contract.Cursor{}, err
	}
	return contract.Cursor{Rev: res.Status.Rev, Started: res.Status.StartedAt != nil, State: res.Status.State}, nil
}
