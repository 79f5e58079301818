package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
)

// probePrefix is the beginning of the names of objects that Probe writes. They are in no
// tenant's folder, as no name begins so.
const probePrefix = "_probe/"

// Probe writes an object, reads it back and removes it, and tells how long that took. It
// leaves nothing behind unless it is cut off. The error is an ErrAway where the store has
// no marker; then nothing was written. Of others it says what could not be done.
func (s *Store) Probe(ctx context.Context) (took time.Duration, err error) {
	if err := s.Present(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	key := probePrefix + uuid.NewString()
	want := []byte(`{"v":1}`)
	b, err := s.bucket(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.write(ctx, key, want, true); err != nil {
		return 0, fmt.Errorf("nothing can be written: %w", err)
	}
	got, _, err := s.read(ctx, key, 0, -1)
	removed := b.Delete(context.WithoutCancel(ctx), key)
	if s.root != "" {
		_ = os.Remove(filepath.Join(s.root, probePrefix)) // another probe may be in it
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("what was written cannot be read: %w", err)
	case !bytes.Equal(got, want):
		return 0, errors.New("what was written is not what is read")
	case removed != nil:
		return 0, fmt.Errorf("what was written cannot be removed: %w", named(key, removed))
	}
	return time.Since(began), nil
}

// Creatable is why a store that is not there cannot be made: nothing keeps a directory from
// being made, or the bucket is there. It leaves nothing behind.
func (s *Store) Creatable(ctx context.Context) error {
	if s.root == "" {
		b, err := s.bucket(ctx)
		if err != nil {
			return err
		}
		there, err := b.IsAccessible(ctx)
		if err == nil && !there {
			err = errors.New("there is no such bucket, or it may not be read")
		}
		return err
	}
	parent := s.root
	for {
		_, err := os.Stat(parent)
		up := filepath.Dir(parent)
		switch {
		case err == nil:
			made, err := os.MkdirTemp(parent, ".volley-probe-")
			if err != nil {
				return err
			}
			return os.Remove(made)
		case !errors.Is(err, fs.ErrNotExist) || up == parent:
			return err
		}
		parent = up
	}
}
