package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
)

func TestAStoreThatIsAwayIsToldFromALostObject(t *testing.T) {
	t.Parallel()
	s, root := open(t)
	dir, _ := written(t, s, header(), samples(1500))
	require.NoError(t, s.KeepLedger(t.Context(), dir, 1, &message.Ledger{V: message.Version}))
	reads := map[string]func(*store.Store) error{
		"manifest": func(s *store.Store) error { return second(s.Manifest(t.Context(), dir)) },
		"segment":  func(s *store.Store) error { return second(s.Segment(t.Context(), dir, 1)) },
		"lines":    func(s *store.Store) error { return second(s.Lines(t.Context(), dir, 1)) },
		"ledger":   func(s *store.Store) error { return second(s.Ledger(t.Context(), dir, 1)) },
		"result":   func(s *store.Store) error { return second(s.Result(t.Context(), dir)) },
		"canceled": func(s *store.Store) error { return second(s.Canceled(t.Context(), dir)) },
		"add":      func(s *store.Store) error { return s.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 1}}) },
	}
	away := filepath.Join(t.TempDir(), "away")
	for name, read := range reads {
		fresh := func() *store.Store {
			s, err := store.Open(t.Context(), "file://"+root, store.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		s := fresh()
		if name != "result" {
			require.NoError(t, read(s))
		}
		s = fresh()
		require.NoError(t, os.Rename(root, away))
		require.NoError(t, os.Mkdir(root, 0o700)) // as a folder that is not mounted
		err := read(s)
		require.ErrorIs(t, err, store.ErrAway, name)
		require.ErrorIs(t, err, store.ErrNotFound, name)
		require.False(t, store.Lost(err), name)
		require.ErrorContains(t, err, dir)
		require.NoError(t, os.Remove(root))
		require.NoError(t, os.Rename(away, root))
		if name != "result" {
			require.NoError(t, read(s), name)
		}
	}
	require.NoError(t, s.Delete(t.Context(), dir))
	for name, read := range reads {
		err := read(s)
		require.ErrorIs(t, err, store.ErrNotFound, name)
		require.True(t, store.Lost(err), name)
	}
}

// Whether an object is lost is not known where the bucket does not say if it is there.
func TestNothingIsLostWhereTheMarkerCannotBeAskedFor(t *testing.T) {
	t.Parallel()
	inner := inMemory(t)
	dir, _ := written(t, inner, header(), samples(1))
	require.NoError(t, inner.Delete(t.Context(), dir))
	s, f := onFaulty(t, inner)
	f.reset(func(_ int, _, key string) error {
		if key == "volley-store" {
			return errFault
		}
		return nil
	})
	err := second(s.Manifest(t.Context(), dir))
	require.ErrorContains(t, err, errFault.Error())
	require.False(t, store.Lost(err))
	require.NotErrorIs(t, err, store.ErrNotFound)
}

// A reader writes no marker, and a batch whose marker cannot be written is none.
func TestOnlyWhoBeginsABatchWritesTheMarker(t *testing.T) {
	t.Parallel()
	inner := inMemory(t)
	_ = second(inner.Manifest(t.Context(), lateDir))
	require.NoError(t, inner.KeepLedger(t.Context(), lateDir, 1, &message.Ledger{V: message.Version}))
	_ = keep(t, inner, lateDir, 1, lateOf(0, message.Delivered))
	require.False(t, marked(t, inner))
	s, f := onFaulty(t, inner)
	f.reset(func(_ int, what, key string) error {
		if what == "put" && key == "volley-store" {
			return errFault
		}
		return nil
	})
	w, err := s.Create(t.Context(), header(), store.WriteOptions{})
	require.NoError(t, err)
	_, err = w.Finish(t.Context())
	require.ErrorContains(t, err, "volley-store: "+errFault.Error())
	require.NoError(t, w.Abort(t.Context()))
	f.reset(nil)
	_, _ = written(t, s, header(), nil)
	require.True(t, marked(t, inner))
}

func marked(t *testing.T, s *store.Store) bool {
	t.Helper()
	there, err := store.Bucket(s).Exists(t.Context(), "volley-store")
	require.NoError(t, err)
	return there
}
