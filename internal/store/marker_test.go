package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

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

// A reader writes no marker, and no batch begins whose marker cannot be written.
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
	_, err := s.Create(t.Context(), header(), store.WriteOptions{})
	require.ErrorContains(t, err, "volley-store: "+errFault.Error())
	f.reset(nil)
	_, _ = written(t, s, header(), nil)
	require.True(t, marked(t, inner))
}

// Whoever begins a batch is asked, as long as there is no marker, whether the store is
// a new one.
func TestAStoreIsNotMadeAnewWhereItIsNotNew(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "below", "store")
	s, err := store.Open(t.Context(), "file://"+root, store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	asked := 0
	answer := fmt.Errorf("batch b runs out of it: %w", store.ErrAway)
	o := store.WriteOptions{New: func(context.Context) error {
		asked++
		return answer
	}}
	_, err = s.Create(t.Context(), header(), o)
	require.Equal(t, answer, err)
	_, err = s.Mark(t.Context(), o.New)
	require.Equal(t, answer, err)
	require.NoDirExists(t, filepath.Dir(root), "nothing was written")

	answer = nil
	w, err := s.Create(t.Context(), header(), o)
	require.NoError(t, err)
	require.NoError(t, w.Abort(t.Context()))
	require.True(t, marked(t, s))
	require.Equal(t, 3, asked)
	made, err := s.Mark(t.Context(), o.New)
	require.NoError(t, err)
	require.False(t, made)

	gone := root + "-gone"
	require.NoError(t, os.Rename(root, gone))
	require.NoError(t, os.Mkdir(root, 0o700))
	answer = store.ErrAway
	_, err = s.Create(t.Context(), header(), o)
	require.ErrorIs(t, err, store.ErrAway, "that the marker was there before says nothing")
	require.Equal(t, 4, asked)
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// A store whose directory is not there is away, and is there once the directory is.
func TestADirectoryThatIsNotThereIsNotMade(t *testing.T) {
	t.Parallel()
	there, root := open(t)
	dir, m := written(t, there, header(), samples(3))
	gone := root + "-gone"
	require.NoError(t, os.Rename(root, gone))
	core, logged := observer.New(zap.InfoLevel)
	away := 0
	s, err := store.Open(t.Context(), "file://"+root, store.Options{Log: zap.New(core), Away: func() { away++ }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for name, err := range map[string]error{
		"manifest": second(s.Manifest(t.Context(), dir)),
		"ledger":   second(s.Ledger(t.Context(), dir, 1)),
		"segment":  second(s.Segment(t.Context(), dir, 1)),
		"canceled": second(s.Canceled(t.Context(), dir)),
		"keep":     s.KeepLedger(t.Context(), dir, 1, &message.Ledger{V: message.Version}),
		"end":      s.KeepResult(t.Context(), dir, &message.Result{V: message.Version}),
	} {
		require.ErrorIs(t, err, store.ErrAway, name)
		require.ErrorContains(t, err, dir, name)
		require.False(t, store.Lost(err), name)
	}
	_, failed, err := s.KeepLate(t.Context(), dir, message.LateReports{lateOf(0, message.Delivered)}, store.KeepOptions{})
	require.ErrorIs(t, err, store.ErrAway)
	require.Empty(t, failed)
	dirs, err := s.Find(t.Context(), header().Tenant, header().ID)
	require.NoError(t, err)
	require.Empty(t, dirs)
	require.NoError(t, s.Delete(t.Context(), dir))
	require.NoDirExists(t, root)
	require.Equal(t, 6, away)
	require.Equal(t, 1, logged.Len(), "once")

	require.NoError(t, os.Rename(gone, root))
	got, err := s.Manifest(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, m.Total, got.Total)
	require.Equal(t, []string{"the store is back"}, []string{logged.All()[1].Message})
}

// What is written into a folder that another one is to be mounted on is lost.
func TestNothingIsWrittenIntoAFileStoreThatIsAway(t *testing.T) {
	t.Parallel()
	s, root := open(t)
	dir, _ := written(t, s, header(), samples(3))
	w, err := s.Create(t.Context(), header(), store.WriteOptions{})
	require.NoError(t, err)
	require.NoError(t, os.Rename(root, root+"-gone"))
	require.NoError(t, os.Mkdir(root, 0o700))
	require.ErrorIs(t, s.KeepLedger(t.Context(), dir, 1, &message.Ledger{V: message.Version}), store.ErrAway)
	require.ErrorIs(t, s.KeepResult(t.Context(), dir, &message.Result{V: message.Version}), store.ErrAway)
	_, err = w.Finish(t.Context())
	require.ErrorIs(t, err, store.ErrAway)
	require.NoError(t, w.Abort(t.Context()))
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func marked(t *testing.T, s *store.Store) bool {
	t.Helper()
	there, err := store.Bucket(s).Exists(t.Context(), "volley-store")
	require.NoError(t, err)
	return there
}
