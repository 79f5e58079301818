package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

// failure is an answer that is not what was asked for, before a dialect gives it its
// shape. Its detail is for the caller.
type failure struct {
	status int
	code   string // one of the code constants
	name   string // the dialect's own for it; empty is the one that goes with status
	detail string
	// problems are those of a request; there may be more of them.
	problems message.Problems
	// warnings are those of a request.
	warnings message.Problems
	// retryAfter is when to come again; 0 is not told.
	retryAfter time.Duration
	// unread means that the rest of the request's body is not to be read.
	unread bool
	// batch is the one that the failure is about, if there is one.
	batch string
	// guessed means that a credential was given that nobody has.
	guessed bool
}

func (f *failure) Error() string { return f.code + ": " + f.detail }

// Codes of failures, as Volley's own API has them.
const (
	codeUnauthorized = "unauthorized"
	codeForbidden    = "forbidden"
	codeNotFound     = "not_found"
	codeMethod       = "method_not_allowed"
	codeMediaType    = "unsupported_media_type"
	codeInvalid      = "invalid"
	codeTooLarge     = "too_large"
	codeTooMany      = "too_many_requests"
	codeTooSlow      = "too_slow"
	codeConflict     = "conflict"
	codeEnded        = "ended"
	codeRuns         = "runs"
	codeRefused      = "refused"
	codeNoWorker     = "no_worker"
	codeUnavailable  = "unavailable"
	codeTimeout      = "timeout"
	// Nobody can say whether the batch has started, or the change was taken.
	codeMayHaveStarted = "may_have_started"
	codeMayHaveChanged = "may_have_changed"
	codeInternal       = "internal"
	// The gateway has no index.
	codeNoIndex = "no_index"
)

func fail(status int, code, detail string) *failure {
	return &failure{status: status, code: code, detail: detail}
}

func unauthorized() *failure {
	return guessed(http.StatusUnauthorized, codeUnauthorized, "the key is missing or not known")
}

// guessed is the failure of a credential that nobody has.
func guessed(status int, code, detail string) *failure {
	f := fail(status, code, detail)
	f.guessed = true
	return f
}

func notFound(what string) *failure { return fail(http.StatusNotFound, codeNotFound, what) }

// refused is the failure of a request with problems that keep all of it from
// starting.
func refused(why error, problems message.Problems) *failure {
	f := fail(http.StatusUnprocessableEntity, codeInvalid, why.Error())
	f.problems = problems
	for _, p := range problems {
		if p.Path == "" && (p.Code == message.CodeFormat || p.Code == message.CodeType) {
			f.status = http.StatusBadRequest // it could not be read at all
		}
	}
	return f
}

// Waits that clients are asked for.
const (
	waitForServer = 5 * time.Second
	waitForWorker = 10 * time.Second
	// waitForOperator is for what somebody has to set right first.
	waitForOperator = time.Minute
)

// closed is the failure of every request while nothing is taken on; nil is that it is.
func (g *Gateway) closed() *failure {
	if g.o.Closed() == nil {
		return nil
	}
	f := fail(http.StatusServiceUnavailable, codeUnavailable, "the gateway waits: its keyset is not right")
	f.retryAfter = waitForServer
	return f
}

