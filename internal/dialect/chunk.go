package dialect

import (
	"bytes"
	"errors"
	"io"

	"volley/internal/message"
)

const (
	// chunkSize is how many bytes of a file are read and decoded at a time.
	chunkSize = 16 << 10
	// maxLine is the most bytes of a line of JSON lines, or of a row of CSV,
	// without its line end.
	maxLine = 1 << 20
)

// chunk is a part of a file that consists of whole lines or rows, and then the
// messages on them. It is used again for a later part of the file.
type chunk struct {
	data []byte
	// line is where in the file data begins, from 1.
	line int
	// long means that data is one line or row that is too long, without its end.
	long bool
	// messages have their indexes counted from the beginning of the chunk.
	messages []message.Message
	// broken says why nothing after the messages can be read; usually empty.
	broken string
	// row is the row being read; notes collects what was noticed in the rows before it.
	row   volleyRow
	notes textNotes
	// done is filled when the messages are there, by whoever decodes them in the
	// background.
	done chan struct{}
}

// decode fills messages from data.
func (k *chunk) decode(read func(*chunk)) {
	k.messages = k.messages[:0]
	k.notes.reset()
	switch {
	case k.long:
		k.row.reset(0, k.line)
		k.row.refuse(message.CodeTooLong, "at most %d bytes are one message", maxLine)
		k.messages = append(k.messages, message.Message{Problems: k.row.settled()})
	case len(k.data) > 0:
		read(k)
	}
}

// splitter reads a file and cuts it into chunks.
type splitter struct {
	r io.Reader
	// quoted means that a line end inside of quotes is none, and separator is what
	// then stands between cells.
	quoted    bool
	separator byte
	// line is the number of the first line that has not been cut.
	line int
	// size and most are chunkSize and maxLine.
	size, most int

	// unread is what has been read and not been cut.
	unread []byte
	// over means that r has ended or cannot be read any further; err says why in the
	// second case.
	over bool
	err  error
}

// split fills a chunk with the next part of the file. It is false at the end, and
// where reading failed.
func (c *splitter) split(k *chunk) bool {
	k.line, k.long, k.broken = c.line, false, ""
	k.data = append(k.data[:0], c.unread...)
	c.unread = c.unread[:0]
	for {
		k.data = c.fill(k.data)
		end := c.boundary(k.data)
		if c.over && c.err == nil && len(k.data)-end <= c.most {
			end = len(k.data)
		}
		switch {
		case end > 0:
			c.unread = append(c.unread, k.data[end:]...)
			k.data = k.data[:end]
			c.line += bytes.Count(k.data, newline)
			return true
		case len(k.data) > c.most:
			k.long = true
			c.skip(k)
			return c.err == nil
		case c.over:
			return false
		}
	}
}

// fill reads until there is enough for a chunk; if there was already, until
// there is twice as much.
func (c *splitter) fill(data []byte) []byte {
	want := c.size
	if len(data) >= want {
		want = 2 * len(data)
	}
	want = min(want, c.most+1)
	if cap(data) < want {
		data = append(make([]byte, 0, want), data...)
	}
	for len(data) < want && !c.over {
		n, err := c.r.Read(data[len(data):want])
		data = data[:len(data)+n]
		if err != nil {
			c.over = true
			if !errors.Is(err, io.EOF) {
				c.err = err
			}
		}
	}
	return data
}

var (
	newline = []byte("\n")
	quotes  = []byte(`"`)
)

// boundary returns the index after the last line end that ends a line or row; 0 if
// there is none. In CSV that cannot be parsed it may return any line end after the
// first error.
func (c *splitter) boundary(data []byte) int {
	end := bytes.LastIndexByte(data, '\n')
	if !c.quoted || end < 0 {
		return end + 1
	}
	open := bytes.Count(data[:end], quotes)
	for open%2 == 1 {
		before := bytes.LastIndexByte(data[:end], '\n')
		open -= bytes.Count(data[before+1:end], quotes)
		end = before
	}
	return end + 1
}

// skip reads to the end of the line or row that k begins with and keeps nothing of it.
func (c *splitter) skip(k *chunk) {
	data := k.data
	q := quoting{begin: k.line, separator: c.separator}
	for {
		end, broken := bytes.IndexByte(data, '\n')+1, ""
		if c.quoted {
			end, broken = q.rowEnd(data, c.line)
		}
		if broken != "" {
			k.broken, c.over = broken, true
			break
		}
		if end > 0 {
			c.line += bytes.Count(data[:end], newline)
			c.unread = append(c.unread, data[end:]...)
			break
		}
		c.line += bytes.Count(data, newline)
		if c.over {
			if c.err == nil {
				k.broken = q.end(c.line)
			}
			break
		}
		data = c.fill(data[:0])
	}
	k.data = k.data[:0]
}
