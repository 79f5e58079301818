package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"

	"volley/workflows/contract"

	"volley/internal/encryption"
)

// Translate turns what the SDK and the server answer into this package's errors.
// what names the thing asked for. An error of the caller's own context comes out
// as it is, and an unforeseen one stays readable behind what.
func Translate(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case IsOurs(err):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case outOfTime(ctx, err):
		return fmt.Errorf("%s: %w", what, context.DeadlineExceeded)
	}
	if noNamespace(err) {
		return fmt.Errorf("%s: %w: it finds no such namespace: %s", what, ErrUnreachable, err.Error())
	}
	if errors.Is(err, encryption.ErrNoKey) {
		return fmt.Errorf("%s: %w: %w", what, ErrSealed, err)
	}
	if TooLarge(err) {
		return fmt.Errorf("%s: %w: %s", what, ErrRefused, tooLarge)
	}
	code := statusCode(err)
	if code == codes.NotFound {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if known := serverErrors[code]; known != nil {
		return fmt.Errorf("%s: %w: %s", what, known, err.Error())
	}
	return fmt.Errorf("%s: %w", what, err)
}

// serverErrors are the errors that the server answers with, whose sentences say why.
var serverErrors = map[codes.Code]error{
	codes.InvalidArgument:   ErrInvalid,
	codes.ResourceExhausted: ErrBusy,
	codes.Unavailable:       ErrUnreachable,
	codes.DeadlineExceeded:  ErrUnreachable,
	codes.Canceled:          ErrUnreachable,
}

// tooLarge says what to do about payloads that are too large.
const tooLarge = "this Temporal server takes no payload of its size: ask for less at a time, or raise limit.blobSize.error in the server's dynamic configuration to its default of 2 MiB"

// deadlineSkew is how long before a caller's deadline a server may have ended the call
// for that deadline, which it was told.
const deadlineSkew = 100 * time.Millisecond

// outOfTime reports whether a call ended because the caller's time is over, though the
// caller's own clock has yet to say so.
func outOfTime(ctx context.Context, err error) bool {
	at, ok := ctx.Deadline()
	code := statusCode(err)
	return ok && time.Until(at) <= deadlineSkew && (code == codes.Canceled || code == codes.DeadlineExceeded)
}

// WorkerError is Translate for calls that a worker has to answer.
func (s *Server) WorkerError(ctx context.Context, what string, err error) error {
	return s.WorkerErrorBy(ctx, s.Client, what, err)
}

// WorkerErrorBy finds out on a connection what the server does not say.
func (s *Server) WorkerErrorBy(ctx context.Context, c client.Client, what string, err error) error {
	if err == nil || IsOurs(err) || ctx.Err() != nil || outOfTime(ctx, err) {
		return Translate(ctx, what, err)
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return applicationError(what, app.Type(), app.Message(), err)
	}
	var failed *serviceerror.QueryFailed
	if errors.As(err, &failed) && !TooLarge(err) {
		return applicationError(what, failed.Failure.GetApplicationFailureInfo().GetType(), failed.Message, err)
	}
	var late *client.WorkflowUpdateServiceTimeoutOrCanceledError
	code := statusCode(err)
	if code == codes.DeadlineExceeded || errors.As(err, &late) {
		return s.late(ctx, c, what)
	}
	if code == codes.FailedPrecondition {
		// No poller was seen lately, or the worker keeps failing the workflow's task.
		return fmt.Errorf("%s: %w: %s", what, ErrNoWorker, err.Error())
	}
	return Translate(ctx, what, err)
}

// HealthWait is how long a server may take to say that it is there.
const HealthWait = 2 * time.Second

// late tells why nothing came back in time: the SDK repeats a call to a server
// that is away until the deadline, so that the deadline itself says nothing.
func (s *Server) late(ctx context.Context, c client.Client, what string) error {
	ctx, cancel := context.WithTimeout(ctx, HealthWait)
	defer cancel()
	_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
	if errors.Is(serverErrors[statusCode(err)], ErrUnreachable) {
		return fmt.Errorf("%s: %w", what, ErrUnreachable)
	}
	return fmt.Errorf("%s: %w (%s)", what, ErrNoWorker, s.Wait)
}

// workflowErrors are the errors that workflows answer with, whose sentences say why.
var workflowErrors = map[string]error{
	contract.ErrInputType:     ErrInvalid,
	contract.ErrNoMessageType: ErrNotFound,
	contract.ErrLargeType:     ErrRefused,
}

func applicationError(what, kind, detail string, err error) error {
	if kind == contract.ErrEndedType {
		return fmt.Errorf("%s: %w", what, ErrEnded)
	}
	if known := workflowErrors[kind]; known != nil {
		return fmt.Errorf("%s: %w: %s", what, known, detail)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// noNamespace reports whether a server did not find the client's namespace, which a server
// whose database is slow says of one that is there. It is no answer to the call.
func noNamespace(err error) bool {
	var missing *serviceerror.NamespaceNotFound
	return errors.As(err, &missing)
}

// statusCode finds the gRPC status anywhere in an error's chain; none is Unknown.
func statusCode(err error) codes.Code {
	if errors.Is(err, context.DeadlineExceeded) {
		return codes.DeadlineExceeded
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if code := serviceerror.ToStatus(e).Code(); code != codes.Unknown {
			return code
		}
	}
	return codes.Unknown
}
