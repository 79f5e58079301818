package starter

import (
	"fmt"
	"strings"

	"volley/internal/message"
	"volley/starter/internal/server"
)

// Errors that callers tell apart. They come wrapped with what was asked for.
var (
	// ErrNotFound: no such batch or message; nothing was done.
	ErrNotFound = server.ErrNotFound
	// ErrConflict: a batch with this id and other content is there.
	ErrConflict = server.ErrConflict
	// ErrUnreachable: Temporal did not answer.
	ErrUnreachable = server.ErrUnreachable
	// ErrBusy: Temporal refuses calls because there are too many of them; nothing was done.
	ErrBusy = server.ErrBusy
	// ErrNoWorker: Temporal answers, but no worker did within ten seconds
	// (Options.Wait).
	ErrNoWorker = server.ErrNoWorker
	// ErrEnded: the batch has ended, so that there is nothing to control.
	ErrEnded = server.ErrEnded
	// ErrStillRunning: the batch still runs, which keeps it from being deleted or redriven.
	ErrStillRunning = server.ErrStillRunning
	// ErrDeletionPending: the batch is deleted, and Temporal has yet to forget it. Until then its
	// id is not free.
	ErrDeletionPending = server.ErrDeletionPending
	// ErrInvalid: an argument makes no sense (a bad id, time, state, cursor).
	ErrInvalid = server.ErrInvalid
	// ErrRefused: the batch cannot do what was asked for as it stands, or not that much of
	// it. The error says why, and what can be done instead.
	ErrRefused = server.ErrRefused
	// ErrStore: the store of large batches cannot be read or written now. That something
	// is not in it, or damaged, is another error.
	ErrStore = server.ErrStore
	// ErrStoreAway: the store is another bucket than it was, or a folder that is not
	// mounted. Nothing was started. It is an ErrStore.
	ErrStoreAway = server.ErrStoreAway
	// ErrStoreSealed: what was asked for is sealed with a key that this process does not
	// have, or for another namespace. Nothing was started. It is an ErrStore.
	ErrStoreSealed = server.ErrStoreSealed
	// ErrSealed: what Temporal keeps of it is sealed with a key that this process does not
	// have.
	ErrSealed = server.ErrSealed
	// ErrStoreNotShared: the worker does not see the store that large batches are
	// written to. Nothing was started.
	ErrStoreNotShared = server.ErrStoreNotShared
	// ErrNoStore: a report came after its batch had ended, and there is no store to
	// keep it in.
	ErrNoStore = server.ErrNoStore
	// ErrReportAgain: reports cannot be taken for the moment, as too many others of their
	// batch wait, or no batch of that id is known yet. They are to be given again in a few
	// seconds.
	ErrReportAgain = server.ErrReportAgain
)

// ErrMayHaveStarted: the start of a batch reached out to Temporal, and no answer says
// whether it has begun; it is a *MayHaveStartedError.
var ErrMayHaveStarted = server.ErrMayHaveStarted

// ErrMayHaveChanged: a cancel, pause, resume or reschedule reached out to Temporal, and
// no answer says whether it was taken. Each of them may be asked for again.
var ErrMayHaveChanged = server.ErrMayHaveChanged

// MayHaveStartedError names the batch of which nobody can say whether it has started. A
// start with the same id and content is safe, and says so. It is an ErrMayHaveStarted.
type MayHaveStartedError = server.MayHaveStartedError

// invalid makes an error an ErrInvalid.
type invalid struct{}

// Unwrap is ErrInvalid.
func (invalid) Unwrap() error { return ErrInvalid }

// TooLargeError refuses a batch that does not fit into one workflow. It is an
// ErrInvalid.
type TooLargeError struct {
	invalid
	// Messages and MaxMessages are what the batch has and what it may have.
	Messages, MaxMessages int
	// Bytes is the size of the encoded input, MaxBytes what it may be. Bytes is 0
	// when there are too many messages already.
	Bytes, MaxBytes int
}

func (e *TooLargeError) Error() string {
	if e.Messages > e.MaxMessages {
		return fmt.Sprintf("the batch has %s, at most %s are possible", message.Plural(e.Messages, "message"), message.Number(e.MaxMessages))
	}
	return fmt.Sprintf("the batch has %s when encoded, at most %s are possible", message.Plural(e.Bytes, "byte"), message.Number(e.MaxBytes))
}

// PayloadError refuses a batch of which something is larger than what the Temporal server
// takes in one payload, although it is within Options.MaxBytes: its input, or what its
// workflow would have to hand on or return. Nothing was started. It is an ErrInvalid.
type PayloadError struct {
	invalid
	Ref Ref
	// MaxBytes is how large the encoded input may be that goes into one workflow.
	MaxBytes int
}

func (e *PayloadError) Error() string {
	return fmt.Sprintf("batch %s: this Temporal server takes no payload of its size: raise limit.blobSize.error in the server's dynamic configuration to its default of 2 MiB, or set limits.inline_bytes, which is %s, below it and give Volley a store, through which goes what is larger",
		e.Ref.ID, message.Number(e.MaxBytes))
}

// RefusedError refuses a batch for what is wrong with the request at one place of
// it, beyond what its dialect checks; nothing was started. It is an ErrInvalid.
type RefusedError struct {
	invalid
	Problems message.Problems
}

func (e *RefusedError) Error() string { return e.Problems[0].Detail }

// NoneValidError refuses a large batch of which no message is valid; nothing was
// started. It is an ErrInvalid.
type NoneValidError struct {
	invalid
	// Started has the total, how many were rejected, and the first problems.
	Started Started
}

func (e *NoneValidError) Error() string {
	return fmt.Sprintf("none of the %s is valid", message.Plural(e.Started.Total, "message"))
}

// MissingAttributesError means that the Temporal server lacks search attributes that
// what was asked for needs.
type MissingAttributesError struct {
	// Names are sorted as in the documentation.
	Names []string
}

func (e *MissingAttributesError) Error() string {
	return fmt.Sprintf("the Temporal server lacks the search attributes %s; `volley setup` adds them", strings.Join(e.Names, ", "))
}
