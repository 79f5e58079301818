package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"volley/starter"
)

// withoutStore serves everything but large batches when the store cannot be opened, for
// the reason in err.
type withoutStore struct {
	batches
	err error
}

// Start starts a batch that needs no store.
func (s withoutStore) Start(ctx context.Context, r starter.Request) (starter.Started, error) {
	out, err := s.batches.Start(ctx, r)
	return out, s.explain(err, r.Batch.Dispatch == "group")
}

// StartLarge cannot start anything.
func (s withoutStore) StartLarge(context.Context, starter.Request, starter.Incoming) (starter.Started, error) {
	return starter.Started{}, fmt.Errorf("a batch of this size needs the store: %w", s.err)
}

// Redrive repeats a batch that needs no store.
func (s withoutStore) Redrive(ctx context.Context, ref starter.Ref, q starter.RedriveQuery) (starter.Started, error) {
	out, err := s.batches.Redrive(ctx, ref, q)
	return out, s.explain(err, false)
}

// Purge has nothing to remove things from.
func (s withoutStore) Purge(context.Context, time.Duration, bool) (starter.Purged, error) {
	return starter.Purged{}, s.err
}

// SetupStore has no store to make.
func (s withoutStore) SetupStore(context.Context, bool) (bool, error) { return false, s.err }

// explain adds why there is no store to the refusal of a batch that needs one: for
// its size, or as it asked for groups.
func (s withoutStore) explain(err error, groups bool) error {
	var large *starter.TooLargeError
	switch {
	case errors.As(err, &large):
		err = fmt.Errorf("%w without the store: %w", err, s.err)
	case groups && errors.Is(err, starter.ErrInvalid):
		err = fmt.Errorf("dispatch in groups needs the store: %w", s.err)
	default:
		return err
	}
	return &exitError{code: exitFailed, err: err}
}
