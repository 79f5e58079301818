package starter

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"

	"volley/internal/message"
	"volley/internal/store"
	"volley/workflows"
)

// taken is what a retry took over: its ledger, or the rows that it told.
type taken struct {
	spots   []message.Spot
	records []message.Record
	told    map[int]message.Row // by index
}

// takenBy asks a retry, once for a view; nil means that it has not begun, or has no
// ledger since the store had lost what it was to take over.
func (v *view) takenBy(ctx context.Context, retry message.Retry) (*taken, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t, ok := v.taken[retry.Number]; ok {
		return t, nil
	}
	state := hasEnded
	var told []message.Row
	var err error
	if _, lost := v.large.RestOf[retry.Number]; lost {
		state = notThere
	} else if !retry.Ended {
		// All of its rows: one that is left out here would show as it was left.
		if told, state, err = v.ask(ctx, retry.Number, filter{}); err != nil {
			return nil, err
		}
	}
	t := &taken{}
	switch state {
	case notThere:
		t = nil
	case hasEnded:
		l, err := v.s.o.Store.Ledger(ctx, v.large.Dir, retry.Number)
		if err != nil {
			return nil, v.s.storeError("batch "+v.ref.ID, err)
		}
		if len(l.Spots) != len(l.Records) {
			return nil, fmt.Errorf("batch %s: the ledger of retry %d does not say where its messages are", v.ref.ID, retry.Number)
		}
		t.spots, t.records = l.Spots, l.Records
	default:
		t.told = make(map[int]message.Row, len(told))
		for _, row := range told {
			t.told[row.Index] = row
		}
	}
	v.taken[retry.Number] = t
	return t, nil
}

// How a workflow of a segment was found.
type found int

const (
	hasTold found = iota
	hasEnded
	notThere
)

// ask gets the rows of a running workflow, without what q does not want.
func (v *view) ask(ctx context.Context, number int, q filter) ([]message.Row, found, error) {
	var all []message.Row
	page := message.PageQuery{State: q.name, Since: q.since, Limit: message.MaxPage}
	what := fmt.Sprintf("segment %d of batch %s", number, v.ref.ID)
	for {
		var p message.Page
		closed, err := v.s.query(ctx, v.workflow(number), &p, workflows.QueryMessages, page)
		var missing *serviceerror.NotFound
		switch {
		case errors.As(err, &missing):
			return nil, v.absent(ctx, number), nil
		case isLoading(err):
			return nil, notThere, nil
		case err != nil:
			return nil, hasTold, v.s.workerError(ctx, what, err)
		case closed:
			return nil, hasEnded, nil
		}
		all = append(all, p.Messages...)
		if p.Next == "" {
			return all, hasTold, nil
		}
		page.Cursor = p.Next
	}
}

// absent is a workflow that Temporal does not have: it has not begun, unless its
// ledger is there.
func (v *view) absent(ctx context.Context, number int) found {
	if _, err := v.s.o.Store.Ledger(ctx, v.large.Dir, number); err == nil || !errors.Is(err, store.ErrNotFound) {
		return hasEnded
	}
	return notThere
}
