package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// markerName is an object in the root of every store. Mark writes it, and nothing
// removes it.
const markerName = "volley-store"

// ErrAway means that the store's marker is not there: this is another bucket, or a
// folder that is not mounted. Beside ErrNotFound it says that an object may well be in
// the store once that is back. A store that nobody made yet is away, too.
var ErrAway = errors.New("the store has no marker " + markerName + ", as another bucket or a folder that is not mounted")

// marker is what the object has, always in clear.
type marker struct {
	V int `json:"v"`
	// Canaries has, for each namespace whose objects are sealed, what a process has to be
	// able to open before it reads or writes any.
	Canaries map[string]canary `json:"canaries,omitempty"`
}

// Mark makes the store: the marker, and the directory of a file:// store, where they
// are not there. Before that it asks isNew, whose error is returned: it says why a
// store without a marker is none that is new. Nil asks nobody. made is false where the
// marker was there; then Mark does what Unlock does.
func (s *Store) Mark(ctx context.Context, isNew func(context.Context) error) (made bool, err error) {
	m, there, err := s.marker(ctx)
	if err != nil {
		return false, err
	}
	if there {
		return false, s.unlock(ctx, m)
	}
	if isNew != nil {
		if err := isNew(ctx); err != nil {
			return false, err
		}
	}
	if _, err := s.open(ctx, true); err != nil {
		return false, err
	}
	if !s.keyset.IsOff() {
		return true, s.writeCanary(ctx, m)
	}
	return true, s.writeMarker(ctx, m)
}

// HasBatch reports whether the folder of a batch has its manifest now, whatever was read
// before.
func (s *Store) HasBatch(ctx context.Context, dir string) (bool, error) {
	if _, err := folderOf(dir); err != nil {
		return false, err
	}
	return s.exists(ctx, dir+"/"+manifestName)
}

// Present reports, as ErrAway, that the store is away.
func (s *Store) Present(ctx context.Context) error {
	there, err := s.exists(ctx, markerName)
	if err == nil && !there {
		s.noteAway(true)
		err = ErrAway
	}
	return err
}

// exists reports whether an object is there. In a store without a directory none is.
func (s *Store) exists(ctx context.Context, key string) (bool, error) {
	b, err := s.bucket(ctx)
	if errors.Is(err, ErrAway) {
		return false, nil
	}
	if err != nil {
		return false, named(key, err)
	}
	there, err := b.Exists(ctx, key)
	return there, named(key, err)
}

// keepJSON writes an object that nobody writes again once it counts as written. A store
// that went away meanwhile does not have it: the error wraps ErrAway then, too.
func (s *Store) keepJSON(ctx context.Context, key string, v any) error {
	if err := s.present(key); err != nil {
		return err
	}
	if err := s.writeJSON(ctx, key, v); err != nil {
		return err
	}
	return s.present(key)
}

// present is an error that names the object to be written where a file:// store is
// away, since the file would lie in the folder that another one is to be mounted on. It
// says nothing of buckets: those are not mounted, and the look would take a request.
func (s *Store) present(key string) error {
	if s.root == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(s.root, markerName)); errors.Is(err, fs.ErrNotExist) {
		s.noteAway(true)
		return named(key, ErrAway)
	}
	return nil
}

// missing adds to the error of reading an object whether the store is away. Calls at
// the same time share one look. Where the look fails its error is the result, since
// nothing is known then.
func (s *Store) missing(ctx context.Context, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if !errors.Is(err, ErrAway) {
		there, look := flight(ctx, s.cache, markerName, func(ctx context.Context) (bool, error) {
			return s.exists(ctx, markerName)
		})
		if look != nil {
			return look
		}
		if there {
			s.noteAway(false)
			return err
		}
		err = fmt.Errorf("%w: %w", err, ErrAway)
	}
	s.noteAway(true)
	return err
}

// noteAway tells Options.Away that the store was found away, and the log when that begins
// and ends.
func (s *Store) noteAway(away bool) {
	if s.onAway == nil {
		return
	}
	if away {
		s.onAway()
	}
	if s.away.Load() == away || !s.away.CompareAndSwap(!away, away) {
		return
	}
	where := zap.String("store", shown(s.address))
	if away {
		s.log.Error("the store is away: "+ErrAway.Error()+"; large batches wait until it is back", where)
	} else {
		s.log.Info("the store is back", where)
	}
}
