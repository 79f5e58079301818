package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
)

func TestLedgersAndResultsComeBackAsTheyWereKeptLast(t *testing.T) {
	t.Parallel()
	files, root := open(t)
	other, err := store.Open(t.Context(), "file://"+root, store.Options{})
	require.NoError(t, err)
	for name, pair := range map[string][2]*store.Store{"files": {files, other}, "memory": twice(inMemory(t))} {
		t.Run(name, func(t *testing.T) {
			one, two := pair[0], pair[1]
			dir, _ := written(t, one, header(), samples(3))
			_, err := two.Ledger(t.Context(), dir, 1)
			require.ErrorIs(t, err, store.ErrNotFound)
			for rev := range int64(3) {
				l := message.Ledger{V: 1, Records: make([]message.Record, 3+rev)}
				l.Records[1] = message.Record{State: message.Sent, Rev: rev, ProviderID: "p"}
				require.NoError(t, one.KeepLedger(t.Context(), dir, 1001, &l))
				for range 2 {
					got, err := two.Ledger(t.Context(), dir, 1001)
					require.NoError(t, err)
					require.Equal(t, l, *got)
				}
			}
			_, err = two.Ledger(t.Context(), dir, 0)
			require.Error(t, err)
			_, err = two.Result(t.Context(), dir)
			require.ErrorIs(t, err, store.ErrNotFound)
			r := message.Result{V: 1, Large: &message.Large{Dir: dir, Segments: "e"}}
			require.NoError(t, one.KeepResult(t.Context(), dir, &r))
			back, err := two.Result(t.Context(), dir)
			require.NoError(t, err)
			require.Equal(t, r.Large, back.Large)
		})
	}
	require.NoError(t, other.Close())
}

func twice(s *store.Store) [2]*store.Store { return [2]*store.Store{s, s} }

func TestFoldersOfABatchAreFound(t *testing.T) {
	t.Parallel()
	files, root := open(t)
	for name, s := range map[string]*store.Store{"files": files, "memory": inMemory(t)} {
		t.Run(name, func(t *testing.T) {
			h := header()
			first, _ := written(t, s, h, samples(1))
			h.CreatedAt = accepted.Add(-48 * time.Hour)
			ended, _ := written(t, s, h, samples(2))
			require.NoError(t, s.KeepResult(t.Context(), ended, &message.Result{V: 1}))
			h.CreatedAt = accepted
			last, _ := written(t, s, h, samples(1))
			h.ID = "b1-longer"
			longer, _ := written(t, s, h, samples(1))
			h.ID, h.Tenant = "b1", ""
			ours, _ := written(t, s, h, samples(1))
			require.Contains(t, ours, "default/2026-11-20/b1~")
			orphan, err := s.Create(t.Context(), header(), store.WriteOptions{})
			require.NoError(t, err)
			require.NoError(t, s.KeepLedger(t.Context(), orphan.Dir(), 1, &message.Ledger{V: 1}))

			dirs, err := s.Find(t.Context(), "acme", "b1")
			require.NoError(t, err)
			require.Equal(t, []string{ended, last, first}, dirs)
			all, err := s.FindAll(t.Context(), "acme", "b1")
			require.NoError(t, err)
			require.Equal(t, orphan.Dir(), all[3].Dir)
			dirs, err = s.Find(t.Context(), "", "b1")
			require.NoError(t, err)
			require.Equal(t, []string{ours}, dirs)
			dirs, err = s.Find(t.Context(), "nobody", "b1")
			require.NoError(t, err)
			require.Empty(t, dirs)

			seen := map[string]store.Folder{}
			for f, err := range s.Folders(t.Context()) {
				require.NoError(t, err)
				seen[f.Dir] = f
			}
			require.Len(t, seen, 6)
			f := seen[ended]
			require.WithinDuration(t, time.Now(), f.Written, time.Minute)
			require.Positive(t, f.Bytes)
			require.Equal(t, []any{"acme", "b1", 3, true, true}, []any{f.Tenant, f.Batch, f.Objects, f.Complete, f.Ended})
			require.False(t, seen[orphan.Dir()].Complete)
			require.False(t, seen[longer].Ended)
			for _, err := range s.Folders(t.Context()) {
				require.NoError(t, err)
				break // early is fine
			}

			_, err = s.Segment(t.Context(), ended, 1)
			require.NoError(t, err)
			for range 2 {
				require.NoError(t, s.Delete(t.Context(), ended))
			}
			_, err = s.Manifest(t.Context(), ended)
			require.ErrorIs(t, err, store.ErrNotFound, "not from the cache either")
			dirs, err = s.Find(t.Context(), "acme", "b1")
			require.NoError(t, err)
			require.Equal(t, []string{last, first}, dirs)
			if name == "files" {
				_, err = os.Stat(filepath.Join(root, filepath.FromSlash(ended)))
				require.ErrorIs(t, err, os.ErrNotExist)
			}
		})
	}
}

