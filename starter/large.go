package starter

import (
	"context"

	"volley/internal/message"
)

// Incoming yields the messages of a request that is too large to be held. Routes
// and problems of messages are decided already.
type Incoming interface {
	// Header is all but the messages. Hops and policies are complete once Next has
	// returned false; those of a message's route are there when it is yielded.
	// StartLarge sets id, tenant, times and bounds in it.
	Header() *message.Batch
	// Next yields the next message, in the order of indexes, and false after the
	// last one.
	Next(m *message.Message) bool
	// End is called once, after Next has returned false. It returns a hash of the
	// body as received, or why nothing of the request may run.
	End() (content []byte, err error)
}

// StartLarge starts a large batch out of a stream, or answers with the one that
// has the same id and the same content. r.Batch and r.Body are not used.
//
// Errors: what in.End said, *NoneValidError, ErrStoreNotShared, and those of Start.
// After an error nothing of the batch is left.
func (s *Starter) StartLarge(ctx context.Context, r Request, in Incoming) (Started, error) {
	return Started{}, invalid("large batches need a store")
}
