package activities

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/internal/store"
)

// readAhead is how many segments Locate reads at once.
const readAhead = 8

// Locate finds messages in a large batch. It tells which ones are rejected, unless
// a workflow has their segment, and how those ended whose workflow has ended.
// Errors are as with Open; without a store nothing is found.
func (a *Activities) Locate(ctx context.Context, in LocateInput) (LocateResult, error) {
	res := LocateResult{V: message.Version, Found: make([]Located, len(in.Indexes))}
	if a.store == nil {
		return res, nil
	}
	spots, err := a.store.Locate(ctx, in.Dir, in.Indexes)
	if err != nil {
		return res, unlessLost(err)
	}
	manifest, err := a.store.Manifest(ctx, in.Dir)
	if err != nil {
		return res, unlessLost(err)
	}
	l := locator{store: a.store, in: &in, segments: manifest.Segments, ledgers: map[int]*ledger{}}
	members := map[int][]int{}
	for i, spot := range spots {
		res.Found[i] = Located{Segment: spot.Segment, Pos: spot.Pos}
		if spot.Segment > 0 && spot.Segment <= len(l.segments) {
			members[spot.Segment] = append(members[spot.Segment], i)
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(readAhead)
	for _, some := range members {
		group.Go(func() (err error) {
			for _, i := range some {
				if res.Found[i].State, err = l.state(gctx, spots[i], in.Indexes[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return LocateResult{V: message.Version}, err
	}
	return res, nil
}

// locator reads each ledger once.
type locator struct {
	store    *store.Store
	in       *LocateInput
	segments []message.Segment

	mu      sync.Mutex
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
	letter := byte(message.SegmentWaiting)
	if spot.Segment <= len(large.Segments) {
		letter = large.Segments[spot.Segment-1]
	}
	switch letter {
	case message.SegmentWaiting:
		return l.rejected(ctx, spot)
	case message.SegmentNever:
		if s, err := l.rejected(ctx, spot); s != nil || err != nil {
			return s, err
		}
		return l.abandoned(spot.Segment, index), nil
	case message.SegmentEnded, message.SegmentLeft:
	default:
		return nil, nil
	}
	// What was taken over last is the latest that is known.
	for _, r := range slices.Backward(large.Retries) {
		if !r.Ended || !slices.Contains(r.Segments, spot.Segment) {
			continue
		}
		state, covered, err := l.recorded(ctx, r.Number, spot)
		if covered || err != nil {
			return state, err
		}
		if _, lost := large.RestOf[r.Number]; !lost {
			continue
		}
		if state, _, err := l.recorded(ctx, spot.Segment, spot); state != nil || err != nil {
			return state, err // it ended before the retry
		}
		return l.abandoned(r.Number, index), nil
	}
	state, _, err := l.recorded(ctx, spot.Segment, spot)
	return state, err
}

// recorded is the final state that a ledger has of a message. A ledger that is not
// there covers none.
func (l *locator) recorded(ctx context.Context, number int, spot message.Spot) (state *message.State, covered bool, err error) {
	known, err := l.ledger(ctx, number)
	if err != nil {
		return nil, false, err
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

// ledger reads a ledger, or the one that was read before.
func (l *locator) ledger(ctx context.Context, number int) (*ledger, error) {
	l.mu.Lock()
	known := l.ledgers[number]
	l.mu.Unlock()
	if known != nil {
		return known, nil
	}
	read, err := l.store.Ledger(ctx, l.in.Dir, number)
	if unlessLost(err) != nil {
		return nil, err
	}
	known = &ledger{Ledger: read, at: map[message.Spot]int{}}
	if err == nil {
		for i := range read.Records {
			known.at[spotOf(read, number, i)] = i
		}
	}
	l.mu.Lock()
	l.ledgers[number] = known
	l.mu.Unlock()
	return known, nil
}

// rejected is the state of a message that was rejected before it could have a
// workflow; nil for others.
func (l *locator) rejected(ctx context.Context, spot message.Spot) (*message.State, error) {
	if l.segments[spot.Segment-1].Rejected == 0 {
		return nil, nil
	}
	lines, err := l.store.Lines(ctx, l.in.Dir, spot.Segment)
	if err != nil {
		return nil, unlessLost(err)
	}
	if spot.Pos < len(lines) && lines[spot.Pos].Code != "" {
		return new(message.Rejected), nil
	}
	return nil, nil
}

// abandoned is the state of a message that no workflow took up, or whose workflow,
// with this number, was lost: one that was canceled by name was so before.
func (l *locator) abandoned(number, index int) *message.State {
	large := &l.in.Large
	if slices.Contains(large.Canceled, index) {
		return new(message.Canceled)
	}
	if rest, ok := large.RestOf[number]; ok {
		return &rest.State
	}
	if large.Rest != nil {
		return &large.Rest.State
	}
	return nil
}
