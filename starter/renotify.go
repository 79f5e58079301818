package starter

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// renotifyTries is how often Renotify looks again when what it found had just changed.
const renotifyTries = 3

// Renotify lets callbacks tell what a batch has learned since, such as reports that
// came after its end: it signals the batch's Notify, or starts it again where it had
// stopped. What was told is not told again. A batch without callbacks, one whose
// endpoint is gone (410), and one whose Notify was ended by hand stay silent.
//
// Errors: ErrNotFound (no such batch), ErrUnreachable, ErrInvalid (a bad id).
func (s *Starter) Renotify(ctx context.Context, ref Ref) error {
	wid, err := workflowOf(ref)
	if err != nil {
		return err
	}
	in, err := s.input(ctx, ref)
	if err != nil || in.Batch.Callbacks == nil {
		return err
	}
	id, what := workflows.NotifyID(wid), "callbacks of batch "+ref.ID
	for try := 1; ; try++ {
		running, next, err := s.notified(ctx, ref, id, &in)
		switch {
		case err != nil:
			return s.translate(ctx, what, err)
		case running:
			err = s.c.SignalWorkflow(ctx, id, "", workflows.SignalChanged, nil)
			var missing *serviceerror.NotFound
			if errors.As(err, &missing) && try < renotifyTries {
				continue // it ended this instant
			}
			return s.translate(ctx, what, err)
		case next == nil:
			return nil
		}
		_, err = s.c.SignalWithStartWorkflow(ctx, id, workflows.SignalChanged, nil, client.StartWorkflowOptions{
			ID: id, TaskQueue: s.o.TaskQueue, StaticSummary: "callbacks",
		}, workflows.NotifyName, *next)
		return s.translate(ctx, what, err)
	}
}

// notified finds out how the batch's Notify stands: whether it runs, and if not what
// it goes on with; nil is that it does not.
func (s *Starter) notified(ctx context.Context, ref Ref, id string, in *workflows.Input) (running bool, next *workflows.NotifyInput, err error) {
	b := &in.Batch
	next = &workflows.NotifyInput{
		V: message.Version, ID: b.ID, Tenant: tenantOf(ref), Dialect: b.Dialect, Total: len(b.Messages), Callbacks: *b.Callbacks,
	}
	if in.Large != nil {
		next.Total, next.Large = in.Large.Total, true
	}
	dctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	d, err := s.c.DescribeWorkflowExecution(dctx, id, "")
	var missing *serviceerror.NotFound
	switch status := d.GetWorkflowExecutionInfo().GetStatus(); {
	case errors.As(err, &missing):
		// Temporal has forgotten it, or never had it: what the batch itself ended with
		// counts as told.
		next.Cursor, err = s.toldAtEnd(ctx, ref)
		return false, next, err
	case err != nil:
		return false, nil, err
	case isOpen(status):
		return true, nil, nil
	case status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return false, nil, nil
	}
	var res workflows.NotifyResult
	if err := s.c.GetWorkflow(ctx, id, "").Get(ctx, &res); err != nil {
		return false, nil, fmt.Errorf("read how callbacks ended: %w", err)
	}
	if res.Gone {
		return false, nil, nil
	}
	next.Cursor, next.Told, next.GivenUp = res.Cursor, res.Told, res.GivenUp
	return false, next, nil
}

// toldAtEnd is the cursor of a batch of which all was told when it ended; that of one
// that runs is nothing.
func (s *Starter) toldAtEnd(ctx context.Context, ref Ref) (activities.Cursor, error) {
	d, err := s.describe(ctx, ref)
	if err != nil || d.open {
		return activities.Cursor{}, err
	}
	res, err := s.result(ctx, ref)
	if err != nil {
		return activities.Cursor{}, err
	}
	return activities.Cursor{Rev: res.Status.Rev, Started: res.Status.StartedAt != nil, State: res.Status.State}, nil
}
