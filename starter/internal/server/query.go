package server

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"volley/workflows/contract"
)

// queryTries is how often a question is put that met the end of one run of an
// open batch, or a worker that could not answer it at that HistoryPosition.
const queryTries = 5

// Query asks an open workflow and reads the answer into out. It reports true,
// and leaves out as it is, when the workflow has closed.
func (s *Server) Query(ctx context.Context, wid string, out any, name string, args ...any) (closed bool, err error) {
	// The SDK gives one call half of what is left until the deadline.
	qctx, cancel := context.WithTimeout(ctx, 2*s.Wait)
	defer cancel()
	for try := 1; ; try++ {
		res, err := s.Client.QueryWorkflowWithOptions(qctx, &client.QueryWorkflowWithOptionsRequest{
			WorkflowID: wid, QueryType: name, Args: args,
			QueryRejectCondition: enumspb.QUERY_REJECT_CONDITION_NOT_OPEN,
		})
		var failed *serviceerror.QueryFailed
		switch {
		case (errors.As(err, &failed) && !IsLoading(err) || MetStoppingWorker(qctx, err)) && try < queryTries:
			continue
		case err != nil:
			return false, err
		case res.QueryRejected == nil:
			return false, res.QueryResult.Get(out)
		}
		switch res.QueryRejected.GetStatus() {
		case enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
			if try < queryTries {
				continue // the next run is there by now
			}
			return false, fmt.Errorf("%w: the batch went on in another run, again and again", ErrNoWorker)
		case enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED:
			return false, fmt.Errorf("%w: the workflow is paused by Temporal's own means", ErrNoWorker)
		default:
			return true, nil
		}
	}
}

// MetStoppingWorker reports whether a question went to a worker that was stopping: the
// server ends it as canceled though nobody has canceled it.
func MetStoppingWorker(ctx context.Context, err error) bool {
	var canceled *serviceerror.Canceled
	return errors.As(err, &canceled) && ctx.Err() == nil
}

// Update runs an update of a workflow to its end and reads its answer into out. The server
// knows one of the same id when it is asked for again.
func Update(ctx context.Context, c client.Client, wid, id, name string, out any, args ...any) error {
	h, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID: id, WorkflowID: wid, UpdateName: name, Args: args, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	return h.Get(ctx, out)
}

// IsLoading reports whether a segment answered that it has yet to be read.
func IsLoading(err error) bool {
	var failed *serviceerror.QueryFailed
	return errors.As(err, &failed) && failed.Failure.GetApplicationFailureInfo().GetType() == contract.ErrLoadingType
}
