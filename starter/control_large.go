package starter

import (
	"context"
	"fmt"

	"volley/internal/message"
)

// listedMessages is up to how many messages an answer to a cancel has lists of ids.
const listedMessages = 1000

// canceledNothingLarge answers a cancel of a large batch that has ended.
func (s *Starter) canceledNothingLarge(ctx context.Context, ref Ref, end message.Result, q message.CancelRequest) (message.CancelResult, error) {
	res := message.CancelResult{Batch: ref.ID, Confirmed: true}
	if q.Messages == nil && end.Status.Total > listedMessages {
		for state, n := range end.Status.Counts {
			if message.State(state).Taken() {
				res.Counts.Sent += n
			} else {
				res.Counts.Ended += n
			}
		}
		return res, nil
	}
	v, err := s.viewOfResult(ref, end)
	if err != nil {
		return message.CancelResult{}, err
	}
	ended := map[string]message.State{}
	if err := v.states(ctx, q.Messages, ended); err != nil {
		return message.CancelResult{}, err
	}
	ids := q.Messages
	if ids == nil {
		for i := range end.Status.Total {
			ids = append(ids, v.key.MessageID(i))
		}
	}
	res.Canceled, res.Sent, res.InFlight, res.Ended = []string{}, []string{}, []string{}, []string{}
	seen := map[string]bool{}
	for _, id := range ids {
		state, ok := ended[id]
		switch {
		case !ok:
			return message.CancelResult{}, fmt.Errorf("message %s of batch %s: %w", id, ref.ID, ErrNotFound)
		case seen[id]:
		case state.Taken():
			res.Sent = append(res.Sent, id)
		default:
			res.Ended = append(res.Ended, id)
		}
		seen[id] = true
	}
	res.Counts = message.CancelCounts{Sent: len(res.Sent), Ended: len(res.Ended)}
	if len(ids) > listedMessages {
		res.Canceled, res.Sent, res.InFlight, res.Ended = nil, nil, nil, nil
	}
	return res, nil
}

// states finds out how messages stand, by id; nil ids are all.
func (v *view) states(ctx context.Context, ids []string, into map[string]message.State) error {
	if ids == nil {
		for p, err := range v.walk(ctx, message.Spot{Segment: 1}, filter{}) {
			if err != nil {
				return err
			}
			into[p.row.ID] = p.row.State
		}
		return nil
	}
	if _, err := v.manifest(ctx); err != nil {
		return err
	}
	indexes := make([]int, 0, len(ids))
	for _, id := range ids {
		_, i, _ := message.ParseID(id)
		indexes = append(indexes, i)
	}
	spots, err := v.s.o.Store.Locate(ctx, v.large.Dir, indexes)
	if err != nil {
		return v.s.storeError("batch "+v.ref.ID, err)
	}
	read := map[int]*rows{}
	for _, at := range spots {
		if at.Segment == 0 {
			continue
		}
		r := read[at.Segment]
		if r == nil {
			if r, err = v.rowsOf(ctx, at.Segment, filter{}); err != nil {
				return err
			}
			read[at.Segment] = r
		}
		if at.Pos < len(r.list) {
			into[r.list[at.Pos].ID] = r.list[at.Pos].State
		}
	}
	return nil
}
