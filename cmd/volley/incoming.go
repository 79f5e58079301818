package main

import (
	"errors"

	"volley/internal/config"
	"volley/internal/dialect"
	"volley/internal/message"
	"volley/starter"
)

var _ starter.Incoming = (*incoming)(nil)

// incoming is a request that comes message by message, because it may be larger
// than memory. Its messages leave in the order of the request with their ways
// decided, rejected ones too.
type incoming struct {
	*request
	stream *dialect.Stream
	// header is the batch without messages. Its hops and policies grow. It is nil
	// when the request is refused before its first message.
	header *message.Batch
	ways   *message.Acceptance // nil where routing is not checked
	log    *problemLog
	// strict ends the messages before the first that is rejected.
	strict bool

	total, rejected int
	ended           bool
	err             error
}

// errRejected ends a strict request at its first problem.
var errRejected = errors.New("a message is rejected")

func (a *app) incoming(r *request, c *config.Config, routed bool, log *problemLog) (*incoming, error) {
	a.lean()
	s, err := dialect.Open(r.dialect, r.source, c.Limits.BodyBytes, r.options)
	if err != nil {
		return nil, r.source.failed(err)
	}
	in := &incoming{request: r, stream: s, header: s.Header(), log: log}
	if in.header == nil {
		return in, nil
	}
	a.complete(in.header, r, c)
	if routed {
		in.ways = c.Router(a.tenant).Acceptance(in.header, r.dialect.Recipient)
	}
	return in, nil
}

// Header is the batch without messages.
func (in *incoming) Header() *message.Batch { return in.header }

// Next reads the next message into m. It is false behind the last one and where
// none of the request may run; End tells the difference.
func (in *incoming) Next(m *message.Message) bool {
	if in.err != nil || !in.read(m) {
		return false
	}
	if len(m.Problems) > 0 && (in.strict || in.allOrNothing()) {
		in.err = errRejected
		return false
	}
	return true
}

// End is the sum of the request's bytes, or why none of it may run.
func (in *incoming) End() ([]byte, error) { return in.source.sum.Sum(nil), in.err }

// read is Next without an end at the first problem of a strict request.
func (in *incoming) read(m *message.Message) bool {
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
		in.keep(m.Problems)
	}
	return !in.ended
}

func (in *incoming) keep(problems message.Problems) {
	if err := in.log.add(problems...); err != nil {
		in.err, in.ended = err, true
	}
}

// end tells, once, how the request ended.
func (in *incoming) end() {
	in.ended = true
	if err := in.stream.Err(); err != nil {
		in.err = in.source.failed(err)
		return
	}
	in.keep(in.stream.Problems())
	if in.err == nil {
		in.err = in.refusal()
	}
}

// rest reads on to the end of a request that is refused, so that all its problems
// are found. The error is that it could not be read.
func (in *incoming) rest() error {
	if !in.ended {
		in.err = nil
	}
	var m message.Message
	for in.read(&m) {
		m = message.Message{}
	}
	if in.err == nil || in.refused() {
		return nil
	}
	return in.err
}

// refusal says why nothing of a request that has ended may start.
func (in *incoming) refusal() error {
	return refusal(in.whole(), in.strict, in.total, in.valid())
}

// whole is true where none of the request may run.
func (in *incoming) whole() bool {
	return in.header == nil || len(in.stream.Problems()) > 0 || in.allOrNothing() && in.rejected > 0
}

func (in *incoming) valid() int {
	if in.whole() {
		return 0
	}
	return in.total - in.rejected
}

// refused is true once it is known that none of the request may start.
func (in *incoming) refused() bool {
	var refused *refusalError
	return errors.Is(in.err, errRejected) || errors.As(in.err, &refused)
}

func (in *incoming) close() { in.stream.Close() }

// refusalError means that the request has problems that keep all of it from
// starting; they are in its log.
type refusalError struct{ why string }

func (e *refusalError) Error() string { return e.why + ", nothing was started" }

func refusal(whole, strict bool, total, valid int) error {
	switch {
	case whole:
		return &refusalError{"the request is refused"}
	case total > 0 && valid == 0:
		return &refusalError{"no message is valid"}
	case strict && valid < total:
		return &refusalError{isAre(total-valid, "message") + " rejected and --strict was given"}
	}
	return nil
}
