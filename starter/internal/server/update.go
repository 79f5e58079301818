package server

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"volley/workflows/contract"
)

// UpdateEvery is the time between two tries to reach a workflow.
const UpdateEvery = 100 * time.Millisecond

// Update makes an update of a segment's workflow, and tries until ctx ends where it
// cannot be taken now: the workflow may be between two runs. closed means that it has
// ended, or that nothing is left in it to be controlled.
func (s *Server) Update(ctx context.Context, wid, id, name string, out any, args ...any) (closed bool, err error) {
	for {
		err := Update(ctx, s.Client, wid, id, name, out, args...)
		var app *temporal.ApplicationError
		switch {
		case err == nil:
			return false, nil
		case IsNotFound(err), errors.As(err, &app) && app.Type() != contract.ErrLargeType:
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, s.WorkerError(context.WithoutCancel(ctx), "workflow "+wid, err)
		case <-time.After(UpdateEvery):
		}
	}
}
