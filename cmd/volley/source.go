package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"volley/internal/config"
	"volley/internal/dialect"
)

// wholeBytes is the largest request that is decoded as a whole, whatever its
// format.
const wholeBytes = 4 << 20

// request is a request that has been opened, with what flags, tenant and limits
// mean for it.
type request struct {
	input
	dialect dialect.Dialect
	options dialect.Options
	source  *source
}

// request opens the request in file, "-" being stdin. The caller closes its
// source.
func (a *app) request(in input, file string, c *config.Config) (*request, error) {
	d, o, err := a.options(in, c)
	if err != nil {
		return nil, err
	}
	s, err := a.source(file, min(wholeBytes, c.Limits.BodyBytes))
	if err != nil {
		return nil, err
	}
	if err := in.forCSV(d.Name, s.head); err != nil {
		s.close()
		return nil, err
	}
	return &request{input: in, dialect: d, options: o, source: s}, nil
}

// source is the bytes of a request, of which the first are there already.
type source struct {
	name string
	// size is that of a file; 0 is not known.
	size int64
	head []byte
	// whole means that head is all there is.
	whole bool
	rest  io.Reader
	sum   hash.Hash
	read  int64
	close func()
}

// source opens file and reads its first bytes, at most limit and one more.
func (a *app) source(file string, limit int64) (*source, error) {
	s := &source{name: file, rest: a.stdin, sum: sha256.New(), close: func() {}}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, &exitError{code: exitUsage, err: err}
		}
		s.rest, s.close = f, func() { _ = f.Close() } // it was only read
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			s.size = info.Size()
		}
	}
	s.head = make([]byte, limit+1)
	n, err := io.ReadFull(s.rest, s.head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.close()
		return nil, s.failed(err)
	}
	s.head, s.whole = s.head[:n], int64(n) <= limit
	return s, nil
}

// Read reads the request from its first byte on and adds to its sum.
func (s *source) Read(p []byte) (n int, err error) {
	if len(s.head) > 0 {
		n = copy(p, s.head)
		if s.head = s.head[n:]; len(s.head) == 0 {
			s.head = nil // megabytes
		}
	} else {
		n, err = s.rest.Read(p)
	}
	s.read += int64(n)
	_, _ = s.sum.Write(p[:n]) // never fails
	return n, err
}

// failed is an error of reading, with the place and, where it is known, the size.
func (s *source) failed(err error) error {
	if s.size > 0 {
		err = fmt.Errorf("read %s (%d bytes): %w", s.name, s.size, err)
	} else {
		err = fmt.Errorf("read %s: %w", s.name, err)
	}
	return &exitError{code: exitUsage, err: err}
}
