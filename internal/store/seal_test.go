package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/encryption"
	"volley/internal/message"
	"volley/internal/store"
)

func newKeyset(t testing.TB) *encryption.Keyset {
	t.Helper()
	k, err := encryption.New()
	require.NoError(t, err)
	return k
}

// sealed opens the store in a directory with a keyset, for the namespace "prod".
func sealed(t testing.TB, root string, k *encryption.Keyset) *store.Store {
	t.Helper()
	return opened(t, root, store.Options{Create: true, Keyset: k, Namespace: "prod"})
}

func opened(t testing.TB, root string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "file://"+root, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// secrets stand in everything that writeAll writes.
var secrets = []string{"+49151", "Ann Example", "order-", "Hi ${name}", "spring-campaign", "asked by Bo", "carrier said no", "prov-77"}

// writeAll writes a batch with every kind of object, whose messages are out of order.
func writeAll(t testing.TB, s *store.Store) (dir string, all []message.Message) {
	t.Helper()
	h := header()
	h.Metadata = json.RawMessage(`{"c":"spring-campaign"}`)
	all = samples(5000)
	for i := range all {
		all[i].Due = accepted.UnixMilli() + int64(i*7919%5000)
	}
	dir, _ = written(t, s, h, all)
	ctx := t.Context()
	require.NoError(t, s.AddCanceled(ctx, dir, message.Cancellations{{Index: 3, Reason: "asked by Bo"}}))
	l := &message.Ledger{V: message.Version, Records: []message.Record{{State: message.Failed, Detail: "carrier said no", ProviderID: "prov-77"}}}
	require.NoError(t, s.KeepLedger(ctx, dir, 1, l))
	require.NoError(t, s.KeepLedger(ctx, dir, 2, l))
	require.NoError(t, s.KeepResult(ctx, dir, &message.Result{V: message.Version, Status: message.Status{Metadata: h.Metadata}}))
	_, failed, err := s.KeepLate(ctx, dir, message.LateReports{{Index: 1, Segment: 1, From: message.Sent, State: message.Undelivered, Detail: "carrier said no"}}, store.KeepOptions{})
	require.NoError(t, err)
	require.Empty(t, failed)
	require.NoError(t, s.KeepRedriven(ctx, dir, 1, map[string]string{"reason": "asked by Bo"}))
	return dir, all
}

// readAll reads everything that writeAll wrote and hands over each error.
func readAll(t testing.TB, s *store.Store, dir string) map[string]error {
	t.Helper()
	ctx := t.Context()
	var redriven map[string]string
	return map[string]error{
		"manifest": second(s.Manifest(ctx, dir)),
		"segment":  second(s.Segment(ctx, dir, 2)),
		"lines":    second(s.Lines(ctx, dir, 1)),
		"index":    second(s.Locate(ctx, dir, []int{4500})),
		"canceled": second(s.Canceled(ctx, dir)),
		"ledger":   second(s.Ledger(ctx, dir, 1)),
		"result":   second(s.Result(ctx, dir)),
		"reported": second(s.Reported(ctx, dir)),
		"redriven": second(s.Redriven(ctx, dir, 1, &redriven)),
	}
}

// rawFiles are the raw bytes of all files under a directory, by name.
func rawFiles(t testing.TB, root string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(root, path)
		all[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	}))
	return all
}

