package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"volley/internal/message"
)

// Bounds of what is under way to the bucket at a time: in objects, and in bytes of
// segments and their files.
const (
	uploads     = 8
	uploadBytes = 20 << 20
)

// defaultSpillBytes is how much waits in memory when WriteOptions has no SpillBytes.
const defaultSpillBytes = 4 << 20

// WriteOptions are what Create may be told. The zero value works.
type WriteOptions struct {
	// TempDir is where messages that come out of order wait; empty is os.TempDir.
	TempDir string
	// SpillBytes is how many bytes of them wait in memory; 0 is 4 MiB.
	SpillBytes int
	// Namespace and Cluster are where the batch will run, for the manifest: a purge
	// leaves the folders of others alone.
	Namespace, Cluster string
	// New is asked where the store has no marker. Nil means that the store is new, and
	// the marker is made; an error, which says why it is not, ends Create.
	New func(context.Context) error
}

// TooLarge means that a batch is more than the store takes.
type TooLarge struct {
	// What is "messages", "segments" or "bytes in one message", and Max how many of
	// them there may be.
	What string
	Max  int
}

// Error says how many there may be.
func (e *TooLarge) Error() string {
	return fmt.Sprintf("the batch has more than %d %s, which is the most that is possible", e.Max, e.What)
}

// Writer writes one batch. It is not safe for concurrent use.
type Writer struct {
	store   *Store
	dir     string
	header  *message.Batch
	created int64
	enc     encoder
	options WriteOptions

	total, rejected int
	// prior is the due time of the message before, last the one of the last message
	// that went into a segment.
	prior, last int64
	chunk       *chunk
	segments    []message.Segment
	checkpoints []checkpoint
	// spots is where messages lie, by index; nil as long as they are in order.
	spots []uint32
	spill spill

	ctx    context.Context // ends all writing
	cancel context.CancelFunc
	group  *errgroup.Group
	under  context.Context // of the group; its cause is the first error
	room   *semaphore.Weighted
	spare  freeList[chunk]
	files  freeList[[]byte]
	err    error
	done   bool
}

var errDone = errors.New("the batch is written already")

// Create begins a batch in a folder of its own, Writer.Dir. ID, Tenant and
// CreatedAt of the header are set, and what due times and validities follow from;
// it is kept, and its hops and policies may grow until Finish: those of a message's
// route are there when it is added. Segments are written in the background until
// ctx ends. Every writer ends with Finish or Abort.
//
// Create makes a store that has no marker, once o.New says that it is new.
func (s *Store) Create(ctx context.Context, header *message.Batch, o WriteOptions) (*Writer, error) {
	tenant, err := tenantName(header.Tenant)
	if err != nil {
		return nil, err
	}
	if !isName(header.ID) {
		return nil, badName("batch", header.ID)
	}
	if header.CreatedAt.IsZero() {
		return nil, errors.New("the batch has no time of acceptance")
	}
	if _, err := s.Mark(ctx, o.New); err != nil {
		return nil, err
	}
	var start [startDigits / 2]byte
	_, _ = rand.Read(start[:]) // never fails
	created := header.CreatedAt.UnixMilli()
	w := &Writer{
		store:   s,
		dir:     fmt.Sprintf("%s/%s/%s~%s", tenant, header.CreatedAt.UTC().Format(time.DateOnly), header.ID, hex.EncodeToString(start[:])),
		header:  header,
		created: created, prior: created, last: created,
		options: o, spill: spill{dir: o.TempDir, limit: o.SpillBytes, veiled: !s.keyset.IsOff()},
		room:  semaphore.NewWeighted(uploadBytes),
		spare: make(freeList[chunk], uploads), files: make(freeList[[]byte], uploads),
	}
	if w.spill.limit <= 0 {
		w.spill.limit = defaultSpillBytes
	}
	w.chunk = w.spare.get()
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.begin()
	return w, nil
}

// begin prepares for writing in the background.
func (w *Writer) begin() {
	w.group, w.under = errgroup.WithContext(w.ctx)
}

// Dir is the batch's folder.
func (w *Writer) Dir() string { return w.dir }

// Add takes the next message; its index is how many were added before. Route and
// Problems are decided. The message may be used again after the return. After an
// error the writer takes nothing more; that a batch is too large is a *TooLarge.
func (w *Writer) Add(ctx context.Context, m *message.Message) error {
	if err := w.usable(); err != nil {
		return err
	}
	w.err = w.add(ctx, m)
	return w.err
}

func (w *Writer) usable() error {
	switch {
	case w.err != nil:
		return w.err
	case w.done:
		return errDone
	case w.under.Err() != nil:
		w.err = context.Cause(w.under)
	}
	return w.err
}

func (w *Writer) add(ctx context.Context, m *message.Message) error {
	const most = message.MaxSegments * message.SegmentMessages
	if w.total == most {
		return &TooLarge{"messages", most}
	}
	r, err := w.row(m)
	if err != nil {
		return fmt.Errorf("message %d: %w", w.total, err)
	}
	if r.line.Code != "" {
		w.rejected++
	}
	w.total++
	w.prior = r.due
	if r.due < w.last {
		w.disorder()
		w.spots = append(w.spots, 0)
		return w.spill.add(&r)
	}
	w.last = r.due
	if err := w.put(ctx, &r); err != nil {
		return err
	}
	if w.spots != nil {
		w.spots = append(w.spots, packSpot(len(w.segments)+1, len(w.chunk.ends)-1))
	}
	return nil
}

// Finish writes what is left, and the manifest last. After an error the writer is
// only good for Abort.
func (w *Writer) Finish(ctx context.Context) (*message.Manifest, error) {
	if err := w.usable(); err != nil {
		return nil, err
	}
	m, err := w.finish(ctx)
	if err != nil {
		w.err = err
		return nil, err
	}
	w.done = true
	w.cancel()
	w.spill.close(w.store.log)
	return m, nil
}

// Abort stops writing and removes what was written. After Finish it does nothing.
func (w *Writer) Abort(ctx context.Context) error {
	if w.done {
		return nil
	}
	w.done = true
	w.cancel()
	_ = w.group.Wait() // why it ended does not matter any more
	w.spill.close(w.store.log)
	return w.store.Delete(ctx, w.dir)
}
