package store

import (
	"context"
	"fmt"

	"volley/internal/message"
)

// WriteOptions are what Create may be told. The zero value works.
type WriteOptions struct {
	// TempDir is where messages that come out of order wait; empty is os.TempDir.
	TempDir string
	// SpillBytes is how many bytes of them wait in memory; 0 is 16 MiB.
	SpillBytes int
}

// TooLarge means that a batch is more than the store takes.
type TooLarge struct {
	// What is "messages" or "segments", Max how many of them a batch may have.
	What string
	Max  int
}

// Error says how many there may be.
func (e *TooLarge) Error() string {
	return fmt.Sprintf("the batch has more than %d %s, which is the most that one batch may have", e.Max, e.What)
}

// Writer writes one batch. It is not safe for concurrent use.
type Writer struct{ dir string }

// Dir is the batch's folder.
func (w *Writer) Dir() string { return w.dir }

// Add takes the next message; its index is how many were added before. Route and
// Problems are decided. The message may be used again after the return. After an
// error the writer takes nothing more, and Abort is called; a batch that is too large
// is a *TooLarge.
func (w *Writer) Add(ctx context.Context, m *message.Message) error { return errEmpty }

// Finish writes what is left, and the manifest last.
func (w *Writer) Finish(ctx context.Context) (*message.Manifest, error) { return nil, errEmpty }

// Abort removes what was written. After Finish it does nothing.
func (w *Writer) Abort(ctx context.Context) error { return nil }
