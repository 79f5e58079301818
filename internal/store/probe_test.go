package store_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/store"
)

func TestAProbeLeavesNothingAndFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	s, err := store.Open(t.Context(), "file://"+filepath.ToSlash(dir), store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	_, err = s.Probe(t.Context())
	require.ErrorIs(t, err, store.ErrAway)
	require.NoDirExists(t, dir)

	_, err = s.Mark(t.Context(), nil)
	require.NoError(t, err)
	took, err := s.Probe(t.Context())
	require.NoError(t, err)
	require.Positive(t, took)
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	require.Empty(t, files, "it removes what it wrote")
	require.NoDirExists(t, filepath.Join(dir, "_probe"))
	left, known := s.Free()
	require.True(t, known)
	require.Positive(t, left)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "_probe-not-a-directory"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "_probe"), nil, 0o600)) // no folder can be made
	_, err = s.Probe(t.Context())
	require.ErrorContains(t, err, "nothing can be written")
}

func TestAStoreSaysWhetherItCouldBeMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	could := func(dir string) error {
		s, err := store.Open(t.Context(), "file://"+filepath.ToSlash(dir), store.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s.Creatable(t.Context())
	}
	require.NoError(t, could(filepath.Join(dir, "new", "store")))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	if runtime.GOOS == "linux" {
		require.Error(t, could("/proc/volley-store"), "nothing can be made there, whoever asks")
	}
}
