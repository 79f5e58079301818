package large

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
)

// names are the messages of a batch that were canceled by name.
type names struct {
	byIndex  map[int]message.Cancellation
	segments map[int]bool // those that have some
}

// canceled are those messages that were canceled by name, read once for a view.
func (v *View) canceled(ctx context.Context) (names, error) {
	v.readNamed.Do(func() { v.named, v.namedErr = v.readCanceled(ctx) })
	return v.named, v.namedErr
}

// readCanceled reads them. What of them can be read counts. Several callers may share a
// view, so that one who gives up leaves the others theirs.
func (v *View) readCanceled(ctx context.Context) (names, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*v.s.Wait)
	defer cancel()
	n, what := names{map[int]message.Cancellation{}, map[int]bool{}}, "batch "+v.Ref.ID
	all, err := v.s.Store.Canceled(ctx, v.Large.Dir)
	if errors.Is(err, store.ErrDamaged) {
		v.s.Log.Error("names of canceled messages cannot be read", zap.String("batch_id", v.Ref.ID), zap.Error(err))
	} else if err != nil {
		return n, server.StoreError(what, err)
	}
	indexes := make([]int, len(all))
	for i := range all {
		indexes[i] = all[i].Index
	}
	spots, err := v.locate(ctx, what, indexes...)
	for i, at := range spots {
		n.byIndex[all[i].Index], n.segments[at.Segment] = all[i], true
	}
	return n, err
}
