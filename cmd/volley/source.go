package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"volley/internal/config"
	"volley/internal/intake"
)

// request is a request that has been opened, with what flags, tenant and limits
// mean for it.
type request struct {
	*intake.Request
	file *file
	// excluded are the recipients that are left out; nil is none.
	excluded *intake.Exclusion
}

// request opens the request in the named file, "-" being stdin. Without routed no hops
// are decided. The caller closes it.
func (a *app) request(in input, strict bool, name string, c *config.Config, routed bool) (*request, error) {
	o, err := a.options(in, c)
	if err != nil {
		return nil, err
	}
	o.Strict = strict
	caller := c.Caller(a.tenant)
	if o.Exclude, err = a.exclusion(&in.selection, name, cmp.Or(o.DefaultRegion, caller.Region)); err != nil {
		return nil, err
	}
	f, err := a.file(name)
	if err != nil {
		return nil, err
	}
	o.Size = f.size
	if !routed {
		caller.Router = nil
	}
	q, err := intake.Open(f, caller, c.Intake(), o)
	if err == nil && !q.IsEmpty() { // what is empty says so itself
		err = in.forCSV(q.IsCSV())
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return &request{Request: q, file: f, excluded: o.Exclude}, nil
}

func (r *request) close() { r.file.close() }

// incoming begins to read a request message by message.
func (a *app) incoming(r *request, log *problemLog) (*intake.Streamed, error) {
	a.limitMemory()
	in, err := r.Streamed(log)
	if err != nil {
		return nil, r.file.failed(err)
	}
	return in, nil
}

// file is what a request is read from. Its errors name it.
type file struct {
	io.Reader
	name string
	// size is that of a file; 0 is not known.
	size  int64
	close func()
}

func (a *app) file(name string) (*file, error) {
	if name == "-" {
		return &file{Reader: a.stdin, name: name, close: func() {}}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	out := &file{Reader: f, name: name, close: func() { _ = f.Close() }} // it was only read
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		out.size = info.Size()
	}
	return out, nil
}

// Read reads on.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = f.failed(err)
	}
	return n, err
}

// failed is an error of reading, with the place and, where it is known, the size.
func (f *file) failed(err error) error {
	var said *exitError
	if errors.As(err, &said) {
		return err
	}
	if f.size > 0 {
		err = fmt.Errorf("read %s (%s): %w", f.name, plural(int(f.size), "byte"), err)
	} else {
		err = fmt.Errorf("read %s: %w", f.name, err)
	}
	return &exitError{code: exitUsage, err: err}
}
