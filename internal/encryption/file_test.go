package encryption_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/encryption"
)

func TestAFileIsChangedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "key set.json")
	var first *encryption.Keyset
	require.NoError(t, encryption.Change(path, func(k *encryption.Keyset) (_ *encryption.Keyset, err error) {
		require.True(t, k.IsOff(), "there is no file yet")
		first, err = encryption.New()
		return first, err
	}))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	refused := errors.New("no")
	require.ErrorIs(t, encryption.Change(path, func(k *encryption.Keyset) (*encryption.Keyset, error) {
		require.Equal(t, first.Primary(), k.Primary())
		err := encryption.Change(path, func(*encryption.Keyset) (*encryption.Keyset, error) { return first, nil })
		require.ErrorIs(t, err, encryption.ErrInUse)
		require.ErrorContains(t, err, "remove "+path+".new")
		return nil, refused
	}), refused)
	same, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, same)

	var id uint32
	require.NoError(t, encryption.Change(path, func(k *encryption.Keyset) (_ *encryption.Keyset, err error) {
		k, id, err = k.WithNewKey()
		return k, err
	}))
	loaded, err := encryption.Load("file://" + filepath.ToSlash(dir) + "/key%20set.json")
	require.NoError(t, err)
	require.True(t, loaded.Opens(id))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	err = encryption.Change(path, func(*encryption.Keyset) (*encryption.Keyset, error) {
		t.Error("a file that cannot be read is no new one")
		return first, nil
	})
	require.ErrorContains(t, err, "is no Tink keyset")
	require.Error(t, encryption.Change(filepath.Join(dir, "none", "k.json"), func(*encryption.Keyset) (*encryption.Keyset, error) { return first, nil }))
}

func TestASourceThatIsAFileHasAPath(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{" file:///etc/k.json\n": "/etc/k.json", "": "", "{}": ""} {
		path, err := encryption.FileOf(source)
		require.NoError(t, err)
		require.Equal(t, want, path)
	}
	_, err := encryption.FileOf("file://k.json")
	require.ErrorContains(t, err, "three slashes")
}

func TestAKeysetBehindALinkIsChangedWhereItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.json"), filepath.Join(dir, "link.json")
	first := func(*encryption.Keyset) (*encryption.Keyset, error) { return encryption.New() }
	require.NoError(t, encryption.Change(file, first))
	require.NoError(t, os.Symlink("real.json", link))
	require.NoError(t, encryption.Change(link, func(k *encryption.Keyset) (*encryption.Keyset, error) {
		n, _, err := k.WithNewKey()
		return n, err
	}))
	k, err := encryption.Load("file://" + file)
	require.NoError(t, err)
	require.Len(t, k.Keys(), 2)
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink, "the link stays one")
}

func TestAKeysetFollowsItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "k.json")
	source := "file://" + filepath.ToSlash(path)
	require.NoError(t, encryption.Change(path, func(*encryption.Keyset) (*encryption.Keyset, error) { return encryption.New() }))
	k, err := encryption.Load(source)
	require.NoError(t, err)
	changed, err := k.Reload(source)
	require.NoError(t, err)
	require.False(t, changed)
	sealed, err := k.Seal([]byte("old"), nil)
	require.NoError(t, err)

	var id uint32
	require.NoError(t, encryption.Change(path, func(on *encryption.Keyset) (*encryption.Keyset, error) {
		on, id, err = on.WithNewKey()
		require.NoError(t, err)
		return on.Promote(id)
	}))
	require.False(t, k.Opens(id))
	changed, err = k.Reload(source)
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, id, k.Primary())
	plain, err := k.Open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "old", string(plain))

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	changed, err = k.Reload(source)
	require.ErrorContains(t, err, "is no Tink keyset")
	require.False(t, changed)
	require.Equal(t, id, k.Primary(), "what cannot be read changes nothing")
	text, err := k.JSON()
	require.NoError(t, err)
	changed, err = k.Reload(string(text))
	require.NoError(t, err)
	require.False(t, changed, "what is no file cannot have changed")
}
