package large

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
)

// AdjustCounts counts in a status what late reports have moved.
func AdjustCounts(st *message.Status, r store.Reported) {
	if st.Counts == nil || r.Count == 0 {
		return
	}
	counts := r.Moved.Of(*st.Counts)
	reasons := slices.Clone(st.Reasons)
	reasons.Add(r.Reasons)
	st.Counts, st.Reasons, st.Rev = &counts, reasons.Of(counts), max(st.Rev, r.Rev)
}

// lateSummary is the summary of a large batch's late reports, read once for a view.
func (v *View) lateSummary(ctx context.Context) (store.Reported, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.late != nil {
		return *v.late, nil
	}
	if v.s.Store == nil || v.Large.Dir == "" {
		return store.Reported{}, nil
	}
	r, err := v.s.Store.Reported(ctx, v.Large.Dir)
	if err == nil {
		v.late = &r
	}
	return r, server.StoreError("batch "+v.Ref.ID, err)
}

// withReports is the status with what late reports have moved.
func (v *View) withReports(ctx context.Context) message.Status {
	st := v.Status
	r, err := v.lateSummary(ctx)
	if err != nil {
		v.s.Log.Warn("the late reports of a batch cannot be read", zap.String("batch_id", v.Ref.ID), zap.Error(err))
	}
	AdjustCounts(&st, r)
	return st
}

// readLate reads the late reports of a segment.
func (r *SegmentRows) readLate(ctx context.Context) error {
	summary, err := r.view.lateSummary(ctx)
	if err != nil || summary.Count == 0 {
		return err
	}
	r.late, err = r.view.s.Store.LateOf(ctx, r.view.Large.Dir, summary, r.number)
	return server.StoreError("batch "+r.view.Ref.ID, err)
}
