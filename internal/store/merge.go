package store

import (
	"bufio"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"
)

// readAhead is how many segments are read at once when they are sorted in again.
const readAhead = 4

// merge brings what came out of order to its place. Segments that lie before all of
// it stay; the others are read back, and written anew from the first of them on.
func (w *Writer) merge(ctx context.Context) error {
	if err := w.settle(); err != nil {
		return err
	}
	keep := slices.IndexFunc(w.checkpoints, func(m checkpoint) bool {
		return m.last > w.spill.due || m.last == w.spill.due && m.index > w.spill.index
	})
	if keep < 0 {
		keep = len(w.checkpoints)
	}
	if err := w.readBack(ctx, keep); err != nil {
		return err
	}
	w.segments, w.checkpoints = w.segments[:keep], w.checkpoints[:keep]
	rest := w.chunk
	w.chunk = w.spare.get()
	q, err := newQueue(append(w.spill.sources(), rest.source())...)
	if err != nil {
		return err
	}
	for len(q) > 0 {
		r := &q[0].row
		if err := w.put(ctx, r); err != nil {
			return err
		}
		w.spots[r.line.Index] = packSpot(len(w.segments)+1, len(w.chunk.ends)-1)
		if err := q.advance(); err != nil {
			return err
		}
	}
	return nil
}

// readBack makes a run of the segments behind the first keep.
func (w *Writer) readBack(ctx context.Context, keep int) error {
	if keep == len(w.checkpoints) {
		return nil
	}
	var ready []*Segment
	number, pos := keep, 0
	due := w.checkpoints[keep].first
	var buf []byte
	return w.spill.run(func() ([]byte, error) {
		for len(ready) == 0 || pos == ready[0].Len() {
			if len(ready) > 0 {
				ready, pos = ready[1:], 0
				number++
			}
			if number == len(w.checkpoints) {
				return nil, io.EOF
			}
			due = w.checkpoints[number].first
			if len(ready) == 0 {
				var err error
				if ready, err = w.readSome(ctx, number+1); err != nil {
					return nil, err
				}
			}
		}
		g := ready[0]
		r := row{line: g.lines[pos], json: g.raw(pos)}
		if r.line.Code == "" {
			due = max(r.line.Due, w.created)
		}
		r.due = due
		pos++
		buf = appendRow(buf[:0], &r)
		return buf, nil
	})
}

// readSome reads some segments from a number on.
func (w *Writer) readSome(ctx context.Context, number int) ([]*Segment, error) {
	out := make([]*Segment, min(readAhead, len(w.checkpoints)-number+1))
	group, ctx := errgroup.WithContext(ctx)
	for i := range out {
		group.Go(func() error {
			key := segmentKey(w.dir, number+i)
			data, err := w.store.readObject(ctx, key)
			if err != nil {
				return err
			}
			g, err := parseSegment(key, data, number+i)
			if err == nil && g.Len() != w.segments[number+i-1].Count {
				err = damaged(key, fmt.Sprintf("it has %d messages, expected %d", g.Len(), w.segments[number+i-1].Count))
			}
			out[i] = g
			return err
		})
	}
	return out, group.Wait()
}

// source gives rows in order, and io.EOF behind the last. A row is good until the
// next one.
type source func() (row, error)

// source gives the rows of a segment in the making.
func (c *chunk) source() source {
	i := -1
	return func() (row, error) {
		if i++; i == len(c.ends) {
			return row{}, io.EOF
		}
		return row{due: c.dues[i], line: c.lines[i], json: c.raw(i)}, nil
	}
}

// sources gives the runs of a spill; nothing is added to it any more.
func (s *spill) sources() []source {
	s.spare = nil
	s.sort()
	i := -1
	out := []source{func() (row, error) {
		if i++; i == len(s.refs) {
			return row{}, io.EOF
		}
		return parseRow(s.row(s.refs[i]))
	}}
	size := min(max(8*spillBlock/max(len(s.runs), 1), 4<<10), spillBlock)
	for _, run := range s.runs {
		in := bufio.NewReaderSize(io.NewSectionReader(s.at, run.from, run.to-run.from), size)
		var buf []byte
		out = append(out, func() (row, error) {
			n, err := binary.ReadUvarint(in)
			if err != nil {
				return row{}, err
			}
			if n > uint64(run.to-run.from) {
				return row{}, errSpill
			}
			buf = slices.Grow(buf[:0], int(n))[:n]
			if _, err := io.ReadFull(in, buf); err != nil {
				return row{}, errSpill
			}
			return parseRow(buf)
		})
	}
	return out
}

// queue is a heap of sources, the one with the first row in front.
type queue []*head

type head struct {
	row  row
	next source
}

func newQueue(sources ...source) (queue, error) {
	var q queue
	for _, next := range sources {
		r, err := next()
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return nil, err
		}
		q = append(q, &head{r, next})
	}
	heap.Init(&q)
	return q, nil
}

// advance goes on to the next row.
func (q *queue) advance() error {
	h := (*q)[0]
	r, err := h.next()
	switch {
	case errors.Is(err, io.EOF):
		heap.Pop(q)
	case err != nil:
		return err
	default:
		h.row = r
		heap.Fix(q, 0)
	}
	return nil
}

// Len, Less, Swap, Push and Pop are for the heap.
func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, k int) bool { return q[i].row.before(q[k].row.due, q[k].row.line.Index) }
func (q queue) Swap(i, k int)      { q[i], q[k] = q[k], q[i] }

// Push is never called: sources only end.
func (q *queue) Push(x any) { *q = append(*q, x.(*head)) }

// Pop takes the last one off.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