func TestPathsThatAreNoneOfOursAreRefused(t *testing.T) {
	t.Parallel()
	s, root := open(t)
	secret := filepath.Join(filepath.Dir(root), "manifest")
	require.NoError(t, os.WriteFile(secret, []byte("{}"), 0o600))
	good := "acme/2026-11-20/b1~0123abcd"
	_, err := s.Mark(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, s.KeepResult(t.Context(), good, &message.Result{V: 1}))
	for _, dir := range []string{
		"", "..", "../..", "acme/../b1~0123abcd", "acme/2026-11-20/..~0123abcd", "acme/2026-11-20/b1", "acme/2026-11-20/b1~0123ABCD",
		"acme/2026-11-20/b1~0123abcde", good + "/", "/" + good, "acme/2026-13-20/b1~0123abcd", "-a/2026-11-20/b1~0123abcd",
		"acme/2026-11-20/__0x2f__~0123abcd", "acme/2026-11-20/a__0x2f__~0123abcd", "acme\\x/2026-11-20/b1~0123abcd",
	} {
		for what, err := range map[string]error{
			"manifest": second(s.Manifest(t.Context(), dir)),
			"segment":  second(s.Segment(t.Context(), dir, 1)),
			"lines":    second(s.Lines(t.Context(), dir, 1)),
			"locate":   second(s.Locate(t.Context(), dir, []int{1})),
			"ledger":   second(s.Ledger(t.Context(), dir, 1)),
			"result":   second(s.Result(t.Context(), dir)),
			"keep":     s.KeepResult(t.Context(), dir, &message.Result{}),
			"keep one": s.KeepLedger(t.Context(), dir, 1, &message.Ledger{}),
			"delete":   s.Delete(t.Context(), dir),
		} {
			require.ErrorContains(t, err, "is no folder of a batch", "%s of %q", what, dir)
		}
	}
	require.FileExists(t, secret)
	for _, name := range []string{"../x", ".x", "a/b", "a~b", "a b", "ä"} {
		h := header()
		h.ID = name
		_, err := s.Create(t.Context(), h, store.WriteOptions{})
		require.ErrorContains(t, err, "cannot be part of a path")
		h.ID, h.Tenant = "b1", name
		_, err = s.Create(t.Context(), h, store.WriteOptions{})
		require.ErrorContains(t, err, "cannot be part of a path")
		_, err = s.Find(t.Context(), name, "b1")
		require.ErrorContains(t, err, "cannot be part of a path")
		_, err = s.Find(t.Context(), "acme", name)
		require.ErrorContains(t, err, "cannot be part of a path")
	}
}

func second[T any](_ T, err error) error { return err }

