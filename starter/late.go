package starter

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"volley/internal/message"
	"volley/internal/store"
)

// end is how a batch has ended, with what reports have made of it since: its status
// and, with rows, the messages of a small batch. Without a store no report is taken
// after the end.
func (s *Starter) end(ctx context.Context, ref Ref, rows bool) (message.Result, error) {
	res, err := s.result(ctx, ref)
	if err != nil {
		return res, err
	}
	return s.reported(ctx, ref, res, rows)
}

// reported is a result with what reports have made of it.
func (s *Starter) reported(ctx context.Context, ref Ref, res message.Result, rows bool) (message.Result, error) {
	if s.o.Store == nil {
		return res, nil
	}
	dir := reportsDir(ref, res)
	r, err := s.o.Store.Reported(ctx, dir)
	if err != nil {
		return message.Result{}, s.storeError("batch "+ref.ID, err)
	}
	if r.Count == 0 {
		return res, nil
	}
	if rows && res.Large == nil {
		late, now, err := s.o.Store.LateOf(ctx, dir, r, 0)
		if err != nil {
			return message.Result{}, s.storeError("batch "+ref.ID, err)
		}
		layOver(&res, late)
		r = now
	}
	moved(&res.Status, r)
	return res, nil
}

// reportsDir is where the late reports of a batch are that has ended.
func reportsDir(ref Ref, res message.Result) string {
	if res.Large != nil {
		return res.Large.Dir
	}
	return store.ReportsDir(ref.Tenant, ref.ID, WorkflowID(ref), res.Status.CreatedAt)
}

// moved counts in a status what late reports have moved.
func moved(st *message.Status, r store.Reported) {
	if st.Counts == nil || r.Count == 0 {
		return
	}
	counts := r.Moved.Of(*st.Counts)
	st.Counts, st.Rev = &counts, max(st.Rev, r.Rev)
}

// layOver shows the messages of a small batch as late reports have made them.
func layOver(res *message.Result, late map[int]message.Late) {
	for i, l := range late {
		if i < 0 || i >= len(res.Rows) {
			continue
		}
		l.Lay(&res.Rows[i])
		if i < len(res.Trails) {
			res.Trails[i] = append(slices.Clone(res.Trails[i]), l.Entry())
		}
	}
}

// reported is the summary of a large batch's late reports, read once for a view.
func (v *view) reported(ctx context.Context) (store.Reported, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.late != nil {
		return *v.late, nil
	}
	if v.s.o.Store == nil || v.large.Dir == "" {
		return store.Reported{}, nil
	}
	r, err := v.s.o.Store.Reported(ctx, v.large.Dir)
	if err != nil {
		return r, v.s.storeError("batch "+v.ref.ID, err)
	}
	v.late = &r
	return r, nil
}

// withReports is the status with what late reports have moved.
func (v *view) withReports(ctx context.Context) message.Status {
	st := v.status
	r, err := v.reported(ctx)
	if err != nil {
		v.s.o.Log.Warn("the late reports of a batch cannot be read", zap.String("batch_id", v.ref.ID), zap.Error(err))
		return st
	}
	moved(&st, r)
	return st
}

// lay shows those messages of a segment that no workflow has any more as late
// reports have made them.
func (r *rows) lay(ctx context.Context) error {
	summary, err := r.view.reported(ctx)
	if err != nil || summary.Count == 0 {
		return err
	}
	late, _, err := r.view.s.o.Store.LateOf(ctx, r.view.large.Dir, summary, r.number)
	if err != nil {
		return r.view.s.storeError("batch "+r.view.ref.ID, err)
	}
	r.late = late
	for pos := range r.list {
		row := &r.list[pos]
		if l, ok := late[row.Index]; ok && row.Index >= 0 && r.asked[pos] == 0 {
			l.Lay(row)
		}
	}
	return nil
}
