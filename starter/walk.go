package starter

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/internal/store"
	"volley/workflows"
)

// filter says which rows are wanted; the zero value wants all.
type filter struct {
	name  string
	state message.State
	since int64
}

// filterOf reads a query that checkPage has accepted.
func filterOf(q message.PageQuery) filter {
	f := filter{name: q.State, since: q.Since}
	f.state, _ = message.ParseState(q.State)
	return f
}

func (f filter) keeps(row *message.Row) bool {
	return row.Index >= 0 && (f.name == "" || row.State == f.state) && row.Rev > f.since
}

// skips reports whether nothing of a segment without a workflow is wanted, which
// shows before the store is asked.
func (v *view) skips(m *message.Manifest, number int, f filter) bool {
	letter := v.letter(number)
	if letter != message.SegmentWaiting && letter != message.SegmentNever {
		return false
	}
	rest := v.rest(number, letter == message.SegmentNever)
	rev := m.Batch.CreatedAt.UnixMilli() << revShift
	if rest != nil {
		rev = max(rev, rest.Finished<<revShift)
	}
	for _, of := range v.large.Revs {
		rev = max(rev, of)
	}
	if v.large.Due != 0 {
		rev = max(rev, v.large.DueRev)
	}
	switch {
	case f.since >= rev:
		return true
	case f.name == "":
		return false
	case f.state == message.Rejected:
		return m.Segments[number-1].Rejected == 0
	case rest != nil && f.state == rest.State:
		return false
	case f.state == message.Canceled:
		return len(v.large.Canceled) == 0
	}
	return rest != nil || f.state != message.Scheduled && f.state != message.Accepted
}

// placed is a row and where it lies.
type placed struct {
	message.Spot
	row message.Row
	rec *message.Record // where the store has it
}

// aheadFiltered is how many segments are read at once when few of their rows may be
// wanted.
const aheadFiltered = 8

// walk yields the rows that are wanted, from a spot on.
func (v *view) walk(ctx context.Context, from message.Spot, f filter) iter.Seq2[placed, error] {
	return func(yield func(placed, error) bool) {
		m, err := v.manifest(ctx)
		if err != nil {
			yield(placed{}, err)
			return
		}
		ahead := 1
		if f != (filter{}) {
			ahead = aheadFiltered
		}
		for next := from.Segment; next <= len(m.Segments); {
			var window []int
			for ; next <= len(m.Segments) && len(window) < ahead; next++ {
				if !v.skips(m, next, f) {
					window = append(window, next)
				}
			}
			read, err := v.read(ctx, window, f)
			if err != nil {
				yield(placed{}, err)
				return
			}
			for _, r := range read {
				first := 0
				if r.number == from.Segment {
					first = from.Pos
				}
				if !r.yield(first, f, yield) {
					return
				}
			}
		}
	}
}

// read reads segments side by side.
func (v *view) read(ctx context.Context, numbers []int, f filter) ([]*rows, error) {
	read := make([]*rows, len(numbers))
	group, gctx := errgroup.WithContext(ctx)
	for i, number := range numbers {
		group.Go(func() (err error) {
			read[i], err = v.rowsOf(gctx, number, f)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return read, nil
}

// yield yields the wanted rows of a segment; false means that no more are wanted.
func (r *rows) yield(first int, f filter, yield func(placed, error) bool) bool {
	for pos := first; pos < len(r.list); pos++ {
		if !f.keeps(&r.list[pos]) {
			continue
		}
		if !yield(placed{Spot: message.Spot{Segment: r.number, Pos: pos}, row: r.list[pos], rec: r.records[pos]}, nil) {
			return false
		}
	}
	return true
}

// page cuts a page out of a large batch.
func (v *view) page(ctx context.Context, q message.PageQuery) (message.Page, error) {
	from, err := spotOf(q.Cursor)
	if err != nil {
		return message.Page{}, err
	}
	limit := q.Limit
	if limit == 0 {
		limit = message.DefaultPage
	}
	page := message.Page{Messages: []message.Row{}}
	for p, err := range v.walk(ctx, from, filterOf(q)) {
		if err != nil {
			return message.Page{}, err
		}
		if len(page.Messages) == min(limit, message.MaxPage) {
			page.Next = cursorOf(p.Spot)
			break
		}
		if err := v.show(ctx, &p); err != nil {
			return message.Page{}, err
		}
		page.Messages = append(page.Messages, p.row)
	}
	return page, nil
}

// results yields the rows of a large batch, however many there are.
func (v *view) results(ctx context.Context, q message.PageQuery, yield func(message.Row, error) bool) {
	for p, err := range v.walk(ctx, message.Spot{Segment: 1}, filterOf(q)) {
		if err == nil {
			err = v.show(ctx, &p)
		}
		if err != nil {
			yield(message.Row{}, err)
			return
		}
		if !yield(p.row, nil) {
			return
		}
	}
}

// show fills in what only the message itself tells. That stays empty where the store
// has lost the message.
func (v *view) show(ctx context.Context, p *placed) error {
	m, err := v.stored(ctx, p.Spot)
	switch {
	case store.Lost(err):
		return nil
	case err != nil:
		return err
	}
	p.row.To, p.row.Reference = m.To, nil
	if m.Reference != "" {
		p.row.Reference = &m.Reference
	}
	if p.row.Channel == "" && len(m.Channels) > 0 {
		p.row.Channel = m.Channels[0]
	}
	return nil
}

// message is one message with its trail; what names it in errors.
func (v *view) message(ctx context.Context, what string, index int) (message.Row, error) {
	if _, err := v.manifest(ctx); err != nil {
		return message.Row{}, err
	}
	spots, err := v.s.o.Store.Locate(ctx, v.large.Dir, []int{index})
	if err != nil {
		return message.Row{}, v.s.storeError(what, err)
	}
	if len(spots) != 1 || spots[0].Segment == 0 {
		return message.Row{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	p := placed{Spot: spots[0]}
	r, err := v.rowsOf(ctx, p.Segment, filter{})
	if err != nil {
		return message.Row{}, err
	}
	if p.Pos >= len(r.list) {
		return message.Row{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	p.row = r.list[p.Pos]
	switch {
	case r.records[p.Pos] != nil:
		trail := r.records[p.Pos].Trail
		if l, ok := r.late[index]; ok {
			trail = append(slices.Clone(trail), l.Entry())
		}
		p.row.Trail = r.batch.TrailOf(p.Pos, trail)
	case r.asked[p.Pos] != 0:
		var row message.Row
		closed, err := v.s.query(ctx, v.workflow(r.asked[p.Pos]), &row, workflows.QueryMessage, p.row.ID)
		if err != nil {
			return message.Row{}, v.s.workerError(ctx, what, err)
		}
		if !closed { // otherwise it ended this instant, and the row is still true
			p.row = row
		}
	}
	if err := v.show(ctx, &p); err != nil {
		return message.Row{}, err
	}
	return p.row, nil
}
