package large

import (
	"context"
	"iter"
	"sync"

	"volley/internal/message"
	"volley/internal/store"
)

// LocatedRow is a row and where it lies.
type LocatedRow struct {
	message.Location
	Row message.Row
}

// mostRead is how many segments are read, or asked, at once.
const mostRead = 64

// aheadFiltered is how many segments are read at once when few of their rows may be
// wanted.
const aheadFiltered = 8

// Iterate yields the rows that are wanted, from a spot on. A segment that the store has
// lost is an error, after which the rows of the next one come; any other error ends it.
func (v *View) Iterate(ctx context.Context, from message.Location, f Filter) iter.Seq2[LocatedRow, error] {
	return func(yield func(LocatedRow, error) bool) {
		m, err := v.Manifest(ctx)
		if err != nil {
			yield(LocatedRow{}, err)
			return
		}
		ahead := 1
		if f != (Filter{}) {
			ahead = aheadFiltered
		}
		for next := from.Segment; next <= len(m.Segments); {
			var window []int
			for ; next <= len(m.Segments) && len(window) < ahead; next++ {
				if !v.canSkip(ctx, m, next, f) {
					window = append(window, next)
				}
			}
			read, errs := make([]*SegmentRows, len(window)), make([]error, len(window))
			var group sync.WaitGroup
			for i, number := range window {
				group.Go(func() { read[i], errs[i] = v.Rows(ctx, number, f) })
			}
			group.Wait()
			for i, number := range window {
				first := 0
				if number == from.Segment {
					first = from.Pos
				}
				if err := errs[i]; err != nil {
					if !yield(LocatedRow{}, err) || !store.Lost(err) {
						return
					}
				} else if !read[i].yield(first, f, yield) {
					return
				}
			}
		}
	}
}

// shown yields the wanted rows as they are shown, from a spot on; a nil match wants all.
// Its errors are those of Iterate.
func (v *View) shown(ctx context.Context, from message.Location, f Filter, match Match) iter.Seq2[LocatedRow, error] {
	return func(yield func(LocatedRow, error) bool) {
		for p, err := range v.Iterate(ctx, from, f) {
			var m message.Message
			if err == nil {
				m, err = v.show(ctx, &p)
			}
			if err == nil && match != nil && !match(&p.Row, &m) {
				continue
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// yield yields the wanted rows of a segment; false means that no more are wanted.
func (r *SegmentRows) yield(first int, f Filter, yield func(LocatedRow, error) bool) bool {
	for pos := first; pos < len(r.List); pos++ {
		if row := &r.List[pos]; f.keeps(row) && !yield(LocatedRow{message.Location{Segment: r.number, Pos: pos}, *row}, nil) {
			return false
		}
	}
	return true
}

// Filter says which rows are wanted; the zero value wants all.
type Filter struct {
	name, code, account string
	states              message.StateSet
	since               int64
}

// Match reports whether a row is wanted, beyond what a Filter says. m is the message
// itself; it is empty where the store has lost it.
type Match func(row *message.Row, m *message.Message) bool

// filterOf reads a query that checkPage has accepted.
func filterOf(q message.PageQuery) Filter {
	f := Filter{name: q.State, code: q.Code, since: q.Since, account: q.Account}
	f.states, _ = message.ParseStates(q.State)
	return f
}

func (f Filter) keeps(row *message.Row) bool {
	return row.Index >= 0 && f.states.Has(row.State) && (f.code == "" || row.Code == f.code) && row.Rev > f.since && (f.account == "" || row.Account == f.account)
}

// canSkip reports whether nothing of a segment without a workflow is wanted, which
// shows before the store is asked.
func (v *View) canSkip(ctx context.Context, m *message.Manifest, number int, f Filter) bool {
	if !v.unrun(number) {
		return false
	}
	if rows, err := v.byRows(ctx, m, number); rows || err != nil {
		return false
	}
	rev := max(m.Batch.CreatedAt.UnixMilli()<<RevShift, v.Large.DueRev)
	if rest := v.unrunOutcome(number); rest != nil {
		rev = max(rev, rest.Finished<<RevShift)
	}
	counts, _ := v.plainCounts(m, number)
	for state, n := range counts {
		if n > 0 && f.since < rev && f.states.Has(message.State(state)) {
			return false
		}
	}
	return true
}
