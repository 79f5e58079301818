package dialect

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"volley/internal/message"
)

// maxPrefix is how much of a request is looked at to find out its format. A
// header of JSON lines or CSV that is longer is not streamed.
const maxPrefix = maxLine

// Stream reads a request message by message. A large one in Volley's own JSON
// lines or CSV is never in memory as a whole, and is decoded in the background
// while the caller deals with what was before. Only Close may be called by more
// than one goroutine.
type Stream struct {
	// batch and chunks are where the messages of a stream come from.
	batch   *volleyBatch
	chunks  chunks
	options Options

	header *message.Batch
	// messages are at hand, and at is the next one of them.
	messages []message.Message
	at       int
	// broken says why nothing behind the messages at hand can be read.
	broken   string
	count    int
	problems message.Problems
	// notes collects what was noticed in the messages so far; warnings are those of a
	// request that was decoded as a whole.
	notes    textNotes
	warnings message.Problems
	// refused means that nothing is left of the batch, and ended that Next has
	// been false.
	refused, ended bool
	err            error
	// isDocument means that the messages come from a JSON document, and inMemory that all
	// of the request was read before.
	isDocument, inMemory bool
}

// Open begins to read a request: what stands before the first message or, in
// every format but Volley's JSON lines and CSV, all of it, up to limit bytes.
// The error is that reading failed, or that such a request is larger than limit.
// What is wrong with the request itself is in Problems.
//
// Bytes are taken from r once and in their order, to its end unless the stream is
// closed or refused before. They are taken in the background too, until Next was
// false: only then may the caller look at what r has counted or hashed.
//
// A stream gives the batch and the problems that Decode gives.
func Open(d Dialect, r io.Reader, limit int64, o Options) (*Stream, error) {
	if d.Name == "volley" {
		return openVolley(d, r, limit, o)
	}
	return readWhole(d, r, limit, o)
}

func openVolley(d Dialect, r io.Reader, limit int64, o Options) (*Stream, error) {
	text, encoding, err := OpenText(r)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(text, maxPrefix)
	prefix, err := in.Peek(maxPrefix)
	whole := errors.Is(err, io.EOF)
	if err != nil && !whole {
		return nil, err
	}
	f, problems := beginVolley(prefix, encoding, whole, o)
	switch {
	case len(problems) > 0:
		return refusedStream(problems), nil
	case f == nil:
		return readWholeVolley(in, encoding, limit, o)
	}
	if _, err = in.Discard(f.used); err != nil {
		return nil, err
	}
	if whole {
		return f.stream(&sequentialReader{splitter: f.splitter(in), read: f.read}, o), nil
	}
	if o.Streaming != nil {
		if err := o.Streaming(); err != nil {
			return nil, err
		}
	}
	// The buffer, a megabyte, is let go of once it has been read.
	ahead, _ := in.Peek(in.Buffered()) // there is as much
	return f.stream(newPrefetchReader(f.splitter(io.MultiReader(bytes.NewReader(ahead), text)), f.read), o), nil
}

// readWhole decodes a request that cannot be read bit by bit.
func readWhole(d Dialect, r io.Reader, limit int64, o Options) (*Stream, error) {
	body, err := Read(r, limit)
	if err != nil {
		return nil, err
	}
	batch, problems := d.Decode(body, o)
	if o.ended() {
		return nil, ErrEnded
	}
	return decoded(batch, problems), nil
}

// readWholeVolley reads text in Volley's own format whose messages are not on lines.
func readWholeVolley(text io.Reader, encoding string, limit int64, o Options) (*Stream, error) {
	body, err := Read(text, limit)
	if err != nil {
		return nil, err
	}
	s := streamText(body, encoding, o)
	s.inMemory = true
	return s, nil
}

// refusedStream is that of a request of which nothing can be read.
func refusedStream(problems message.Problems) *Stream {
	return &Stream{problems: problems, refused: true, ended: true}
}

// all reads the stream to its end. The batch is nil where nothing is left of it.
func (s *Stream) all() (*message.Batch, message.Problems) {
	var m message.Message
	var messages []message.Message
	room := budget(maxProblems)
	for s.Next(&m) {
		m.Problems = room.spend(m.Problems)
		messages = append(messages, m)
	}
	switch {
	case s.err != nil: // nothing else ends one that is in memory
		return givenUp()
	case s.refused:
		return nil, s.problems
	}
	s.batch.Messages, s.batch.Warnings = messages, s.Warnings()
	return s.batch.Batch, s.problems
}

