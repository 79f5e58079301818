package dialect

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// The encodings that a request in Volley's own format may have.
const (
	utf8Encoding  = "UTF-8"
	utf16Encoding = "UTF-16"
)

var bom = []byte("\ufeff")

// OpenText reads a request as text with one kind of line end, and names its encoding.
// UTF-16 that begins with a byte order mark becomes UTF-8; what cannot be read of it
// becomes bytes that are no UTF-8. Other bytes stay as they are, whether they are UTF-8
// or not. The error is that of r.
func OpenText(r io.Reader) (text io.Reader, encoding string, err error) {
	in := bufio.NewReaderSize(r, 16) // passes larger reads through
	head, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	if order := byteOrder(head); order != nil {
		return newNormalizer(&utf16Reader{r: in, order: order}), utf16Encoding, nil
	}
	return newNormalizer(in), utf8Encoding, nil
}

// wholeText is OpenText for a request that is in memory; it does not change body.
func wholeText(body []byte) (text []byte, encoding string) {
	if byteOrder(body) == nil {
		text := bytes.TrimPrefix(body, bom)
		if bytes.IndexByte(text, '\r') < 0 && !bytes.Contains(text, bom) {
			return text, utf8Encoding
		}
	}
	r, encoding, err := OpenText(bytes.NewReader(body))
	if err != nil {
		return body, encoding // no such reader fails
	}
	var out bytes.Buffer
	out.Grow(len(body) + bytes.MinRead)
	_, _ = out.ReadFrom(r) // likewise
	return out.Bytes(), encoding
}

// FirstByte returns the byte that a request's text begins with, behind a byte order mark
// and space; ok is false where there is none. UTF-16 counts by its text.
func FirstByte(head []byte) (c byte, ok bool) {
	r, _, err := OpenText(bytes.NewReader(head))
	if err != nil {
		return 0, false // no such reader fails
	}
	part := make([]byte, 512)
	for {
		n, err := r.Read(part)
		if text := bytes.TrimSpace(part[:n]); len(text) > 0 {
			return text[0], true
		}
		if err != nil {
			return 0, false
		}
	}
}

// normalizer turns CR LF, CR CR LF (CR LF that Python wrote on Windows) and CR into LF,
// and drops byte order marks at the beginning of a line, where files that were joined
// have them.
type normalizer struct {
	r io.Reader
	// held keeps the last bytes read, whose meaning depends on what follows.
	held [2]byte
	// holds is how many they are.
	holds int
	// atLine means that the next byte begins a line.
	atLine bool
	// ready is what has been read into small and not been taken yet.
	ready []byte
	small [16]byte
	err   error
}

func newNormalizer(r io.Reader) *normalizer { return &normalizer{r: r, atLine: true} }

// Read reads into p and normalizes there. An error comes with no bytes.
func (n *normalizer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(n.ready) > 0 {
			count := copy(p, n.ready)
			n.ready = n.ready[count:]
			return count, nil
		}
		if n.err != nil {
			return 0, n.err
		}
		into := p
		if len(p) < len(n.small) {
			into = n.small[:]
		}
		have := copy(into, n.held[:n.holds])
		n.holds = 0
		more, err := n.r.Read(into[have:])
		n.err = err
		count := n.normalize(into[:have+more], err != nil)
		switch {
		case len(p) < len(n.small):
			n.ready = into[:count]
		case count > 0:
			return count, nil
		}
	}
}

// normalize changes data where it is and returns how much is left of it. Unless last
// is set, more follows, and bytes at the end may be held for it.
func (n *normalizer) normalize(data []byte, last bool) int {
	// Both are where the next such byte is, or len(data).
	cr, mark := indexFrom(data, 0, '\r'), indexFrom(data, 0, bom[0])
	kept, at := 0, 0
	for {
		next := min(cr, mark)
		if next > at {
			n.atLine = data[next-1] == '\n'
			if kept != at {
				copy(data[kept:], data[at:next])
			}
			kept += next - at
			at = next
		}
		if at == len(data) {
			return kept
		}
		if at == cr {
			size := lineEnd(data[at:], last)
			if size == 0 {
				n.hold(data[at:])
				return kept
			}
			data[kept] = '\n'
			kept++
			at += size
			n.atLine = true
			cr = indexFrom(data, at, '\r')
			continue
		}
		rest := data[at:]
		switch {
		case n.atLine && bytes.HasPrefix(rest, bom):
			at += len(bom)
		case n.atLine && !last && bytes.HasPrefix(bom, rest):
			n.hold(rest)
			return kept
		default:
			data[kept] = data[at]
			kept++
			at++
			n.atLine = false
		}
		mark = indexFrom(data, at, bom[0])
	}
}

func (n *normalizer) hold(rest []byte) { n.holds = copy(n.held[:], rest) }

// lineEnd is the length of the line end that data begins with, a CR; 0 if that depends on
// what follows.
func lineEnd(data []byte, last bool) int {
	switch {
	case bytes.HasPrefix(data, []byte("\r\r\n")):
		return 3
	case bytes.HasPrefix(data, []byte("\r\n")):
		return 2
	case !last && (len(data) == 1 || len(data) == 2 && data[1] == '\r'):
		return 0
	}
	return 1
}

// indexFrom is the index of the first c at from or behind it, else len(data).
func indexFrom(data []byte, from int, c byte) int {
	if i := bytes.IndexByte(data[from:], c); i >= 0 {
		return from + i
	}
	return len(data)
}
