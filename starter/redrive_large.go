package starter

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"volley/internal/message"
	"volley/internal/store"
)

// redriveLarge starts a batch out of messages of a large batch that has ended.
func (s *Starter) redriveLarge(ctx context.Context, ref Ref, v *view, q RedriveQuery, states []message.State) (Started, error) {
	if v.open {
		return Started{}, stillRuns(ref)
	}
	m, err := v.manifest(ctx)
	if err != nil {
		return Started{}, err
	}
	header := m.Batch
	header.RedriveOf, header.SendAfter, header.Messages = ref.ID, 0, nil
	header.ID, header.CreatedAt = "", s.o.Now().UTC()
	spots, more, err := v.chosen(ctx, states, q.Code, s.o.MaxMessages)
	switch {
	case err != nil:
		return Started{}, err
	case len(spots) == 0 && len(v.lost) > 0:
		return Started{}, fmt.Errorf("batch %s: no message that is %s can be read from the store any more: %w", ref.ID, wanted(states, q.Code), v.anyLost())
	case len(spots) == 0:
		return Started{}, fmt.Errorf("batch %s has no message that is %s: %w", ref.ID, wanted(states, q.Code), ErrNotFound)
	}
	if !more {
		// Few messages need no store, and no groups.
		header.Dispatch = dispatchMessage
		for _, at := range spots {
			msg, err := v.redrivable(ctx, at)
			if err != nil {
				return Started{}, err
			}
			header.Messages = append(header.Messages, msg)
		}
		return s.startRedrive(ctx, ref, q, states, &header)
	}
	r, content, err := redriveRequest(ref, q, states, header.Dialect)
	if err != nil {
		return Started{}, err
	}
	to, err := s.refFor(r, header.Dialect)
	if err != nil {
		return Started{}, err
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := &again{ctx: wctx, view: v, header: &header, sum: contentHash(content, header.Dialect, to.Tenant, nil)}
	in.next, in.stop = iter.Pull2(v.walk(wctx, message.Spot{Segment: 1}, filter{}))
	defer in.stop()
	in.selects = selects(states, q.Code)
	return s.startLarge(ctx, to, true, in)
}

func stillRuns(ref Ref) error {
	return fmt.Errorf("redrive batch %s: %w, only one that has ended can be redriven", ref.ID, ErrRuns)
}

func selects(states []message.State, code string) func(row *message.Row) bool {
	return func(row *message.Row) bool {
		return slices.Contains(states, row.State) && (code == "" || row.Code == code)
	}
}

// chosen finds the messages to send again, up to limit of them; more says that there
// are others.
func (v *view) chosen(ctx context.Context, states []message.State, code string, limit int) (spots []message.Spot, more bool, err error) {
	ok := selects(states, code)
	for p, err := range v.walk(ctx, message.Spot{Segment: 1}, filter{}) {
		switch {
		case err != nil:
			return nil, false, err
		case !ok(&p.row):
			continue
		}
		if _, err := v.stored(ctx, p.Spot); store.Lost(err) {
			continue // it cannot be sent again
		} else if err != nil {
			return nil, false, err
		}
		if len(spots) == limit {
			return spots, true, nil
		}
		spots = append(spots, p.Spot)
	}
	return spots, false, nil
}

// redrivable is a message as it is sent again: due at once, with its whole time to
// live.
func (v *view) redrivable(ctx context.Context, at message.Spot) (message.Message, error) {
	m, err := v.stored(ctx, at)
	m.Due, m.Problems = 0, nil
	return m, err
}

// again is a source of the messages to send again.
type again struct {
	ctx     context.Context //nolint:containedctx // the source lives as long as one call
	view    *view
	header  *message.Batch
	selects func(row *message.Row) bool
	next    func() (placed, error, bool)
	stop    func()
	sum     string
	err     error
}

// Header is that of the batch to send again.
func (in *again) Header() *message.Batch { return in.header }

// Next yields the next message that was chosen.
func (in *again) Next(m *message.Message) bool {
	for in.err == nil {
		p, err, ok := in.next()
		switch {
		case !ok:
			return false
		case err != nil:
			in.err = err
		case in.selects(&p.row):
			*m, err = in.view.redrivable(in.ctx, p.Spot)
			if store.Lost(err) {
				continue
			}
			in.err = err
			return err == nil
		}
	}
	return false
}

// Sum is the hash of the query, which decides what is sent again.
func (in *again) Sum() (string, error) { return in.sum, in.err }
