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

// Incoming is a request that comes message by message, because it may be larger
// than memory. Its messages leave in the order of the request with their ways
// decided, rejected ones too. It is a starter.Incoming.
type Incoming struct {
	request *Request
	stream  *dialect.Stream
	// header is nil when the request is refused before its first message.
	header *message.Batch
	ways   *message.Acceptance // nil where routing is not checked
	log    Log
	// own are problems of the header that the stream does not know.
	own message.Problems

	total, rejected int
	// malformed means that a message was read that refuses the whole request.
	malformed bool
	ended     bool
	err       error
}

// errRejected ends a strict request at its first problem.
var errRejected = errors.New("a message is rejected")

// Incoming begins to read a request message by message; problems go to log as they
// are found. A strict one ends before its first rejected message. The caller closes
// it.
func (q *Request) Incoming(log Log) (*Incoming, error) {
	s, err := dialect.Open(q.o.Dialect, q.source, q.limits.BodyBytes, q.o.Options)
	if err != nil {
		return nil, err
	}
	in := &Incoming{request: q, stream: s, header: s.Header(), log: log}
	if in.header == nil {
		return in, nil
	}
	in.own = q.complete(in.header)
	if q.caller.Router != nil {
		in.ways = q.caller.Router.Acceptance(in.header, q.o.Dialect.Recipient)
	}
	return in, nil
}

// Header is the batch without messages; its hops and policies grow. It is nil when
// the request is refused before its first message.
func (in *Incoming) Header() *message.Batch { return in.header }

// Next reads the next message into m. It is false behind the last one and where
// none of the request may run; End tells the difference.
func (in *Incoming) Next(m *message.Message) bool {
	if in.err == nil && len(in.own) > 0 {
		in.err = in.Refusal()
	}
	if in.err != nil || !in.Read(m) {
		return false
	}
	if len(m.Problems) > 0 && (in.request.o.Strict || in.request.allOrNothing() || in.malformed) {
		in.err = errRejected
		return false
	}
	return true
}

// End is the sum of the request's bytes, or why none of it may run.
func (in *Incoming) End() ([]byte, error) { return in.request.source.sum.Sum(nil), in.err }

// Read is Next without an end at the first problem of a strict request.
func (in *Incoming) Read(m *message.Message) bool {
	if in.ended {
		return false
	}
	if in.header == nil || !in.stream.Next(m) {
		in.end()
		return false
	}
	i := in.total
	in.total++
	if in.ways != nil {
		in.ways.Accept(i, m)
	}
	if len(m.Problems) > 0 {
		in.rejected++
		in.malformed = in.malformed || in.request.o.refuses(m.Problems)
		in.keep(m.Problems)
	}
	return !in.ended
}

// Reject counts the message that was read last as rejected, for a problem that was
// found later.
func (in *Incoming) Reject(problems message.Problems) error {
	in.rejected++
	return in.log.Add(problems...)
}

func (in *Incoming) keep(problems message.Problems) {
	if err := in.log.Add(problems...); err != nil {
		in.err, in.ended = err, true
	}
}

// end tells, once, how the request ended.
func (in *Incoming) end() {
	in.ended = true
	if err := in.stream.Err(); err != nil {
		in.err = err
		return
	}
	in.keep(in.stream.Problems())
	in.keep(in.own)
	if in.err == nil {
		in.err = in.Refusal()
	}
}

// Rest reads on to the end of a request that is refused, so that all its problems
// are found. The error is that it could not be read.
func (in *Incoming) Rest() error {
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
func (in *Incoming) Refusal() error {
	return refusal(in.none(), in.request.o.Strict, in.total, in.Valid())
}

// none is true where none of the request may run.
func (in *Incoming) none() bool {
	return in.header == nil || len(in.own) > 0 || len(in.stream.Problems()) > 0 || in.malformed || in.request.allOrNothing() && in.rejected > 0
}

// Total is how many messages have been read.
func (in *Incoming) Total() int { return in.total }

// Valid is how many of those that have been read may run.
func (in *Incoming) Valid() int {
	if in.none() {
		return 0
	}
	return in.total - in.rejected
}

// Bytes is how many have been read.
func (in *Incoming) Bytes() int64 { return in.request.source.read }

// Refused is true once it is known that none of the request may start.
func (in *Incoming) Refused() bool {
	var refused *RefusalError
	return errors.Is(in.err, errRejected) || errors.As(in.err, &refused)
}

// Close ends the work in the background. What was opened stays the caller's.
func (in *Incoming) Close() { in.stream.Close() }
