package large

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// RevShift makes the change counter of a large batch out of a time in Unix ms.
const RevShift = message.RevShift

// SegmentRows are all messages of one segment, by position. What only the message itself
// tells (recipient, reference, a channel that no hop names) is filled in for those
// rows that are shown.
type SegmentRows struct {
	view   *View
	number int
	batch  *message.Batch
	lines  message.MessageMetas
	List   []message.Row
	// ledger is there where the workflow has ended. Where it runs it has told its rows.
	ledger  *message.Ledger
	running bool
	told    []message.Row
	late    map[int]message.LateReport
}

// Rows tells how the messages of a segment stand. q leaves out what the caller
// does not want to see, as far as that saves anything; the rows still have to be
// filtered. Rows that were left out have index -1.
func (v *View) Rows(ctx context.Context, number int, q Filter) (*SegmentRows, error) {
	m, err := v.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	r := &SegmentRows{view: v, number: number, batch: &m.Batch}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		r.lines, err = v.lines(gctx, m, number)
		return err
	})
	switch v.State(number) {
	case message.SegmentRunning, message.SegmentRetrying:
		group.Go(func() error { return r.readRunning(gctx, q) })
		group.Go(func() error { return r.readLate(gctx) })
	case message.SegmentEnded:
		group.Go(func() error { return r.readLedger(gctx) })
		group.Go(func() error { return r.readLate(gctx) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	r.List = make([]message.Row, len(r.lines))
	switch {
	case r.ledger != nil:
		return r, r.fillLedger()
	case r.running:
		r.fillRunning()
		return r, nil
	}
	return r, r.fillUnrun(ctx)
}

// put sets the row of a message out of its record.
func (r *SegmentRows) put(pos int, rec *message.Record) {
	r.List[pos] = r.batch.RowOf(r.view.Key, r.lines[pos].Index, r.routed(pos), rec)
}

// routed is a message as far as its hops follow from it.
func (r *SegmentRows) routed(pos int) *message.Message {
	return &message.Message{Route: r.lines[pos].Route}
}

// Hops are those of the message at a position.
func (r *SegmentRows) Hops(pos int) []message.Hop { return r.batch.HopsOf(r.routed(pos)) }

// readRunning asks a segment's workflow for its rows, without what q does not want. One
// that has ended meanwhile has left its ledger, and one that is not there yet has neither.
func (r *SegmentRows) readRunning(ctx context.Context, q Filter) error {
	page := message.PageQuery{State: q.name, Code: q.code, Since: q.since, Limit: message.MaxPage}
	for {
		var p message.Page
		closed, err := r.view.s.Query(ctx, r.view.Workflow(r.number), &p, contract.QueryMessages, page)
		switch {
		case server.IsNotFound(err):
			if err = r.readLedger(ctx); store.Missing(err) {
				return nil // it has not begun
			}
			return err
		case server.IsLoading(err):
			return nil
		case err != nil:
			return r.view.s.WorkerError(ctx, fmt.Sprintf("segment %d of batch %s", r.number, r.view.Ref.ID), err)
		case closed:
			return r.readLedger(ctx)
		}
		r.told = append(r.told, p.Messages...)
		if p.Next == "" {
			r.running = true
			return nil
		}
		page.Cursor = p.Next
	}
}

// fillRunning fills in what the workflow told.
func (r *SegmentRows) fillRunning() {
	at := make(map[int]int, len(r.lines))
	for pos, l := range r.lines {
		at[l.Index] = pos
		r.List[pos].Index = -1
	}
	for _, row := range r.told {
		if pos, ok := at[row.Index]; ok {
			r.List[pos] = row
		}
	}
}

func (r *SegmentRows) readLedger(ctx context.Context) (err error) {
	r.ledger, err = r.view.ledger(ctx, r.number)
	return err
}

// fillLedger fills in what became of the messages, as late reports have made them.
func (r *SegmentRows) fillLedger() error {
	if n := len(r.ledger.Records); n != len(r.lines) {
		return fmt.Errorf("batch %s: the ledger of segment %d has %d messages of %d: %w", r.view.Ref.ID, r.number, n, len(r.lines), store.ErrDamaged)
	}
	for pos, line := range r.lines {
		r.put(pos, &r.ledger.Records[pos])
		if l, ok := r.late[line.Index]; ok {
			l.ApplyTo(&r.List[pos])
		}
	}
	return nil
}

// counts are those of the rows, and the last of their revs.
func (r *SegmentRows) counts() (n message.Counts, reasons message.Reasons, rev int64) {
	for i := range r.List {
		row := &r.List[i]
		n[row.State]++
		reasons.Count(row.State, row.Code, row.Detail, 1)
		rev = max(rev, row.Rev)
	}
	return n, reasons, rev
}

// lines reads the lines of a segment. Where the store has lost the segment, and the
// messages lie in the order of their indexes, they are made up of the indexes, so
// that what became of the messages can still be told.
func (v *View) lines(ctx context.Context, m *message.Manifest, number int) (message.MessageMetas, error) {
	lines, err := v.s.Store.Lines(ctx, v.Large.Dir, number)
	if !store.Lost(err) || !m.InOrder || number < 1 || number > len(m.Segments) {
		return lines, server.StoreError("batch "+v.Ref.ID, err)
	}
	first := 0
	for _, g := range m.Segments[:number-1] {
		first += g.Count
	}
	g := m.Segments[number-1]
	lines = make(message.MessageMetas, g.Count)
	for pos := range lines {
		lines[pos] = message.MessageMeta{Index: first + pos, Due: g.First}
	}
	return lines, nil
}

// storedMessage reads a message. A segment that the store has lost is asked for once.
func (v *View) storedMessage(ctx context.Context, at message.Location) (message.Message, error) {
	v.mu.Lock()
	err := v.missing[at.Segment]
	v.mu.Unlock()
	if err != nil {
		return message.Message{}, err
	}
	g, err := v.s.Store.Segment(ctx, v.Large.Dir, at.Segment)
	if err != nil {
		err = server.StoreError("batch "+v.Ref.ID, err)
		if store.Lost(err) {
			v.mu.Lock()
			v.missing[at.Segment] = err
			v.mu.Unlock()
		}
		return message.Message{}, err
	}
	_, m, err := g.Message(at.Pos)
	return m, server.StoreError("batch "+v.Ref.ID, err)
}

// AnyMissing is why one of the segments cannot be read that were asked for.
func (v *View) AnyMissing() error {
	for _, err := range v.missing {
		return err
	}
	return nil
}
