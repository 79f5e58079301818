package dialect

import (
	"bytes"
	"io"

	"volley/internal/message"
)

// volleyFile is a request in JSON lines or CSV whose header has been read.
type volleyFile struct {
	batch *volleyBatch
	// read decodes a chunk of what stands behind the header. Several goroutines
	// may call it.
	read func(*chunk)
	// quoted means that a line end inside of quotes is none, and separator is what
	// then stands between cells.
	quoted    bool
	separator byte
	// used is how many bytes the header has, and line the number of the first line
	// behind it.
	used, line int
}

// whole decodes a file whose bytes are all in body.
func (f *volleyFile) whole(body []byte, o Options) (*message.Batch, message.Problems) {
	rest := body[f.used:]
	c := f.splitter(bytes.NewReader(rest))
	c.size = min(c.size, len(rest)+1)
	s := f.stream(&sequentialReader{splitter: c, read: f.read}, o)
	var m message.Message
	room := budget(maxProblems)
	for s.Next(&m) {
		m.Problems = room.spend(m.Problems)
		f.batch.Messages = append(f.batch.Messages, m)
	}
	if s.refused {
		return nil, s.problems
	}
	f.batch.Warnings = s.Warnings()
	return f.batch.Batch, s.problems
}

func (f *volleyFile) splitter(rest io.Reader) *splitter {
	return &splitter{r: rest, quoted: f.quoted, separator: f.separator, line: f.line, size: chunkSize, most: maxLine}
}

func (f *volleyFile) stream(chunks chunks, o Options) *Stream {
	s := &Stream{chunks: chunks, batch: f.batch, options: o, problems: f.batch.whole.problems}
	if len(s.problems) == 0 {
		// A copy, since the caller may change it while messages are decoded.
		header := *f.batch.Batch
		s.header = &header
	}
	return s
}
