package intake

import "volley/internal/message"

// Buffered is a request that has been decoded as a whole.
type Buffered struct {
	// Body is the request as received.
	Body []byte
	// Batch is nil where nothing could be made of the request.
	Batch *message.Batch
	// Problems are all of them, those of single messages too, but for messages that are
	// left out as asked.
	Problems message.Problems
	// Warnings are what the caller should know and what stops nothing.
	Warnings message.Problems
	// Excluded is how many messages are left out as asked, and Suppressed how many of
	// these since their recipients want no messages.
	Excluded, Suppressed int
	// None means that none of the request may run.
	None bool

	strict bool
}

// Buffered decodes a request that is in memory, see IsBuffered. Where Options.Ended ends
// it, None is true and the rest has no meaning.
func (q *Request) Buffered() *Buffered {
	w := &Buffered{Body: q.source.body, strict: q.o.Strict}
	w.Batch, w.Problems = q.o.Dialect.Decode(w.Body, q.o.Options)
	w.None = w.Problems.Whole() || w.Batch == nil
	if w.Batch == nil {
		return w
	}
	if problems := q.complete(w.Batch); len(problems) > 0 {
		w.Problems, w.None = append(w.Problems, problems...), true
	}
	if q.caller.Router != nil && !w.None {
		ways := q.caller.Router.Acceptance(w.Batch, q.o.Dialect.Recipient)
		numbers := newRecipients(w.Batch, q.o.Dialect.Recipient)
		for i := range w.Batch.Messages {
			if q.givenUp(i) {
				w.None = true
				return w
			}
			m := &w.Batch.Messages[i]
			ways.Accept(i, m)
			numbers.accept(i, m)
		}
	}
	s := q.newFilter()
	var own message.Problems
	for i := range w.Batch.Messages {
		if q.givenUp(i) {
			w.None = true
			return w
		}
		m := &w.Batch.Messages[i]
		s.apply(i, m, w.Batch.Region)
		if !q.o.leavesOut(m.Problems) {
			own = append(own, m.Problems...)
		}
	}
	w.Excluded, w.Suppressed = s.excluded, s.suppressed
	w.None = w.None || q.allOrNothing() && len(own) > 0 || q.o.refuses(own)
	w.Problems = append(w.Problems, own...)
	w.Warnings = append(w.Batch.Warnings, s.warnings()...)
	return w
}

// givenUp reports at some of the messages whether nobody waits for the batch any more.
func (q *Request) givenUp(i int) bool { return i%100 == 0 && q.o.Ended != nil && q.o.Ended() }

// Total and Valid count messages; a request that cannot be read has none.
func (w *Buffered) Total() int {
	if w.Batch == nil {
		return 0
	}
	return len(w.Batch.Messages)
}

// Valid is how many messages may run.
func (w *Buffered) Valid() int {
	if w.None || w.Batch == nil {
		return 0
	}
	return w.Total() - w.Batch.Rejected()
}

// Refusal says why nothing of the request may start, as a *RefusalError; nil is
// that it may.
func (w *Buffered) Refusal() error {
	return refusal(w.None, w.strict, w.Total(), w.Valid(), w.Excluded, w.Suppressed)
}
