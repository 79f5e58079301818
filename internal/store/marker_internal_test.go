package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// unmounts is a value whose writing begins when the store is there, and ends in the empty
// directory that was below it.
type unmounts struct {
	t    *testing.T
	root string
}

func (u unmounts) MarshalJSON() ([]byte, error) {
	require.NoError(u.t, os.Rename(u.root, u.root+"-gone"))
	require.NoError(u.t, os.Mkdir(u.root, 0o700))
	return []byte(`{}`), nil
}

func TestWhatIsWrittenWhileTheStoreGoesAwayDoesNotCount(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "store")
	s, err := Open(t.Context(), "file://"+root, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	_, err = s.Mark(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, s.keepJSON(t.Context(), "a/b", map[string]int{}))
	require.ErrorIs(t, s.keepJSON(t.Context(), "a/c", unmounts{t, root}), ErrAway)
}
