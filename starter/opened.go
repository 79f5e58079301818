package starter

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/message"
	"volley/workflows"
)

// Pauses between two looks at whether a worker has opened a batch.
const (
	firstLook = 20 * time.Millisecond
	maxLook   = time.Second
	// busyWait is how much longer a worker may take that has said that it looks.
	busyWait = 10 * time.Second
)

// opened waits until a worker has read the batch from the store, or for
// Options.Wait. It fails only when workers said that their store does not have it:
// then the batch is removed again. A store that cannot be read now may be later.
func (s *Starter) opened(ctx context.Context, ref Ref, dir string) error {
	patience := s.o.Wait
	began := time.Now()
	timer := time.NewTimer(firstLook)
	defer timer.Stop()
	for pause := firstLook; ; pause = min(2*pause, maxLook) {
		timer.Reset(pause)
		wctx, cancel := context.WithTimeout(ctx, patience-time.Since(began))
		var o message.Overview
		err := s.look(wctx, ref, &o)
		cancel()
		switch {
		case err != nil:
			s.o.Log.Debug("nobody could say whether the batch was opened", zap.String("batch_id", ref.ID), zap.Error(err))
		case o.Missing:
			return s.refuse(ctx, ref, dir, o.Fault)
		case o.Opened || o.Status.State.Closed():
			return nil
		default: // a worker is there, and still looks for the batch
			patience = s.o.Wait + busyWait
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if time.Since(began) >= patience {
			return nil
		}
	}
}

// look asks the workflow for its overview, also when it has ended.
func (s *Starter) look(ctx context.Context, ref Ref, o *message.Overview) error {
	res, err := s.c.QueryWorkflowWithOptions(ctx, &client.QueryWorkflowWithOptionsRequest{
		WorkflowID: WorkflowID(ref), QueryType: workflows.QueryOverview,
	})
	if err != nil {
		return err
	}
	if res.QueryResult == nil {
		return errors.New("the query was rejected")
	}
	return res.QueryResult.Get(o)
}

// refuse takes back a batch that no worker can read.
func (s *Starter) refuse(ctx context.Context, ref Ref, dir, fault string) error {
	cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanWait)
	defer cancel()
	wid := WorkflowID(ref)
	err := s.c.TerminateWorkflow(cctx, wid, "", "the worker cannot see the store that the batch was written to")
	if gone(err) {
		err = nil
	}
	if err == nil {
		err = s.remove(cctx, wid, "")
	}
	s.forget(ctx, dir)
	if err == nil {
		err = s.vanished(cctx, ref)
	}
	refused := fmt.Errorf("%w: the worker does not find the batch in the store that this process writes to%s; "+
		"both need the same store (%s)", ErrStoreNotShared, inStore(s.o.StoreURL), fault)
	if err != nil {
		return errors.Join(refused, s.translate(ctx, "remove batch "+ref.ID, err))
	}
	return refused
}

// remove deletes a workflow's run, the latest when runID is empty. One that is not
// there is no error.
func (s *Starter) remove(ctx context.Context, workflowID, runID string) error {
	_, err := s.c.WorkflowService().DeleteWorkflowExecution(ctx, &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: s.o.Namespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: workflowID, RunId: runID},
	})
	if gone(err) {
		return nil
	}
	return err
}

// gone reports that Temporal does not have the workflow, or that it has ended.
func gone(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

// inStore names a store in a sentence, without credentials.
func inStore(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return ", " + u.String()
}