func TestNothingOfABatchStandsInClear(t *testing.T) {
	t.Parallel()
	root, k := filepath.Join(t.TempDir(), "store"), newKeyset(t)
	dir, all := writeAll(t, sealed(t, root, k))
	raw := rawFiles(t, root)
	require.Len(t, raw, 15, "%v", objects(t, root))
	for name, data := range raw {
		for _, secret := range secrets {
			require.NotContains(t, string(data), secret, name)
		}
		if name == "volley-store" {
			require.True(t, json.Valid(data), "the marker stays readable")
		} else {
			require.True(t, bytes.HasPrefix(data, []byte("VOLSEAL\x01")), name)
		}
	}

	both, id, err := k.WithNewKey()
	require.NoError(t, err)
	promoted, err := both.Promote(id)
	require.NoError(t, err)
	for name, keyset := range map[string]*encryption.Keyset{"the same": k, "one more": both, "promoted": promoted} {
		s := sealed(t, root, keyset)
		for what, err := range readAll(t, s, dir) {
			require.NoError(t, err, "%s: %s", name, what)
		}
		indexes := []int{0, 1, 4095, 4096, 4999}
		spots, err := s.Locate(t.Context(), dir, indexes)
		require.NoError(t, err)
		for i, spot := range spots {
			g, err := s.Segment(t.Context(), dir, spot.Segment)
			require.NoError(t, err)
			index, m, err := g.Message(spot.Pos)
			require.NoError(t, err)
			require.Equal(t, indexes[i], index)
			require.Equal(t, all[index].To, m.To)
			lines, err := s.Lines(t.Context(), dir, spot.Segment)
			require.NoError(t, err)
			require.Equal(t, index, lines[spot.Pos].Index)
		}
		fresh := sealed(t, root, keyset) // has no segment in its cache
		lines, err := fresh.Lines(t.Context(), dir, spots[0].Segment)
		require.NoError(t, err)
		require.Equal(t, 0, lines[spots[0].Pos].Index)
	}
}

func TestWithoutTheKeyNothingIsLost(t *testing.T) {
	t.Parallel()
	root, k := filepath.Join(t.TempDir(), "store"), newKeyset(t)
	dir, _ := writeAll(t, sealed(t, root, k))
	for name, tt := range map[string]struct {
		o    store.Options
		want string
	}{
		"another keyset":    {store.Options{Keyset: newKeyset(t), Namespace: "prod"}, "which the keyset of this process does not have"},
		"no keyset":         {store.Options{Namespace: "prod"}, "and this process has no keyset"},
		"another namespace": {store.Options{Keyset: k, Namespace: "test"}, "and this process works in namespace test"},
	} {
		away := 0
		tt.o.Away = func() { away++ }
		s := opened(t, root, tt.o)
		for what, err := range readAll(t, s, dir) {
			require.ErrorIs(t, err, store.ErrSealed, "%s: %s", name, what)
			require.False(t, store.Lost(err), "%s: %s", name, what)
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, fmt.Sprintf("key %d of namespace prod", k.Primary()))
		}
		require.NotZero(t, away, name)
	}
}

func TestASealedObjectOpensInItsOwnPlaceOnly(t *testing.T) {
	t.Parallel()
	root, k := filepath.Join(t.TempDir(), "store"), newKeyset(t)
	s := sealed(t, root, k)
	dir, _ := writeAll(t, s)
	other, _ := writeAll(t, s)
	path := func(dir, name string) string {
		return filepath.Join(root, filepath.FromSlash(dir), filepath.FromSlash(name))
	}
	for what, pair := range map[string][2]string{
		"segment":  {path(dir, "segments/0001"), path(dir, "segments/0002")},
		"lines":    {path(dir, "segments/0001"), path(other, "segments/0001")},
		"manifest": {path(dir, "manifest"), path(other, "manifest")},
		"index":    {path(dir, "index"), path(other, "index")},
		"ledger":   {path(dir, "ledgers/0001"), path(dir, "ledgers/0002")},
		"result":   {path(dir, "result"), path(other, "result")},
		"reported": {path(dir, "late/summary"), path(other, "late/summary")},
		"redriven": {path(dir, "redriven/0001"), path(other, "redriven/0001")},
	} {
		swap := func() {
			require.NoError(t, os.Rename(pair[0], pair[0]+".x"))
			require.NoError(t, os.Rename(pair[1], pair[0]))
			require.NoError(t, os.Rename(pair[0]+".x", pair[1]))
		}
		swap()
		err := readAll(t, sealed(t, root, k), dir)[what]
		require.ErrorIs(t, err, store.ErrDamaged, what)
		require.True(t, store.Lost(err), what)
		swap()
		require.NoError(t, readAll(t, sealed(t, root, k), dir)[what], what)
	}
}