func decoded(batch *message.Batch, problems message.Problems) *Stream {
	s := &Stream{problems: problems, refused: batch == nil}
	if batch != nil {
		s.messages, batch.Messages = batch.Messages, nil
		s.warnings, batch.Warnings = batch.Warnings, nil
		if len(problems) == 0 {
			s.header = batch
		}
	}
	return s
}

// Header is the batch without its messages. It is nil where the request is
// refused for what Open has read of it.
func (s *Stream) Header() *message.Batch { return s.header }

// Next reads the next message into m. It is false behind the last one, where
// something makes the whole request unreadable, and where reading failed.
// Problems of the header alone do not end a stream, so that whoever checks a
// request can show the problems of its messages as well.
func (s *Stream) Next(m *message.Message) bool {
	for s.at == len(s.messages) {
		if !s.refill() {
			return false
		}
	}
	if s.batch != nil {
		if s.batch.full(s.count+1, s.options) {
			s.refuse(s.batch.whole.problems)
			return false
		}
		renumber(s.messages[s.at].Problems, s.at, s.count)
	}
	*m = s.messages[s.at]
	s.messages[s.at] = message.Message{}
	s.at++
	s.count++
	return true
}

// refill gets more messages, perhaps none, and is false when there is nothing to
// get any more.
func (s *Stream) refill() bool {
	switch {
	case s.ended:
		return false
	case s.chunks == nil:
		s.ended = true
		return false
	case s.broken != "":
		s.refuse(unreadable(s.broken))
		return false
	case s.options.ended():
		s.ended, s.err = true, ErrEnded
		s.Close()
		return false
	}
	k, err := s.chunks.next()
	if k == nil {
		s.ended, s.err = true, err
		if err == nil && s.count == 0 && !s.isDocument {
			s.batch.tooFew()
			s.problems = s.batch.whole.problems
		}
		return false
	}
	s.messages, s.at, s.broken = k.messages, 0, k.broken
	s.notes.merge(&k.notes, s.count)
	if s.notes.repeated > maxRepeated {
		var problems message.Problems
		problems.Add(message.WholeBatch, "metadata", message.CodeTooLong,
			"every message with metadata of its own repeats the batch's, which is %d bytes here and too much for so many messages", len(s.batch.Metadata))
		s.refuse(problems)
		return false
	}
	return true
}

// refuse ends a stream of which nothing may run.
func (s *Stream) refuse(problems message.Problems) {
	s.problems, s.refused, s.ended = problems, true, true
	s.messages, s.at = nil, 0
	s.Close()
}

// renumber changes problems of the message at one index, in its chunk, to
// another, in the batch.
func renumber(problems message.Problems, from, to int) {
	if len(problems) == 0 || from == to {
		return
	}
	before, now := len(volleyPath(from)), volleyPath(to)
	for i := range problems {
		p := &problems[i]
		p.Index, p.Path = to, now+p.Path[before:]
	}
}

// Problems are those of the whole request, not those of single messages, which
// the messages have themselves. They are complete once Next was false.
func (s *Stream) Problems() message.Problems { return s.problems }

// Warnings are what the caller should know and what stops nothing. They are complete
// once Next was false; what the columns of a CSV file say is there at once.
func (s *Stream) Warnings() message.Problems {
	if s.batch == nil {
		return s.warnings
	}
	warnings := s.batch.allWarnings(&s.notes)
	if s.batch.columns != nil && s.ended && !s.refused {
		warnings = append(slices.Clip(warnings), s.batch.columns.unmet(s.notes.skips)...)
	}
	return warnings
}

// Err is why reading failed, once Next was false; usually nil.
func (s *Stream) Err() error { return s.err }

// Close ends the work in the background. It may be called at any time, and more than
// once; it is not needed after Next was false. It does not wait for a Read of r that is
// under way, which is the last one.
func (s *Stream) Close() {
	if s.chunks != nil {
		s.chunks.close()
	}
}

// Streamed is true for a request that is read bit by bit: Volley's JSON lines and
// CSV, unless the header is longer than 1 MiB.
func (s *Stream) Streamed() bool { return s.chunks != nil && !s.inMemory }

// Count is how many messages Next has read.
func (s *Stream) Count() int { return s.count }
