package intake

import "volley/internal/message"

// Whole is a request that has been decoded as a whole.
type Whole struct {
	// Body is the request as received.
	Body []byte
	// Batch is nil where nothing could be made of the request.
	Batch *message.Batch
	// Problems are all of them, those of single messages too.
	Problems message.Problems
	// None means that none of the request may run.
	None bool

	strict bool
}

// Whole decodes a request that is Small.
func (q *Request) Whole() *Whole {
	w := &Whole{Body: q.source.head, strict: q.o.Strict}
	w.Batch, w.Problems = q.o.Dialect.Decode(w.Body, q.o.Options)
	w.None = w.Problems.Whole() || w.Batch == nil
	if w.Batch == nil {
		return w
	}
	if problems := q.complete(w.Batch); len(problems) > 0 {
		w.Problems, w.None = append(w.Problems, problems...), true
	}
	if q.caller.Router != nil && !w.None {
		q.caller.Router.Accept(w.Batch, q.o.Dialect.Recipient)
	}
	own := w.Batch.Problems()
	w.None = w.None || q.allOrNothing() && len(own) > 0 || q.o.refuses(own)
	w.Problems = append(w.Problems, own...)
	return w
}

// Total and Valid count messages; a request that cannot be read has none.
func (w *Whole) Total() int {
	if w.Batch == nil {
		return 0
	}
	return len(w.Batch.Messages)
}

// Valid is how many messages may run.
func (w *Whole) Valid() int {
	if w.None || w.Batch == nil {
		return 0
	}
	return w.Total() - w.Batch.Rejected()
}

// Refusal says why nothing of the request may start, as a *RefusalError; nil is
// that it may.
func (w *Whole) Refusal() error { return refusal(w.None, w.strict, w.Total(), w.Valid()) }