func TestDamageToASealedObjectIsFound(t *testing.T) {
	t.Parallel()
	root, k := filepath.Join(t.TempDir(), "store"), newKeyset(t)
	dir, _ := writeAll(t, sealed(t, root, k))
	for what, part := range map[string]struct {
		name string
		// from and to bound what is read, and so the places where damage is found; 0 is
		// the end.
		from, to int
	}{
		"manifest": {name: "manifest"},
		"segment":  {name: "segments/0002"},
		"lines":    {name: "segments/0001", to: 300},
		"ledger":   {name: "ledgers/0001"},
		"index":    {name: "index", from: 4*4096 + 100}, // the second block
	} {
		file := filepath.Join(root, filepath.FromSlash(dir), filepath.FromSlash(part.name))
		good, err := os.ReadFile(file)
		require.NoError(t, err)
		to := part.to
		if to == 0 {
			to = len(good)
		}
		check := func(at int, data []byte) {
			require.NoError(t, os.WriteFile(file, data, 0o600))
			err := readAll(t, sealed(t, root, k), dir)[what]
			require.Error(t, err, "%s at %d of %d", what, at, len(good))
			require.NotErrorIs(t, err, store.ErrSealed, "%s at %d of %d", what, at, len(good))
		}
		for at := part.from; at < to; at += 1 + (to-part.from)/53 {
			bad := bytes.Clone(good)
			bad[at] ^= 0x21
			check(at, bad)
			check(at, good[:at])
		}
		require.NoError(t, os.WriteFile(file, good, 0o600))
		require.NoError(t, readAll(t, sealed(t, root, k), dir)[what], what)
	}
}

func TestLongLinesOfASealedSegmentAreReadInTwoParts(t *testing.T) {
	t.Parallel()
	root, k := filepath.Join(t.TempDir(), "store"), newKeyset(t)
	all := samples(1000)
	for i := range all {
		all[i].Problems = message.Problems{{Index: i, Path: fmt.Sprintf("line %d", i), Code: "format", Detail: fmt.Sprintf("%0100d", i)}}
	}
	dir, _ := written(t, sealed(t, root, k), header(), all)
	lines, err := sealed(t, root, k).Lines(t.Context(), dir, 1)
	require.NoError(t, err)
	require.Contains(t, lines[999].Detail, "line 999: 0000")
}

func TestWhatWasWrittenInClearIsReadBesideWhatIsSealed(t *testing.T) {
	t.Parallel()
	root, k := filepath.Join(t.TempDir(), "store"), newKeyset(t)
	dir, _ := writeAll(t, opened(t, root, store.Options{Create: true, Namespace: "prod"}))
	s := sealed(t, root, k)
	for what, err := range readAll(t, s, dir) {
		require.NoError(t, err, what)
	}
	require.NoError(t, s.KeepLedger(t.Context(), dir, 1, &message.Ledger{V: message.Version}))
	uses, clear, err := s.KeyUses(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[uint32]store.KeyUse{k.Primary(): {Objects: 1, Folder: dir}}, uses)
	require.Equal(t, 13, clear)
}

