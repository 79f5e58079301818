package large

import (
	"context"
	"iter"

	"volley/internal/message"
	"volley/internal/store"
)

// StoredRow is a row with its message.
type StoredRow struct {
	Row     message.Row
	Message message.Message
}

// Readable yields the rows of which ok says so, with their messages. One whose message
// the store has lost is left out: it cannot be sent again. An error is the last of them.
func (v *View) Readable(ctx context.Context, ok func(*message.Row) bool) iter.Seq2[StoredRow, error] {
	return func(yield func(StoredRow, error) bool) {
		for p, err := range v.Iterate(ctx, message.Location{Segment: 1}, Filter{}) {
			if err == nil && !ok(&p.Row) {
				continue
			}
			var m message.Message
			if err == nil {
				if m, err = v.storedMessage(ctx, p.Location); store.Lost(err) {
					continue
				}
			}
			if !yield(StoredRow{p.Row, m}, err) || err != nil {
				return
			}
		}
	}
}

// Messages yields the messages of a set with their indexes, as they were accepted, in the
// order of their due times. Those that the store has lost are left out.
func (v *View) Messages(ctx context.Context, set message.IndexSet) iter.Seq2[StoredRow, error] {
	return func(yield func(StoredRow, error) bool) {
		m, err := v.Manifest(ctx)
		if err != nil {
			yield(StoredRow{}, err)
			return
		}
		for number := 1; number <= len(m.Segments); number++ {
			lines, err := v.lines(ctx, m, number)
			if err != nil && !store.Lost(err) {
				yield(StoredRow{}, err)
				return
			}
			for pos := range lines {
				if !set.Has(lines[pos].Index) {
					continue
				}
				one, err := v.storedMessage(ctx, message.Location{Segment: number, Pos: pos})
				if store.Lost(err) {
					continue
				}
				if !yield(StoredRow{message.Row{Index: lines[pos].Index}, one}, err) || err != nil {
					return
				}
			}
		}
	}
}
