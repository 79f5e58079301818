package starter

import (
	"context"
	"slices"

	"volley/internal/message"
	"volley/starter/internal/large"
	"volley/starter/internal/server"
)

// result waits until a batch has closed and returns how it ended. One that Temporal
// itself ended has no result; what became of it is put together.
func (s *Starter) result(ctx context.Context, ref Ref) (message.Result, error) {
	res, ok, err := s.server.Result(ctx, ref)
	if ok {
		return res, err
	}
	b, err := s.closed.Batch(ctx, ref)
	switch {
	case err != nil:
		return message.Result{}, err
	case b.Input.Large != nil:
		return s.large.Closed(ctx, ref, b)
	}
	return b.Result(ctx)
}

// end is how a batch has ended, with what reports have made of it since: its status
// and, with rows, the messages of a small batch. Without a store no report is taken
// after the end.
func (s *Starter) end(ctx context.Context, ref Ref, rows bool) (message.Result, error) {
	res, err := s.result(ctx, ref)
	if err != nil {
		return res, err
	}
	if res.Large != nil {
		res.Status = s.viewOf(ref, endedStatus(res)).LiveStatus(ctx)
		return res, nil
	}
	return s.reported(ctx, ref, res, rows)
}

// reported is the result of a small batch with what reports have made of it.
func (s *Starter) reported(ctx context.Context, ref Ref, res message.Result, rows bool) (message.Result, error) {
	if s.o.Store == nil {
		return res, nil
	}
	dir := s.server.ReportsDir(ref, res)
	var late map[int]message.LateReport
	r, err := s.o.Store.Reported(ctx, dir)
	if err == nil && rows {
		late, err = s.o.Store.LateOf(ctx, dir, r, 0)
	}
	if err != nil {
		return message.Result{}, server.StoreError("batch "+ref.ID, err)
	}
	applyLate(&res, late)
	large.AdjustCounts(&res.Status, r)
	return res, nil
}

// applyLate shows the messages of a small batch as late reports have made them.
func applyLate(res *message.Result, late map[int]message.LateReport) {
	for i, l := range late {
		if i < 0 || i >= len(res.Rows) {
			continue
		}
		l.ApplyTo(&res.Rows[i])
		if i < len(res.Trails) {
			res.Trails[i] = append(slices.Clone(res.Trails[i]), l.Entry())
		}
	}
}
