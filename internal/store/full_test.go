//go:build linux

package store_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/store"
)

// A disk without room is said and counted, and leaves no half of an object.
func TestAStoreThatIsFullSaysSoAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("only who may mount can fill a disk: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	core, logged := observer.New(zap.InfoLevel)
	full := 0
	s, err := store.Open(t.Context(), "file://"+filepath.ToSlash(dir), store.Options{Log: zap.New(core), Away: func() {}, Full: func() { full++ }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	_, err = s.Mark(t.Context(), nil)
	require.NoError(t, err)

	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	require.NoError(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())
	for range 2 {
		_, err = s.Probe(t.Context())
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
	require.Equal(t, 2, full)
	require.Equal(t, 1, logged.FilterMessageSnippet("the store is full").Len())
	left, err := filepath.Glob(filepath.Join(dir, "_probe", "*"))
	require.NoError(t, err)
	require.Empty(t, left)

	require.NoError(t, os.Remove(ballast))
	_, err = s.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, logged.FilterMessageSnippet("the store has room again").Len())
}
