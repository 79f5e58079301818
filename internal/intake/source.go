package intake

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// source is the bytes of a request, of which the first are there already.
type source struct {
	head []byte
	// body is all of the request, where whole is true.
	body []byte
	// whole means that head is all there is.
	whole     bool
	remaining io.Reader
	sum       hash.Hash
	read      int64
}

func newSource(r io.Reader) *source { return &source{remaining: r, sum: sha256.New()} }

// firstHead is how much is read of a request before it is known to have more.
const firstHead = 64 << 10

// begin reads the first bytes, at most limit and one more.
func (s *source) begin(limit int64) error {
	// Most requests are small, and memory for the largest is zeroed for nothing.
	for size := min(int64(firstHead), limit+1); ; size = min(8*size, limit+1) {
		have := len(s.head)
		grown := make([]byte, size)
		copy(grown, s.head)
		n, err := fill(s.remaining, grown[have:])
		s.head = grown[:have+n]
		switch {
		case errors.Is(err, io.EOF):
			if s.whole = int64(len(s.head)) <= limit; s.whole {
				s.body = s.head
			}
			return nil
		case err != nil:
			return err
		case size == limit+1:
			return nil
		}
	}
}

// fill reads until p is full. It returns r's own error: unlike io.ReadFull it tells the
// end of a request from a connection that broke.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var some int
		some, err = r.Read(p[n:])
		n += some
	}
	if n == len(p) {
		err = nil // it comes again with the next read
	}
	return n, err
}

// Read reads the request from its first byte on and adds to its sum.
func (s *source) Read(p []byte) (n int, err error) {
	if len(s.head) > 0 {
		n = copy(p, s.head)
		if s.head = s.head[n:]; len(s.head) == 0 {
			s.head = nil // megabytes
		}
	} else {
		n, err = s.remaining.Read(p)
	}
	s.read += int64(n)
	_, _ = s.sum.Write(p[:n]) // never fails
	return n, err
}
