package starter

import (
	"cmp"
	"context"
	"iter"

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

// source is where the messages of a large batch come from.
type source struct {
	header *message.Batch
	// messages are read once, in the order of indexes. An error is the last of them.
	messages iter.Seq2[message.Message, error]
	// hash is what a repeated start must match. That of a stream is empty until all of its
	// messages have been read.
	hash string
}

// streamSource is a source that is read as it comes in. It has its hash at once where all
// of the request is in memory.
func streamSource(in Incoming, r Request, tenant string) *source {
	src := &source{header: in.Header()}
	if r.Body != nil {
		src.hash = hashed("content", r.Body, src.header.Dialect, tenant, r.Flags)
	}
	src.messages = func(yield func(message.Message, error) bool) {
		for m := (message.Message{}); in.Next(&m); m = (message.Message{}) {
			if !yield(m, nil) {
				return
			}
		}
		content, err := in.End()
		if err != nil {
			yield(message.Message{}, err)
			return
		}
		if src.hash == "" {
			src.hash = hashed("stream", content, src.header.Dialect, tenant, r.Flags)
		}
	}
	return src
}

// memorySource is a source of the messages of a batch, which itself is not changed.
func memorySource(b *message.Batch, hash string) *source {
	header := *b
	header.Messages = nil
	return &source{header: &header, hash: hash, messages: func(yield func(message.Message, error) bool) {
		for i := range b.Messages {
			if !yield(b.Messages[i], nil) {
				return
			}
		}
	}}
}

// finalHash is the hash, for which a stream is read to its end.
func (src *source) finalHash(ctx context.Context) (string, error) {
	if src.hash != "" {
		return src.hash, nil
	}
	for _, err := range src.messages {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return "", err
		}
	}
	return src.hash, nil
}
