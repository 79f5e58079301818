package store

import (
	"context"
	"fmt"
)

// redrivenName names the objects that say which messages of a batch its redrives took.
// They are for when Temporal no longer knows the redrives.
const redrivenName = "redriven"

func redrivenKey(dir string, n int) string { return fmt.Sprintf("%s/%s/%04d", dir, redrivenName, n) }

// KeepRedriven writes the nth redrive of a batch, counted from 1, as JSON. It may be
// called again with the same.
func (s *Store) KeepRedriven(ctx context.Context, dir string, n int, redrive any) error {
	if _, err := s.Manifest(ctx, dir); err != nil {
		return err
	}
	return s.writeJSON(ctx, redrivenKey(dir, n), redrive)
}

// Redriven reads what KeepRedriven wrote into redrive; ok is false where it did not.
func (s *Store) Redriven(ctx context.Context, dir string, n int, redrive any) (ok bool, err error) {
	if _, err := folderOf(dir); err != nil {
		return false, err
	}
	_, err = s.readJSON(ctx, redrivenKey(dir, n), redrive)
	if err = s.missing(ctx, err); Missing(err) {
		return false, nil
	}
	return err == nil, err
}
