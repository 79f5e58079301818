package activities

import (
	"context"
	"errors"
	"slices"

	"volley/internal/message"
	"volley/internal/store"
)

// Locate finds messages in a large batch, and tells how those ended whose
// workflow has ended. Errors are as with Open; without a store nothing is found.
func (a *Activities) Locate(ctx context.Context, in LocateInput) (LocateResult, error) {
	res := LocateResult{V: message.Version, Found: make([]Located, len(in.Indexes))}
	if a.store == nil {
		return res, nil
	}
	spots, err := a.store.Locate(ctx, in.Dir, in.Indexes)
	if err != nil {
		return res, unlessLost(err)
	}
	l := locator{store: a.store, in: &in, ledgers: map[int]*ledger{}}
	for i, spot := range spots {
		res.Found[i] = Located{Segment: spot.Segment, Pos: spot.Pos}
		if res.Found[i].State, err = l.state(ctx, spot, in.Indexes[i]); err != nil {
			return LocateResult{V: message.Version}, err
		}
	}
	return res, nil
}

// locator reads each ledger once.
type locator struct {
	store   *store.Store
	in      *LocateInput
	ledgers map[int]*ledger
}

// ledger is a ledger with its records by spot, or what stands for one that is not
// there.
type ledger struct {
	*message.Ledger
	at map[message.Spot]int
}

// state is how a message ended; nil when it has not, as far as it is known.
func (l *locator) state(ctx context.Context, spot message.Spot, index int) (*message.State, error) {
	large := &l.in.Large
	if spot.Segment < 1 || spot.Segment > len(large.Segments) {
		return nil, nil
	}
	switch large.Segments[spot.Segment-1] {
	case message.SegmentNever:
		return l.never(ctx, spot, index)
	case message.SegmentEnded, message.SegmentLeft:
	default:
		return nil, nil
	}
	// What was taken over last is the latest that is known.
	for _, r := range slices.Backward(large.Retries) {
		if !r.Ended || !slices.Contains(r.Segments, spot.Segment) {
			continue
		}
		if state, covered, err := l.recorded(ctx, r.Number, spot); covered || err != nil {
			return state, err
		}
	}
	state, _, err := l.recorded(ctx, spot.Segment, spot)
	return state, err
}

// recorded is the final state that a ledger has of a message. A ledger that is not
// there covers none.
func (l *locator) recorded(ctx context.Context, number int, spot message.Spot) (state *message.State, covered bool, err error) {
	known, ok := l.ledgers[number]
	if !ok {
		read, err := l.store.Ledger(ctx, l.in.Dir, number)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, false, err
		}
		known = &ledger{Ledger: read, at: map[message.Spot]int{}}
		if err == nil {
			for i := range read.Records {
				known.at[spotOf(read, number, i)] = i
			}
		}
		l.ledgers[number] = known
	}
	i, ok := known.at[spot]
	if !ok {
		return nil, false, nil
	}
	if s := known.Records[i].State; s.Final() {
		return &s, true, nil
	}
	return nil, true, nil
}

// never is the state of a message whose segment no workflow took up: what was
// rejected before stays rejected, and what was canceled by name was so before the
// rest.
func (l *locator) never(ctx context.Context, spot message.Spot, index int) (*message.State, error) {
	lines, err := l.store.Lines(ctx, l.in.Dir, spot.Segment)
	if err != nil {
		return nil, unlessLost(err)
	}
	if spot.Pos < len(lines) && lines[spot.Pos].Code != "" {
		return new(message.Rejected), nil
	}
	large := &l.in.Large
	if slices.Contains(large.Canceled, index) {
		return new(message.Canceled), nil
	}
	if rest, ok := large.RestOf[spot.Segment]; ok {
		return &rest.State, nil
	}
	if large.Rest != nil {
		return &large.Rest.State, nil
	}
	return nil, nil
}