// failureOf says what an error means to a caller. What is our own trouble is logged,
// and only named.
func (g *Gateway) failureOf(r *http.Request, err error) *failure {
	var f *failure
	var refusal *intake.RefusalError
	var none *starter.NoneValidError
	var large *starter.TooLargeError
	var limited *starter.RefusedError
	var body *http.MaxBytesError
	var missing *starter.MissingAttributesError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &none):
		return refused(err, none.Started.Problems)
	case errors.As(err, &refusal):
		return refused(err, nil)
	case errors.As(err, &limited):
		return refused(err, limited.Problems)
	case errors.As(err, &body):
		return fail(http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("the request is larger than %d bytes", body.Limit))
	case errors.As(err, &large), errors.Is(err, dialect.ErrTooLarge):
		return fail(http.StatusRequestEntityTooLarge, codeTooLarge, err.Error())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fail(http.StatusRequestTimeout, codeTooSlow, "the request came too slowly")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail(http.StatusBadRequest, codeInvalid, "the request broke off") // nobody reads it
	case errors.Is(err, starter.ErrNotFound):
		return notFound(err.Error())
	case errors.Is(err, starter.ErrConflict):
		return fail(http.StatusConflict, codeConflict, err.Error())
	case errors.Is(err, starter.ErrEnded):
		return fail(http.StatusConflict, codeEnded, err.Error())
	case errors.Is(err, starter.ErrStillRunning):
		return fail(http.StatusConflict, codeRuns, err.Error())
	case errors.Is(err, starter.ErrRefused):
		return fail(http.StatusConflict, codeRefused, err.Error())
	case errors.Is(err, starter.ErrInvalid):
		return fail(http.StatusUnprocessableEntity, codeInvalid, err.Error())
	}
	if r.Context().Err() != nil {
		return fail(http.StatusServiceUnavailable, codeUnavailable, "the request was given up") // nobody reads it
	}
	g.o.Log.Error("a request could not be served", zap.String("route", r.Pattern), zap.Error(err))
	if f := unanswered(err); f != nil {
		return f
	}
	unavailable := func(code, detail string, wait time.Duration) *failure {
		f := fail(http.StatusServiceUnavailable, code, detail)
		f.retryAfter = wait
		return f
	}
	switch {
	case errors.Is(err, starter.ErrNoWorker):
		return unavailable(codeNoWorker, "no worker answers", waitForWorker)
	case errors.Is(err, starter.ErrBusy):
		return unavailable(codeUnavailable, "Temporal has too much to do", waitForServer)
	case errors.Is(err, starter.ErrStoreAway):
		return unavailable(codeUnavailable, "the store of large batches is away: it has to be mounted again", waitForOperator)
	case errors.Is(err, starter.ErrStoreSealed):
		return unavailable(codeUnavailable, "the store of large batches cannot be opened: the gateway lacks a key", waitForOperator)
	case errors.Is(err, starter.ErrSealed):
		return unavailable(codeUnavailable, "the batch cannot be opened: the gateway lacks a key", waitForOperator)
	case errors.Is(err, starter.ErrStore):
		return unavailable(codeUnavailable, "the store of large batches does not answer", waitForServer)
	case errors.Is(err, starter.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return unavailable(codeUnavailable, "Temporal does not answer", waitForServer)
	case errors.Is(err, starter.ErrStoreNotShared):
		return unavailable(codeUnavailable, "the store of large batches is not shared with the workers", waitForOperator)
	case errors.As(err, &missing):
		return unavailable(codeUnavailable, err.Error(), waitForOperator)
	}
	return fail(http.StatusInternalServerError, codeInternal, "something went wrong inside")
}

// unanswered is the failure of a call that Temporal may have carried out; nil for any
// other error. It sets no Retry-After for a start, which must not be repeated blindly:
// repeatable adds it where a repetition is the same batch. A change may always be
// repeated.
func unanswered(err error) *failure {
	var may *starter.MayHaveStartedError
	switch {
	case errors.As(err, &may):
		f := fail(http.StatusGatewayTimeout, codeMayHaveStarted, "Temporal did not answer: batch "+may.Ref.ID+" may have started, its status says whether it has")
		f.batch = may.Ref.ID
		return f
	case errors.Is(err, starter.ErrMayHaveChanged):
		f := fail(http.StatusGatewayTimeout, codeMayHaveChanged, "Temporal did not answer: the change may have been recorded, and can be asked for again")
		f.retryAfter = waitForServer
		return f
	}
	return nil
}

// repeatable adds a Retry-After to the failure of a start whose repetition is the same
// batch, by its id or key.
func (g *Gateway) repeatable(r *http.Request, err error) error {
	if !errors.Is(err, starter.ErrMayHaveStarted) {
		return err
	}
	f := g.failureOf(r, err)
	f.retryAfter = waitForServer
	return f
}

// leavesOut reports whether an error is of one batch alone, such as one that is damaged:
// lists leave that out, and the log has it. An error of all, or of the request, is not, and
// a change tells of each.
func (g *Gateway) leavesOut(r tenantRequest, batch string, err error) bool {
	if err == nil || r.Method != http.MethodGet || r.Context().Err() != nil {
		return false
	}
	var f *failure
	for _, all := range []error{
		starter.ErrUnreachable, starter.ErrBusy, starter.ErrNoWorker, starter.ErrStore, starter.ErrInvalid, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, all) || errors.As(err, &f) {
			return false
		}
	}
	g.o.Log.Error("a batch cannot be read, and is left out of a list", zap.String("route", r.Pattern), zap.String("batch", batch), zap.Error(err))
	return true
}
