package starter

import (
	"context"
	"fmt"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
)

// SetupStore makes the store where it has no marker yet, as the first start of a large
// batch would, and reports whether it did. Without a store it does nothing.
//
// The error is ErrStoreAway where batches run out of the store: then it is not mounted,
// or another one. With force it is made all the same, as after the store was lost; what
// those batches have not sent ends failed, code "store".
func (s *Starter) SetupStore(ctx context.Context, force bool) (made bool, err error) {
	if s.o.Store == nil {
		return false, nil
	}
	isNew := s.storeIsNew
	if force {
		isNew = nil
	}
	made, err = s.o.Store.Mark(ctx, isNew)
	return made, server.StoreError("setup", err)
}

// StoreIsNew is nil where no batch of the namespace runs out of a store that has no marker,
// so that it may be made. Else it is an error that wraps store.ErrAway.
func (s *Starter) StoreIsNew(ctx context.Context) error {
	if s.o.Store == nil {
		return nil
	}
	return s.storeIsNew(ctx)
}

// storeIsNew is an error that wraps store.ErrAway where a batch of the namespace runs out
// of the store and is not in it, so that one without a marker is not a new one. Where the
// batch is there, the store is of a version that wrote no marker.
func (s *Starter) storeIsNew(ctx context.Context) error {
	for info, err := range s.server.Runs(ctx, OpenBatchesQuery()) {
		if err != nil {
			return server.Translate(ctx, "look for batches that run out of the store", err)
		}
		if memo, ok := s.server.ReadMemo(info); ok && memo.Dir != "" {
			if there, err := s.o.Store.HasBatch(ctx, memo.Dir); there || err != nil {
				return err
			}
			_, id, _ := message.ParseWorkflowID(info.GetExecution().GetWorkflowId())
			return fmt.Errorf("batch %s runs out of the store%s, which has to be mounted again, or made anew by `volley setup --new-store` where it is lost: %w",
				id, inStore(s.o.StoreURL), store.ErrAway)
		}
	}
	return nil
}
