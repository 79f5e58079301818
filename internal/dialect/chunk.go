package dialect

import (
	"bytes"
	"errors"
	"io"

	"volley/internal/message"
)

const (
	// chunkSize is how many bytes of a file are read and decoded at a time.
	chunkSize = 32 << 10
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
	// broken says why nothing behind the messages can be read; usually empty.
	broken string
	// row is the one that is being read.
	row volleyRow
	// done is filled when the messages are there, by whoever decodes them in the
	// background.
	done chan struct{}
}

// decode fills messages from data.
func (k *chunk) decode(read func(*chunk)) {
	k.messages = k.messages[:0]
	switch {
	case k.long:
		k.row.reset(0, k.line)
		k.row.refuse(message.CodeTooLong, "at most %d bytes are one message", maxLine)
		k.messages = append(k.messages, message.Message{Problems: k.row.settled()})
	case len(k.data) > 0:
		read(k)
	}
}

// cutter reads a file and cuts it into chunks.
type cutter struct {
	r io.Reader
	// quoted means that a line end inside of quotes is none.
	quoted bool
	// line is the number of the first line that has not been cut.
	line int
	// size and most are chunkSize and maxLine.
	size, most int

	// rest is what has been read and not been cut.
	rest []byte
	// over means that r has ended, or that nothing of it can be read any more; err
	// is then why, unless it has ended well.
	over bool
	err  error
}

// cut fills a chunk with the next part of the file. It is false at the end, and
// where reading failed.
func (c *cutter) cut(k *chunk) bool {
	k.line, k.long, k.broken = c.line, false, ""
	k.data = append(k.data[:0], c.rest...)
	c.rest = c.rest[:0]
	for {
		k.data = c.fill(k.data)
		end := c.boundary(k.data)
		if c.over && c.err == nil && len(k.data)-end <= c.most {
			end = len(k.data)
		}
		switch {
		case end > 0:
			c.rest = append(c.rest, k.data[end:]...)
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
func (c *cutter) fill(data []byte) []byte {
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

// boundary is the index behind the last line end that ends a line or row; 0 if
// there is none. In CSV that nobody can read it may be any line end behind the
// first error.
func (c *cutter) boundary(data []byte) int {
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

// skip reads on to the end of the line or row that k begins with, of which it
// keeps nothing.
func (c *cutter) skip(k *chunk) {
	data := k.data
	q := quoting{begin: k.line}
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
			c.rest = append(c.rest, data[end:]...)
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