func TestAProcessWithoutTheKeyIsTurnedAwayByTheMarker(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	root, k := filepath.Join(t.TempDir(), "store"), newKeyset(t)
	clear := opened(t, root, store.Options{Create: true, Namespace: "prod"})
	require.NoError(t, clear.Unlock(ctx), "a store that is not there says nothing")
	_, err := clear.Mark(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, clear.Unlock(ctx))

	s := sealed(t, root, k)
	require.NoError(t, s.Unlock(ctx), "the first process with a keyset leaves word")
	require.NoError(t, s.Unlock(ctx))
	want := fmt.Sprintf("volley-store is sealed with key %d of namespace prod, ", k.Primary())
	for why, o := range map[string]store.Options{
		"and this process has no keyset":                 {Namespace: "prod"},
		"which the keyset of this process does not have": {Namespace: "prod", Keyset: newKeyset(t)},
	} {
		other := opened(t, root, o)
		err := other.Unlock(ctx)
		require.ErrorIs(t, err, store.ErrSealed)
		require.EqualError(t, err, want+why)
		_, err = other.Create(ctx, header(), store.WriteOptions{})
		require.ErrorIs(t, err, store.ErrSealed, "it would write what others cannot read, or anybody can")
	}
	other := opened(t, root, store.Options{Namespace: "test"})
	require.NoError(t, other.Unlock(ctx), "namespaces have keysets of their own")
	another := opened(t, root, store.Options{Namespace: "test", Keyset: newKeyset(t)})
	require.NoError(t, another.Unlock(ctx))
	require.NoError(t, s.Unlock(ctx))

	both, id, err := k.WithNewKey()
	require.NoError(t, err)
	promoted, err := both.Promote(id)
	require.NoError(t, err)
	require.NoError(t, sealed(t, root, promoted).Unlock(ctx))
	require.NoError(t, sealed(t, root, both).Unlock(ctx))
	require.NoError(t, sealed(t, root, promoted).Unlock(ctx))
	require.ErrorContains(t, s.Unlock(ctx), fmt.Sprintf("key %d", id), "it lacks the key that seals now")
	require.NotContains(t, string(rawFiles(t, root)["volley-store"]), fmt.Sprint(k.Primary()), "nothing is left of the first key")
}

func TestAKeyOfTheSameIDThatIsAnotherOneIsFound(t *testing.T) {
	t.Parallel()
	root, k := filepath.Join(t.TempDir(), "store"), newKeyset(t)
	s := sealed(t, root, k)
	_, err := s.Mark(t.Context(), nil)
	require.NoError(t, err)
	data, err := newKeyset(t).JSON()
	require.NoError(t, err)
	own, err := k.JSON()
	require.NoError(t, err)
	id := func(data []byte) string {
		var v struct{ PrimaryKeyID json.Number }
		require.NoError(t, json.Unmarshal(data, &v))
		return v.PrimaryKeyID.String()
	}
	forged, err := encryption.Parse([]byte(strings.ReplaceAll(string(data), id(data), id(own))))
	require.NoError(t, err)
	err = sealed(t, root, forged).Unlock(t.Context())
	require.ErrorIs(t, err, store.ErrDamaged)
	require.ErrorContains(t, err, "another key of that id")
}

func TestWhatWaitsInATemporaryFileIsNotInClear(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]*encryption.Keyset{"in clear": nil, "sealed": newKeyset(t)} {
		s := sealed(t, filepath.Join(t.TempDir(), "store"), k)
		w, err := s.Create(t.Context(), header(), store.WriteOptions{TempDir: t.TempDir(), SpillBytes: 20_000})
		require.NoError(t, err)
		all := samples(3000)
		for i := range all {
			all[i].Due = accepted.UnixMilli() + int64(i*7919%3000)
			require.NoError(t, w.Add(t.Context(), &all[i]))
		}
		require.Greater(t, store.Runs(w), 2)
		data, err := store.Spilled(w)
		require.NoError(t, err)
		require.Equal(t, k.IsOff(), bytes.Contains(data, []byte("Ann Example")), name)
		_, err = w.Finish(t.Context())
		require.NoError(t, err)
		spots, err := s.Locate(t.Context(), w.Dir(), []int{0, 1717, 2999})
		require.NoError(t, err)
		for i, index := range []int{0, 1717, 2999} {
			g, err := s.Segment(t.Context(), w.Dir(), spots[i].Segment)
			require.NoError(t, err)
			got, m, err := g.Message(spots[i].Pos)
			require.NoError(t, err)
			require.Equal(t, index, got)
			require.Equal(t, all[index].To, m.To)
		}
	}
}
