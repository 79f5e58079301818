package starter

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"

	"volley/internal/message"
	"volley/internal/store"
	"volley/workflows"
)

// end finds out how the workflow with a number ended. It reports false when there
// was none. The ledger of one that Temporal cut short is written from its history.
func (r *ruin) end(ctx context.Context, number int) (workflows.SegmentResult, bool, error) {
	c, named := r.children[number]
	switch {
	case c.ended:
		return c.result, true, nil
	case !named:
		return workflows.SegmentResult{}, false, nil
	}
	s, id := r.view.s, r.view.workflow(number)
	what := fmt.Sprintf("segment %d of batch %s", number, r.view.ref.ID)
	d, err := s.c.DescribeWorkflowExecution(ctx, id, "")
	if gone(err) {
		return r.remembered(ctx, number)
	}
	if err != nil {
		return workflows.SegmentResult{}, false, s.translate(ctx, what, err)
	}
	status := d.GetWorkflowExecutionInfo().GetStatus()
	if status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		var res workflows.SegmentResult
		if err := s.c.GetWorkflow(ctx, id, "").Get(ctx, &res); err != nil {
			return res, false, s.translate(ctx, what, err)
		}
		return res, true, nil
	}
	if isOpen(status) {
		r.mu.Lock()
		r.open = true
		r.mu.Unlock()
	}
	return r.cutShort(ctx, number)
}

// remembered is a workflow that Temporal does not have: its ledger tells whether
// there was one.
func (r *ruin) remembered(ctx context.Context, number int) (workflows.SegmentResult, bool, error) {
	var res workflows.SegmentResult
	l, err := r.view.s.o.Store.Ledger(ctx, r.view.large.Dir, number)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return res, false, nil
	case err != nil:
		return res, false, r.view.s.storeError("batch "+r.view.ref.ID, err)
	}
	for i := range l.Records {
		res.Counts[l.Records[i].State]++
		res.Rev = max(res.Rev, l.Records[i].Rev)
	}
	return res, true, nil
}

// cutShort writes the ledger of a workflow that Temporal ended.
func (r *ruin) cutShort(ctx context.Context, number int) (workflows.SegmentResult, bool, error) {
	l, st, err := r.view.cutShort(ctx, number)
	if err != nil {
		return workflows.SegmentResult{}, false, err
	}
	if err := r.view.s.o.Store.KeepLedger(ctx, r.view.large.Dir, number, l); err != nil {
		return workflows.SegmentResult{}, false, r.view.s.storeError("batch "+r.view.ref.ID, err)
	}
	res := workflows.SegmentResult{V: message.Version, Rev: st.rev, Started: st.started}
	for i := range l.Records {
		res.Counts[l.Records[i].State]++
	}
	return res, true, nil
}