func TestOpenNamesTheStoreAndKeepsItsKeys(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), "nowhere://user:secret@x", store.Options{})
	require.ErrorContains(t, err, "open the store at nowhere://x: ")
	require.NotContains(t, err.Error(), "secret")
	_, err = store.Open(t.Context(), "file://\x00", store.Options{})
	require.Error(t, err)
	file := filepath.Join(t.TempDir(), "a")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = store.Open(t.Context(), "file://"+file, store.Options{})
	require.EqualError(t, err, "open the store at file://"+file+": "+file+" is not a directory")
	_, err = store.Open(t.Context(), "file://"+file+"?bogus=1", store.Options{})
	require.EqualError(t, err, "open the store at file://"+file+"?bogus=…: open bucket file://"+file+"?bogus=…: invalid query parameter \"bogus\"")
	_, err = store.Open(t.Context(), "s3://key:secret@b?region=x&bogus=1", store.Options{})
	require.EqualError(t, err, "open the store at s3://b?bogus=…&region=…: open bucket s3://b?bogus=…&region=…: unknown query parameter \"bogus\"")
	for _, address := range []string{
		"s3://KEY4:SECRETV9@bucket?x=SECRETV9", "s3://bucket?region=SECRET%2FV9&x=SECRETV9", "s3://bucket?use_path_style=SECRETV9", "azblob://bucket?x=SECRETV9",
		"file:///srv?x=SECRETV9", "mem://?x=SECRETV9", "file://h/p?x=SECRETV9", "://SECRETV9",
	} {
		_, err := store.Open(t.Context(), address, store.Options{})
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "SECRET", address)
		require.NotContains(t, err.Error(), "KEY4", address)
	}
	for _, relative := range []string{"file://volley/store", "file:store", "file://"} {
		_, err = store.Open(t.Context(), relative, store.Options{})
		require.ErrorContains(t, err, "expected an absolute path behind file://")
	}
}

func TestAManifestOfAnotherVersionIsNamed(t *testing.T) {
	t.Parallel()
	s, root := open(t)
	dir, _ := written(t, s, header(), samples(1))
	file := filepath.Join(root, filepath.FromSlash(dir), "manifest")
	for text, want := range map[string]string{
		`{"v":2}`:                         "the format has version 2, expected 1",
		`{"v":1,"total":5}`:               "its counts do not add up",
		`{"v":1,"segments":[{"n":1001}]}`: "a segment's counts make no sense",
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := s.Manifest(t.Context(), dir)
		require.ErrorContains(t, err, dir+"/manifest: ")
		require.ErrorContains(t, err, want)
	}
}

func TestALookForABatchThatIsNotThereTakesLittleMemory(t *testing.T) {
	// Not parallel: it measures what is allocated.
	s, root := open(t)
	for day := range 20 {
		for i := range 150 {
			dir := filepath.Join(root, "acme", fmt.Sprintf("2026-11-%02d", 1+day), fmt.Sprintf("b%d~%08x", i, i), "segments")
			require.NoError(t, os.MkdirAll(dir, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "0001"), nil, 0o600))
		}
	}
	_, err := s.Find(t.Context(), "acme", "unknown") // opens it
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	dirs, err := s.Find(t.Context(), "acme", "unknown")
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Empty(t, dirs)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20))
}

func TestAFolderOfManyObjectsIsListedOnce(t *testing.T) {
	t.Parallel()
	s, root := open(t)
	dir := "acme/2026-11-20/big~00000001"
	segments := filepath.Join(root, filepath.FromSlash(dir), "segments")
	require.NoError(t, os.MkdirAll(segments, 0o700))
	for i := range 2500 {
		require.NoError(t, os.WriteFile(filepath.Join(segments, fmt.Sprintf("%04d", i)), []byte("x"), 0o600))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "acme", "2026-11-20", "empty~00000001"), 0o700))
	all, err := s.FindAll(t.Context(), "acme", "big")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, 2500, all[0].Objects)
	require.EqualValues(t, 2500, all[0].Bytes)
	none, err := s.FindAll(t.Context(), "acme", "empty")
	require.NoError(t, err)
	require.Empty(t, none, "a folder with nothing in it may be one that is being made")
}
