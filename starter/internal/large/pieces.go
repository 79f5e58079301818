package large

import (
	"context"
	"iter"
	"slices"

	"volley/internal/message"
	"volley/internal/store"
)

// Piece is the rows of a segment that are wanted.
type Piece struct {
	Rows []message.Row
	// Others are the further addresses of each row's recipient.
	Others [][]string
	// Segment is the number of the one that they are of.
	Segment int
}

// PiecesQuery says which rows are wanted.
type PiecesQuery struct {
	// From is the first segment; 0 is 1.
	From int
	// Since leaves out rows whose rev is not above it.
	Since int64
	// Ended has the states of segments, as message.Large has them, when they were read
	// last. What had ended by then has changed by late reports only.
	Ended string
	// Ahead is how many segments are read at once; 0 is 1.
	Ahead int
}

// Pieces yields the rows of a large batch segment by segment. A segment without wanted
// rows has a piece too unless nothing had to be read for that. A segment that the store has
// lost is an error, after which the next ones come; any other error ends it.
func (v *View) Pieces(ctx context.Context, q PiecesQuery) iter.Seq2[Piece, error] {
	type read struct {
		Piece
		err error
	}
	return func(yield func(Piece, error) bool) {
		m, err := v.Manifest(ctx)
		if err != nil {
			yield(Piece{}, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		var ahead []chan read
		defer func() {
			cancel()
			for _, c := range ahead {
				<-c
			}
		}()
		next := max(q.From, 1)
		for {
			for ; next <= len(m.Segments) && len(ahead) < max(q.Ahead, 1); next++ {
				if v.canSkip(ctx, m, next, Filter{since: q.Since}) || v.settled(ctx, next, q) {
					continue
				}
				number, c := next, make(chan read, 1)
				ahead = append(ahead, c)
				go func() {
					p, err := v.piece(ctx, number, q.Since)
					c <- read{p, err}
				}()
			}
			if len(ahead) == 0 {
				return
			}
			r := <-ahead[0]
			ahead = slices.Delete(ahead, 0, 1)
			if !yield(r.Piece, r.err) || r.err != nil && !store.Lost(r.err) {
				return
			}
		}
	}
}

// settled reports whether a segment was read after its end and had no report since.
func (v *View) settled(ctx context.Context, number int, q PiecesQuery) bool {
	if number > len(q.Ended) || q.Ended[number-1] != message.SegmentEnded {
		return false
	}
	late, err := v.lateSummary(ctx)
	return err == nil && late.Segments[number].Rev <= q.Since
}

// piece reads the rows of a segment.
func (v *View) piece(ctx context.Context, number int, since int64) (Piece, error) {
	p := Piece{Segment: number}
	r, err := v.Rows(ctx, number, Filter{since: since})
	if err != nil {
		return p, err
	}
	for pos := range r.List {
		row := &r.List[pos]
		if row.Index < 0 || row.Rev <= since {
			continue
		}
		at := LocatedRow{message.Location{Segment: number, Pos: pos}, *row}
		m, err := v.show(ctx, &at)
		if err != nil {
			return p, err
		}
		p.Rows, p.Others = append(p.Rows, at.Row), append(p.Others, m.OtherAddresses())
	}
	return p, nil
}
