package store

import (
	"context"
	"errors"
	"fmt"

	"volley/internal/message"
)

// markerName is an object in the root of every store that a batch was ever written
// to. Create writes it; nothing removes it.
const markerName = "volley-store"

// ErrAway means, beside ErrNotFound, that the store's marker is not there either:
// this is another bucket, or a folder that is not mounted, and the object may well be
// in the store once that is back. A store that no batch was ever written to is away,
// too.
var ErrAway = errors.New("the marker " + markerName + " is not there either, as in another bucket or in a folder that is not mounted")

type marker struct {
	V int `json:"v"`
}

// mark makes sure that the marker is there, once for each Store.
func (s *Store) mark(ctx context.Context) error {
	if s.marked.Load() {
		return nil
	}
	there, err := s.bucket.Exists(ctx, markerName)
	if err != nil {
		return named(markerName, err)
	}
	if !there {
		if err := s.writeJSON(ctx, markerName, marker{message.Version}); err != nil {
			return err
		}
	}
	s.marked.Store(true)
	return nil
}

// missing adds to the error of reading an object whether the store is away. Calls at
// the same time share one look. Where the look fails its error is the result, since
// nothing is known then.
func (s *Store) missing(ctx context.Context, err error) error {
	if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrAway) {
		return err
	}
	there, look := flight(ctx, s.cache, markerName, func(ctx context.Context) (bool, error) {
		return s.bucket.Exists(ctx, markerName)
	})
	switch {
	case look != nil:
		return named(markerName, look)
	case !there:
		return fmt.Errorf("%w: %w", err, ErrAway)
	}
	return err
}
