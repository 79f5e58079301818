package activities

import (
	"context"
	"errors"
	"slices"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/internal/sabotage"
	"volley/internal/store"
	"volley/workflows/contract"
)

// Open reads the manifest of a large batch. A store without it, one with one that is
// damaged, and one that is away are results, a store that does not answer is an error,
// after which it may be asked again.
func (a *Activities) Open(ctx context.Context, in contract.OpenInput) (contract.OpenResult, error) {
	res := contract.OpenResult{V: message.Version}
	if a.store == nil {
		res.Away = true
		return res, nil
	}
	manifest, err := a.store.Manifest(ctx, in.Dir)
	switch {
	case err == nil:
		res.Found, res.Segments = true, manifest.Segments
	case errors.Is(err, store.ErrAway):
		res.Away = true
	case errors.Is(err, store.ErrDamaged):
		res.Fault = err.Error()
	case !store.Lost(err):
		return res, err
	}
	return res, nil
}

// Load reads what a workflow needs to know of its messages. Errors are as with
// Open, but that no store and one that is away are errors: another worker may have it.
func (a *Activities) Load(ctx context.Context, in contract.LoadInput) (contract.LoadResult, error) {
	if a.store == nil {
		return contract.LoadResult{V: message.Version}, errNoStore
	}
	var res contract.LoadResult
	var named message.Cancellations
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		res, err = a.load(gctx, in)
		return err
	})
	group.Go(func() (err error) {
		if named, err = a.store.Canceled(gctx, in.Dir); errors.Is(err, store.ErrDamaged) {
			activity.GetLogger(ctx).Error("names of canceled messages cannot be read", "error", err)
			err = nil // what can be read counts
		}
		return err
	})
	if err := group.Wait(); err != nil {
		if store.Lost(err) {
			activity.GetLogger(ctx).Error("the store has lost a segment", "dir", in.Dir, "segment", in.Segment, "error", err)
			err = nil // it will not come back by itself
		}
		return contract.LoadResult{V: message.Version}, err
	}
	ours := make(map[int]bool, len(res.Lines))
	for i := range res.Lines {
		ours[res.Lines[i].Index] = true
	}
	res.V, res.Found = message.Version, true
	res.Canceled = slices.DeleteFunc(named, func(c message.Cancellation) bool { return !ours[c.Index] })
	return res, nil
}

func (a *Activities) load(ctx context.Context, in contract.LoadInput) (contract.LoadResult, error) {
	manifest, err := a.store.Manifest(ctx, in.Dir)
	if err != nil {
		return contract.LoadResult{}, err
	}
	res := contract.LoadResult{Batch: manifest.Batch}
	res.Batch.Template, res.Batch.Metadata, res.Batch.Messages = message.Template{}, nil, nil
	res.Lines, err = a.store.Lines(ctx, in.Dir, in.Segment)
	return res, err
}

// Keep writes the ledger of a workflow, over the one that was there.
func (a *Activities) Keep(ctx context.Context, in contract.KeepInput) error {
	if a.store == nil {
		return errNoStore
	}
	if n := len(in.Ledger.Records); sabotage.Active(sabotage.Ledger) && n > 0 {
		in.Ledger.Records[n-1] = message.Record{State: message.Canceled}
	}
	return a.store.KeepLedger(ctx, in.Dir, in.Number, &in.Ledger)
}

// Close writes the end of a large batch, over the one that was there. A result
// that names no folder has nothing to be kept.
func (a *Activities) Close(ctx context.Context, in contract.CloseInput) error {
	if in.Result.Large == nil {
		return nil
	}
	if a.store == nil {
		return errNoStore
	}
	return a.store.KeepResult(ctx, in.Result.Large.Dir, &in.Result)
}
