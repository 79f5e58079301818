package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"time"
)

// maxLine bounds a line, in bytes. What is longer is none of ours.
const maxLine = 1 << 20

// Filter chooses entries; its zero value chooses all.
type Filter struct {
	// Since leaves out what was before.
	Since time.Time
	// Actions are those that are meant; none is all.
	Actions []string
	// Actor and Tenant are exact; empty is any.
	Actor, Tenant string
	// Batch is the one that it is about, or that a redrive started; empty is any.
	Batch string
}

// Chooses reports whether an entry is meant.
func (f Filter) Chooses(e *Entry) bool {
	return !e.Time.Before(f.Since) &&
		(len(f.Actions) == 0 || slices.Contains(f.Actions, e.Action)) &&
		(f.Actor == "" || f.Actor == e.Actor) &&
		(f.Tenant == "" || f.Tenant == e.Tenant || f.Tenant == e.HeldTenant) &&
		(f.Batch == "" || f.Batch == e.Batch || f.Batch == e.NewBatch || slices.Contains(e.Batches, f.Batch))
}

// ErrUnreadable is of a line that is no entry.
var ErrUnreadable = errors.New("no line of an audit log")

// Read reads entries in the order of their lines. The error of one line is
// ErrUnreadable, after which reading goes on; any other is that of r, and the last.
func Read(r io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		lines := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := readLine(lines)
			if text := bytes.TrimSpace(line); len(text) > 0 {
				var e Entry
				if json.Unmarshal(text, &e) != nil || e.Action == "" {
					if !yield(Entry{}, ErrUnreadable) {
						return
					}
				} else if !yield(e, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
		}
	}
}

// readLine reads a line of up to maxLine bytes, and the beginning of a longer one.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line) < maxLine {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
