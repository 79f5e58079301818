package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"volley/internal/store"
)

// StoreError says what the store was asked for. A batch that is too large even for
// the store is ErrInvalid; what is lost, and that the caller gave up, stays what it is,
// one that is away is ErrStoreAway, what cannot be opened ErrStoreSealed, and all else is ErrStore. Nil stays nil.
func StoreError(what string, err error) error {
	var large *store.TooLarge
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return fmt.Errorf("%s: %w: %w", what, ErrInvalid, err)
	case store.Lost(err), errors.Is(err, context.Canceled), IsOurs(err):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, store.ErrAway):
		return fmt.Errorf("%s: %w: %w", what, ErrStoreAway, err)
	case errors.Is(err, store.ErrSealed):
		return fmt.Errorf("%s: %w: %w", what, ErrStoreSealed, err)
	}
	return fmt.Errorf("%s: %w: %w", what, ErrStore, err)
}

// IsOurs reports whether an error is one of those that callers tell apart.
func IsOurs(err error) bool {
	return slices.ContainsFunc([]error{
		ErrNotFound, ErrConflict, ErrUnreachable, ErrBusy, ErrNoWorker, ErrEnded, ErrStillRunning, ErrInvalid, ErrRefused,
		ErrStore, ErrSealed, ErrStoreNotShared, ErrNoStore, ErrReportAgain, ErrMayHaveStarted, ErrMayHaveChanged,
	}, func(ours error) bool { return errors.Is(err, ours) })
}

// awayError is the type of ErrStoreAway.
type awayError struct{}

func (awayError) Error() string { return "the store is away" }

// Unwrap makes it an ErrStore.
func (awayError) Unwrap() error { return ErrStore }

// sealedError is the type of ErrStoreSealed.
type sealedError struct{}

func (sealedError) Error() string { return "the store cannot be opened" }

// Unwrap makes it an ErrStore.
func (sealedError) Unwrap() error { return ErrStore }

// invalidError is an ErrInvalid whose sentence says what is wrong, so that it needs
// no "invalid" in it.
type invalidError struct{ text string }

func (e *invalidError) Error() string { return e.text }

// Unwrap makes the error an ErrInvalid.
func (e *invalidError) Unwrap() error { return ErrInvalid }

// Invalid is an ErrInvalid with a sentence of its own.
func Invalid(format string, args ...any) error {
	return &invalidError{fmt.Sprintf(format, args...)}
}

// Errors that callers tell apart. They come wrapped with what was asked for.
var (
	// ErrNotFound: no such batch or message; nothing was done.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a batch with this id and other content is there.
	ErrConflict = errors.New("a batch with this id and other content exists")
	// ErrUnreachable: Temporal did not answer.
	ErrUnreachable = errors.New("temporal is not reachable")
	// ErrBusy: Temporal refuses calls because there are too many of them; nothing was done.
	ErrBusy = errors.New("temporal has too much to do")
	// ErrNoWorker: Temporal answers, but no worker did within ten seconds
	// (Options.Wait).
	ErrNoWorker = errors.New("no worker answered in time")
	// ErrEnded: the batch has ended, so that there is nothing to control.
	ErrEnded = errors.New("the batch has ended")
	// ErrStillRunning: the batch still runs, which keeps it from being deleted or redriven.
	ErrStillRunning = errors.New("the batch still runs")
	// ErrDeletionPending: the batch is deleted, and Temporal has yet to forget it. Until then its
	// id is not free.
	ErrDeletionPending = errors.New("temporal takes longer to forget it")
	// ErrInvalid: an argument makes no sense (a bad id, time, state, cursor).
	ErrInvalid = errors.New("invalid")
	// ErrRefused: the batch cannot do what was asked for as it stands, or not that much of
	// it. The error says why, and what can be done instead.
	ErrRefused = errors.New("the batch refuses it")
	// ErrStore: the store of large batches cannot be read or written now. That something
	// is not in it, or damaged, is another error.
	ErrStore = errors.New("the store does not answer")
	// ErrStoreAway: the store is another bucket than it was, or a folder that is not
	// mounted. It is an ErrStore.
	ErrStoreAway error = awayError{}
	// ErrStoreSealed: what was asked for is sealed with a key that this process does not
	// have, or for another namespace. It is an ErrStore.
	ErrStoreSealed error = sealedError{}
	// ErrSealed: what Temporal keeps is sealed with a key that this process does not have.
	ErrSealed = errors.New("a key is missing")
	// ErrStoreNotShared: the worker does not see the store that large batches are
	// written to. Nothing was started.
	ErrStoreNotShared = errors.New("the store is not shared")
	// ErrNoStore: a report came after its batch had ended, and there is no store to
	// keep it in.
	ErrNoStore = errors.New("there is no store to keep late reports in")
	// ErrReportAgain: reports cannot be taken for the moment. They are to be given again in
	// a few seconds.
	ErrReportAgain = errors.New("report again in a few seconds")
)

// ErrMayHaveStarted: the start of a batch reached out to Temporal, and no answer says
// whether it has begun; it is a *MayHaveStartedError.
var ErrMayHaveStarted = errors.New("the batch may have started")

// ErrMayHaveChanged: a cancel, pause, resume or reschedule reached out to Temporal, and
// no answer says whether it was taken. Each of them may be asked for again.
var ErrMayHaveChanged = errors.New("temporal did not answer; the change may have been recorded, and can be asked for again")

// MayHaveStartedError names the batch of which nobody can say whether it has started. A
// start with the same id and content is safe, and says so. It is an ErrMayHaveStarted.
type MayHaveStartedError struct {
	Ref Ref
	// Cause is why there is no answer.
	Cause error
}

func (e *MayHaveStartedError) Error() string {
	return fmt.Sprintf("batch %s may have started, no answer of Temporal says whether it has: %v", e.Ref.ID, e.Cause)
}

// Unwrap makes the error an ErrMayHaveStarted.
func (e *MayHaveStartedError) Unwrap() error { return ErrMayHaveStarted }
