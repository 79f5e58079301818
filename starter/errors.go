package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"

	"volley/workflows"
)

// TooLargeError refuses a batch that does not fit into one workflow. It is an
// ErrInvalid.
type TooLargeError struct {
	// Messages and MaxMessages are what the batch has and what it may have.
	Messages, MaxMessages int
	// Bytes is the size of the encoded input, MaxBytes what it may be. Bytes is 0
	// when there are too many messages already.
	Bytes, MaxBytes int
}

func (e *TooLargeError) Error() string {
	if e.Messages > e.MaxMessages {
		return fmt.Sprintf("the batch has %d messages, at most %d are possible", e.Messages, e.MaxMessages)
	}
	return fmt.Sprintf("the batch has %d bytes when encoded, at most %d are possible", e.Bytes, e.MaxBytes)
}

// Unwrap makes the error an ErrInvalid.
func (e *TooLargeError) Unwrap() error { return ErrInvalid }

// NoneValidError refuses a large batch of which no message is valid; nothing was
// started. It is an ErrInvalid.
type NoneValidError struct {
	// Started has the total, how many were rejected, and the first problems.
	Started Started
}

func (e *NoneValidError) Error() string {
	return fmt.Sprintf("none of the %d messages is valid", e.Started.Total)
}

// Unwrap makes the error an ErrInvalid.
func (e *NoneValidError) Unwrap() error { return ErrInvalid }

// MissingAttributesError means that the Temporal server lacks search attributes
// without which no batch can start.
type MissingAttributesError struct {
	// Names are sorted as in the documentation.
	Names []string
}

func (e *MissingAttributesError) Error() string {
	return fmt.Sprintf("the Temporal server lacks the search attributes %s; `volley setup` adds them", strings.Join(e.Names, ", "))
}

// translate turns what the SDK and the server answer into this package's errors.
// what names the thing asked for. An error of the caller's own context comes out
// as it is, and an unforeseen one stays readable behind what.
func (s *Starter) translate(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case isOurs(err):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case outOfTime(ctx, err):
		return fmt.Errorf("%s: %w", what, context.DeadlineExceeded)
	}
	var nowhere *serviceerror.NamespaceNotFound
	if errors.As(err, &nowhere) {
		return fmt.Errorf("%s: the Temporal server has no such namespace: %w", what, err)
	}
	switch statusCode(err) {
	case codes.NotFound:
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	case codes.InvalidArgument:
		return fmt.Errorf("%s: %w: %s", what, ErrInvalid, err.Error())
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return fmt.Errorf("%s: %w: %s", what, ErrUnreachable, err.Error())
	}
	return fmt.Errorf("%s: %w", what, err)
}

// deadlineSkew is how long before a caller's deadline a server may have ended the call
// for that deadline, which it was told.
const deadlineSkew = 100 * time.Millisecond

// outOfTime reports whether a call ended because the caller's time is over, though the
// caller's own clock has yet to say so.
func outOfTime(ctx context.Context, err error) bool {
	at, ok := ctx.Deadline()
	if !ok || time.Until(at) > deadlineSkew {
		return false
	}
	code := statusCode(err)
	return code == codes.Canceled || code == codes.DeadlineExceeded
}

// workerError is translate for calls that a worker has to answer.
func (s *Starter) workerError(ctx context.Context, what string, err error) error {
	if err == nil || isOurs(err) || ctx.Err() != nil || outOfTime(ctx, err) {
		return s.translate(ctx, what, err)
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return applicationError(what, app.Type(), app.Message(), err)
	}
	var failed *serviceerror.QueryFailed
	if errors.As(err, &failed) {
		return applicationError(what, failed.Failure.GetApplicationFailureInfo().GetType(), failed.Message, err)
	}
	var late *client.WorkflowUpdateServiceTimeoutOrCanceledError
	switch code := statusCode(err); {
	case code == codes.DeadlineExceeded || errors.As(err, &late):
		return s.late(ctx, what)
	case code == codes.FailedPrecondition:
		// No poller was seen lately, or the worker keeps failing the workflow's task.
		return fmt.Errorf("%s: %w: %s", what, ErrNoWorker, err.Error())
	}
	return s.translate(ctx, what, err)
}

// healthWait is how long a server may take to say that it is there.
const healthWait = 2 * time.Second

// late tells why nothing came back in time: the SDK repeats a call to a server
// that is away until the deadline, so that the deadline itself says nothing.
func (s *Starter) late(ctx context.Context, what string) error {
	ctx, cancel := context.WithTimeout(ctx, healthWait)
	defer cancel()
	_, err := s.c.CheckHealth(ctx, &client.CheckHealthRequest{})
	switch code := statusCode(err); code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return fmt.Errorf("%s: %w", what, ErrUnreachable)
	default:
		return fmt.Errorf("%s: %w (%s)", what, ErrNoWorker, s.o.Wait)
	}
}

// applicationError maps the errors that workflows answer with.
func applicationError(what, kind, detail string, err error) error {
	switch kind {
	case workflows.ErrEndedType:
		return fmt.Errorf("%s: %w", what, ErrEnded)
	case workflows.ErrInputType:
		return fmt.Errorf("%s: %w: %s", what, ErrInvalid, detail)
	case workflows.ErrNoMessageType:
		return fmt.Errorf("%s: %w: %s", what, ErrNotFound, detail)
	case workflows.ErrLargeType:
		return fmt.Errorf("%s: %w: %s", what, ErrRefused, detail)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// statusCode finds the gRPC status anywhere in an error's chain.
func statusCode(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
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

func isOurs(err error) bool {
	for _, e := range []error{ErrNotFound, ErrConflict, ErrUnreachable, ErrNoWorker, ErrEnded, ErrRuns, ErrInvalid, ErrRefused, ErrStore, ErrStoreNotShared, ErrNoStore} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// invalidError is an ErrInvalid whose sentence says what is wrong, so that it needs
// no "invalid" in it.
type invalidError struct{ text string }

func (e *invalidError) Error() string { return e.text }

// Unwrap makes the error an ErrInvalid.
func (e *invalidError) Unwrap() error { return ErrInvalid }

func invalid(format string, args ...any) error {
	return &invalidError{fmt.Sprintf(format, args...)}
}
