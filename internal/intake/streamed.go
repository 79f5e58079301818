package intake

import (
	"errors"

	"volley/internal/dialect"
	"volley/internal/message"
)

// Log takes the problems of a request one by one. An error ends the reading.
type Log interface {
	Add(problems ...message.Problem) error
}

// Streamed is a request that is read message by message, because it may be larger than
// memory. It returns messages in the order of the request with their hops decided,
// rejected ones too. It is a starter.Incoming.
type Streamed struct {
	request *Request
	stream  *dialect.Stream
	// header is nil when the request is refused before its first message.
	header     *message.Batch
	acceptance *message.Acceptance // nil where routing is not checked
	recipients *recipients         // the same
	filter     *filter
	region     string // of the header
	log        Log
	// headerProblems are problems of the header that the stream does not know.
	headerProblems message.Problems

	total, rejected int
	// malformed means that a message was read that refuses the whole request.
	malformed bool
	ended     bool
	err       error
}

// errRejected ends a strict request at its first problem.
var errRejected = errors.New("a message is rejected")

// Streamed begins to read a request message by message; problems go to log as they
// are found. A strict one ends before its first rejected message. The caller closes
// it.
func (q *Request) Streamed(log Log) (*Streamed, error) {
	filter := q.newFilter()
	s, err := dialect.Open(q.o.Dialect, q.source, q.limits.BodyBytes, q.o.Options)
	if err != nil {
		return nil, err
	}
	in := &Streamed{request: q, stream: s, header: s.Header(), filter: filter, log: log}
	if in.header == nil {
		return in, nil
	}
	in.headerProblems = q.complete(in.header)
	in.region = in.header.Region
	if q.caller.Router != nil && len(in.headerProblems) == 0 {
		in.acceptance = q.caller.Router.Acceptance(in.header, q.o.Dialect.Recipient)
		in.recipients = newRecipients(in.header, q.o.Dialect.Recipient)
	}
	return in, nil
}

// Header is the batch without messages; its hops and policies grow. It is nil when
// the request is refused before its first message.
func (in *Streamed) Header() *message.Batch { return in.header }

// Next reads the next message into m. It is false behind the last one and where
// none of the request may run; End tells the difference.
func (in *Streamed) Next(m *message.Message) bool {
	if in.err == nil && len(in.headerProblems) > 0 {
		in.err = in.Refusal()
	}
	if in.err != nil || !in.Read(m) {
		return false
	}
	if in.malformed || len(m.Problems) > 0 && (in.request.o.Strict || in.request.allOrNothing()) && !in.request.o.leavesOut(m.Problems) {
		in.err = errRejected
		return false
	}
	return true
}

// End is the sum of the request's bytes, or why none of it may run.
func (in *Streamed) End() ([]byte, error) {
	if in.err != nil {
		return nil, in.err // the rest may still be read
	}
	return in.request.source.sum.Sum(nil), nil
}

// Read is Next without an end at the first problem of a strict request.
func (in *Streamed) Read(m *message.Message) bool {
	if in.ended {
		return false
	}
	if !in.stream.Next(m) {
		in.end()
		return false
	}
	i := in.total
	in.total++
	if in.acceptance != nil {
		in.acceptance.Accept(i, m)
		in.recipients.accept(i, m)
	}
	in.filter.apply(i, m, in.region)
	if len(m.Problems) > 0 {
		in.rejected++
		if !in.request.o.leavesOut(m.Problems) {
			in.malformed = in.malformed || in.request.o.refuses(m.Problems)
			in.keep(m.Problems)
		}
	}
	return !in.ended
}

// Reject counts the message that was read last as rejected, for a problem that was
// found later.
func (in *Streamed) Reject(problems message.Problems) error {
	in.rejected++
	return in.log.Add(problems...)
}

func (in *Streamed) keep(problems message.Problems) {
	if err := in.log.Add(problems...); err != nil {
		in.err, in.ended = err, true
	}
}

// end tells, once, how the request ended.
func (in *Streamed) end() {
	in.ended = true
	if err := in.stream.Err(); err != nil {
		in.err = err
		return
	}
	in.keep(in.stream.Problems())
	in.keep(in.headerProblems)
	if in.err == nil {
		in.err = in.Refusal()
	}
}

// Rest reads a refused request to its end, so that all its problems are found. An error
// means that it could not be read.
func (in *Streamed) Rest() error {
	if !in.ended {
		in.err = nil
	}
	var m message.Message
	for in.Read(&m) {
		m = message.Message{}
	}
	if in.err == nil || in.Refused() {
		return nil
	}
	return in.err
}

// Refusal says why nothing of a request that has ended may start.
func (in *Streamed) Refusal() error {
	return refusal(in.none(), in.request.o.Strict, in.total, in.Valid(), in.filter.excluded, in.filter.suppressed)
}

// none is true where none of the request may run.
func (in *Streamed) none() bool {
	return in.header == nil || len(in.headerProblems) > 0 || len(in.stream.Problems()) > 0 || in.malformed || in.request.allOrNothing() && in.rejected > in.filter.excluded
}

// Total is how many messages have been read.
func (in *Streamed) Total() int { return in.total }

// Valid is how many of those that have been read may run.
func (in *Streamed) Valid() int {
	if in.none() {
		return 0
	}
	return in.total - in.rejected
}

// Excluded is how many of those that have been read are left out as asked.
func (in *Streamed) Excluded() int { return in.filter.excluded }

// Suppressed is how many of these are left out since their recipients want no messages.
func (in *Streamed) Suppressed() int { return in.filter.suppressed }

// Warnings are what the caller should know and what stops nothing. Some are known
// before the first message is read, and all of them after the last one.
func (in *Streamed) Warnings() message.Problems {
	warnings := in.stream.Warnings()
	if in.ended {
		warnings = append(warnings[:len(warnings):len(warnings)], in.filter.warnings()...)
	}
	return warnings
}

// Bytes is how many have been read.
func (in *Streamed) Bytes() int64 { return in.request.source.read }

// Refused is true once it is known that none of the request may start.
func (in *Streamed) Refused() bool {
	var refused *RefusalError
	return errors.Is(in.err, errRejected) || errors.As(in.err, &refused)
}

// Close ends the work in the background. What was opened stays the caller's.
func (in *Streamed) Close() { in.stream.Close() }
