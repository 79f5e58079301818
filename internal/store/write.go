package store

import (
	"context"

	"volley/internal/message"
)

// row prepares a message. Its JSON is good until the next one.
func (w *Writer) row(m *message.Message) (row, error) {
	r := row{line: w.header.Meta(w.total, m)}
	var err error
	if len(m.Problems) == 0 {
		r.due = max(r.line.Due, w.created)
		r.json, err = w.enc.encode(m, r.line.Due, r.line.TTL)
	} else {
		r.due = w.prior
		if r.json, err = w.enc.encode(m, r.line.Due, r.line.TTL); err != nil {
			bare := *m // what cannot be written may be why it is rejected
			bare.Body, bare.Metadata = nil, nil
			r.json, err = w.enc.encode(&bare, r.line.Due, r.line.TTL)
		}
	}
	if err == nil && len(r.json) > message.SegmentBytes {
		err = &TooLarge{"bytes in one message", message.SegmentBytes}
	}
	return r, err
}

// put lays a message into the segment in the making, or into a new one.
func (w *Writer) put(ctx context.Context, r *row) error {
	if !w.chunk.fits(len(r.json)) {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.chunk.add(r)
	return nil
}

// flush hands the segment in the making to the background. It waits while too much
// is under way.
func (w *Writer) flush(ctx context.Context) error {
	if len(w.segments) == message.MaxSegments {
		return &TooLarge{"segments", message.MaxSegments}
	}
	c := w.chunk
	copies := int64(2)
	if !w.store.keyset.IsOff() {
		copies += 2 // the sealed messages, and the sealed file
	}
	weight := min(max(copies*int64(len(c.body)), uploadBytes/uploads), uploadBytes)
	if err := w.room.Acquire(ctx, weight); err != nil {
		return err
	}
	w.segments = append(w.segments, c.info)
	w.checkpoints = append(w.checkpoints, c.checkpoint())
	number, under := len(w.segments), w.under
	w.group.Go(func() error {
		defer w.room.Release(weight)
		return w.upload(under, c, number)
	})
	w.chunk = w.spare.get()
	return nil
}

func (w *Writer) upload(ctx context.Context, c *chunk, number int) error {
	key := segmentKey(w.dir, number)
	out := w.files.get()
	data, lines, err := c.pack((*out)[:0], number)
	if err != nil {
		return named(key, err)
	}
	if cap(c.body) <= maxSpare {
		c.reset()
		w.spare.put(c)
	}
	sealed, err := w.store.seal(key, data, lines)
	if err == nil {
		err = w.store.write(ctx, key, sealed, false)
	}
	if cap(data) <= maxSpare {
		*out = data
		w.files.put(out)
	}
	return err
}

// maxSpare is how large a buffer may be to be used again.
const maxSpare = 1 << 20

// freeList are values to be used again, at most as many as there is room for. Unlike
// those of a sync.Pool they outlast a collection: the collector runs so often while
// a batch is written that a pool would keep next to nothing.
type freeList[T any] chan *T

// get is a spare value, or a new one.
func (s freeList[T]) get() *T {
	select {
	case v := <-s:
		return v
	default:
		return new(T)
	}
}

// put keeps a value that nobody uses any more.
func (s freeList[T]) put(v *T) {
	select {
	case s <- v:
	default:
	}
}

// disorder begins to note where messages lie, as of the first that is late.
func (w *Writer) disorder() {
	if w.spots != nil {
		return
	}
	w.spots = make([]uint32, 0, w.total+w.total/4)
	for i, g := range w.segments {
		for pos := range g.Count {
			w.spots = append(w.spots, packSpot(i+1, pos))
		}
	}
	for pos := range w.chunk.ends {
		w.spots = append(w.spots, packSpot(len(w.segments)+1, pos))
	}
}

// settle waits for what is under way.
func (w *Writer) settle() error {
	err := w.group.Wait()
	w.begin()
	return err
}

func (w *Writer) finish(ctx context.Context) (m *message.Manifest, err error) {
	m = &message.Manifest{
		V: message.Version, Total: w.total, Rejected: w.rejected, InOrder: w.spots == nil,
		Namespace: w.options.Namespace, Cluster: w.options.Cluster,
	}
	if w.spots != nil {
		if err := w.merge(ctx); err != nil {
			return nil, err
		}
	}
	if len(w.chunk.ends) > 0 {
		if err := w.flush(ctx); err != nil {
			return nil, err
		}
	}
	if err := w.settle(); err != nil {
		return nil, err
	}
	if w.spots != nil {
		if m.IndexSeal, err = w.store.writeIndex(ctx, w.dir, w.spots); err != nil {
			return nil, err
		}
	}
	m.Batch, m.Segments = *w.header, w.segments
	m.Batch.Messages = nil
	key := w.dir + "/" + manifestName
	if err := w.store.present(key); err != nil {
		return nil, err
	}
	return m, w.store.writeJSON(ctx, key, m)
}
