package callback

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"volley/internal/message"
)

// Few is the largest batch that has an event for each message without asking for them.
const Few = 1_000

// maxRows is the most messages in one callback of a large batch.
const maxRows = 100

// Types of batch events. Those of message events are "message." and the message's
// state; one that tells of several messages is TypeMessages.
const (
	TypeStarted  = "batch.started"
	TypePaused   = "batch.paused"
	TypeResumed  = "batch.resumed"
	TypeHeld     = "batch.held" // in place of TypePaused where the batch paused itself
	TypeMessages = "messages"
	// TypeAccountHeld is that messages of the batch wait, since their account is held, or
	// whatever else a hold names.
	TypeAccountHeld = "account.held"

	typeBatch   = "batch."
	typeMessage = "message."
)

// TypeOfMessage is the type of the event that tells of a message in a state.
func TypeOfMessage(s message.State) string { return typeMessage + s.String() }

// Types lists the types of the events that there are, and the two that stand for all
// of their kind.
func Types() []string {
	types := []string{typeBatch + "*", TypeStarted, TypePaused, TypeResumed, TypeHeld, TypeAccountHeld}
	for _, s := range []message.BatchState{message.BatchCanceling, message.BatchCompleted, message.BatchCanceled, message.BatchFailed} {
		types = append(types, typeBatch+string(s))
	}
	types = append(types, typeMessage+"*")
	for _, s := range message.States() {
		if s.Final() {
			types = append(types, TypeOfMessage(s))
		}
	}
	return types
}

// Event is one callback to deliver.
type Event struct {
	// ID is the same in every attempt to deliver the event, so that a receiver can drop
	// repetitions.
	ID   string
	Type string
	// At is when it happened.
	At    time.Time
	Batch message.Status
	// Rows are the messages that it tells of: none in a batch event, one in a message
	// event.
	Rows []message.Row
	// Request holds the caller's template and, in a message event, the message. Formats
	// for which Repeats is true need it.
	Request Request
}

// Request is a part of the caller's request.
type Request struct {
	Template message.Template
	Message  message.Message
}

// BatchEvent tells of a batch's state. n counts the batch's own events, so that one
// that comes again is another event.
func BatchEvent(st message.Status, typ string, n int) Event {
	at := st.AsOf
	switch {
	case typ == TypeStarted && st.StartedAt != nil:
		at = *st.StartedAt
	case st.State.Closed() && st.FinishedAt != nil:
		at = *st.FinishedAt
	}
	return Event{ID: idOf(st, typ, int64(n), 0), Type: typ, At: at.UTC(), Batch: st}
}

// TypeOf is the type of the event that tells of a state; before is the state told
// last.
func TypeOf(before, state message.BatchState) string {
	switch {
	case state.Closed() || state == message.BatchCanceling || state == message.BatchPaused:
		return typeBatch + string(state)
	case before == message.BatchPaused:
		return TypeResumed
	}
	return TypeStarted
}

// MessageEvent tells of one message.
func MessageEvent(st message.Status, row message.Row) Event {
	return Event{
		ID: idOf(st, typeMessage, int64(row.Index), row.Rev), Type: TypeOfMessage(row.State),
		At: timeOf(st, row), Batch: st, Rows: []message.Row{row},
	}
}

// MessagesEvent tells of several messages at once; rows has at least one.
func MessagesEvent(st message.Status, rows []message.Row) Event {
	h := sha256.New()
	at := timeOf(st, rows[0])
	for _, row := range rows {
		h.Write([]byte(idOf(st, typeMessage, int64(row.Index), row.Rev)))
		if t := timeOf(st, row); t.After(at) {
			at = t
		}
	}
	return Event{ID: prefix + hex.EncodeToString(h.Sum(nil)[:16]), Type: TypeMessages, At: at, Batch: st, Rows: rows}
}

func timeOf(st message.Status, row message.Row) time.Time {
	if row.FinishedAt != nil {
		return row.FinishedAt.UTC()
	}
	return st.AsOf.UTC()
}

const prefix = "evt_"

// idOf derives an event's id. The batch's creation is in it, since an id whose batch
// was deleted may be used again.
func idOf(st message.Status, what string, a, b int64) string {
	h := sha256.New()
	h.Write([]byte(message.WorkflowID(st.Tenant, st.ID) + "\n" + what + "\n"))
	var n [24]byte
	binary.BigEndian.PutUint64(n[:], uint64(st.CreatedAt.UnixMilli()))
	binary.BigEndian.PutUint64(n[8:], uint64(a))
	binary.BigEndian.PutUint64(n[16:], uint64(b))
	h.Write(n[:])
	return prefix + hex.EncodeToString(h.Sum(nil)[:16])
}
