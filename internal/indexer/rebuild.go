package indexer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"volley/internal/index"
	"volley/starter"
)

// Rebuild takes every batch in anew that Temporal still has, but for those that ended and
// were read since a time, as by a rebuild that was cut short. Batches that Temporal no longer
// has stay as they are, but for those that were deleted. It goes beside a Feed that runs. told is called with each batch and
// why it could not be read; nil is that it was.
func (f *Feed) Rebuild(ctx context.Context, since time.Time, told func(starter.Ref, error)) error {
	var err error
	if f.index, err = f.o.Open(ctx); err != nil {
		return err
	}
	for l, err := range f.o.Batches.Listed(ctx, starter.ListedQuery{Open: true, Closed: true}) {
		if err != nil {
			return fmt.Errorf("%w: %w", errBatches, err)
		}
		if !f.isDue(l, true) {
			continue
		}
		err := f.again(ctx, l, since)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, index.ErrUnavailable), errors.Is(err, index.ErrKeys), errors.Is(err, starter.ErrUnreachable):
			return err
		case errors.Is(err, starter.ErrNotFound):
			continue
		}
		told(l.Ref, err)
	}
	return f.dropDeleted(ctx, time.Time{})
}

// again takes a batch in from its beginning. Reports that came late are in it by then.
func (f *Feed) again(ctx context.Context, l starter.Listed, since time.Time) error {
	dropped, err := f.index.Drop(ctx, tenantOf(l), l.ID, since)
	if err != nil || !dropped {
		return err
	}
	_, err = f.takeFrom(ctx, l, index.Position{}, "")
	if errors.Is(err, index.ErrMoved) { // a Feed takes it in anew
		return nil
	}
	return err
}
