package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
)

var accepted = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func header() *message.Batch {
	return &message.Batch{
		V: message.Version, ID: "b1", Tenant: "acme", CreatedAt: accepted, Dialect: "volley", TTL: 60_000,
		Template: message.Template{Body: json.RawMessage(`{"text":"Hi ${name}"}`), Syntax: message.SyntaxBraces},
		Hops:     [][]message.Hop{{{Account: "eu"}}, {{Account: "codes"}}},
		Policies: map[string]message.Policy{"eu": {}, "codes": {TwoFactor: true}},
	}
}

func sample(i int) message.Message {
	return message.Message{
		To: fmt.Sprintf("+49151%07d", i), Reference: fmt.Sprintf("order-%d", i),
		Params: map[string]string{"name": "Ann Example", "code": fmt.Sprintf("%06d", i)},
	}
}

// open opens a store in a directory of its own, and in memory.
func open(t testing.TB) (s *store.Store, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	s, err := store.Open(t.Context(), "file://"+dir, store.Options{Create: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, dir
}

func inMemory(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "mem://", store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// written writes a batch.
func written(t testing.TB, s *store.Store, h *message.Batch, all []message.Message) (string, *message.Manifest) {
	t.Helper()
	w, err := s.Create(t.Context(), h, store.WriteOptions{TempDir: filepath.Join(t.TempDir(), "not there")})
	require.NoError(t, err)
	for i := range all {
		require.NoError(t, w.Add(t.Context(), &all[i]))
	}
	m, err := w.Finish(t.Context())
	require.NoError(t, err)
	return w.Dir(), m
}

func samples(n int) []message.Message {
	all := make([]message.Message, n)
	for i := range all {
		all[i] = sample(i)
	}
	return all
}

func TestABatchComesBackAsItWas(t *testing.T) {
	t.Parallel()
	files, root := open(t)
	for name, s := range map[string]*store.Store{"files": files, "memory": inMemory(t)} {
		t.Run(name, func(t *testing.T) {
			all := samples(2500)
			all[3].Route = 1
			all[4].Due, all[4].TTL = accepted.UnixMilli()-5000, 1000
			all[5] = message.Message{To: "x", Route: -1, Problems: message.Problems{
				{Index: 5, Path: "line 7: to", Code: message.CodeFormat, Detail: "expected a number"}, {Code: "other"},
			}}
			all[6].Body, all[6].Channels = json.RawMessage(`{"text":"own"}`), []string{"SMS"}
			h := header()
			h.TTL = 0
			dir, m := written(t, s, h, all)
			require.Regexp(t, `^acme/2026-11-20/b1~[0-9a-f]{8}$`, dir)
			require.Equal(t, 2500, m.Total)
			require.Equal(t, 1, m.Rejected)
			require.True(t, m.InOrder)
			now, ttl := accepted.UnixMilli(), message.DefaultTTL.Milliseconds()
			require.Equal(t, []message.Segment{
				{Count: 1000, Rejected: 1, First: now - 5000, Last: now, Expires: now + ttl, FirstExpires: now - 4000, Reasons: message.Reasons{
					{State: message.Rejected, Code: message.CodeFormat, Count: 1},
				}},
				{Count: 1000, First: now, Last: now, Expires: now + ttl, FirstExpires: now + ttl},
				{Count: 500, First: now, Last: now, Expires: now + ttl, FirstExpires: now + ttl},
			}, m.Segments)
			read, err := s.Manifest(t.Context(), dir)
			require.NoError(t, err)
			require.Equal(t, m, read)

			index := 0
			for number := 1; number <= 3; number++ {
				lines, err := s.Lines(t.Context(), dir, number)
				require.NoError(t, err)
				g, err := s.Segment(t.Context(), dir, number)
				require.NoError(t, err)
				again, err := s.Lines(t.Context(), dir, number)
				require.NoError(t, err)
				require.Equal(t, lines, again, "with the segment in the cache")
				require.Len(t, lines, g.Len())
				for pos := range g.Len() {
					i, got, err := g.Message(pos)
					require.NoError(t, err)
					require.Equal(t, index, i)
					want := all[i]
					b := *h
					b.Messages = all
					want.Due, want.TTL = b.DueAt(&b.Messages[i]), b.Validity(&b.Messages[i])
					line := message.MessageMeta{Index: i, Due: want.Due, TTL: want.TTL, Route: want.Route}
					if i == 5 {
						line.Code, line.Detail = message.CodeFormat, "line 7: to: expected a number"
						want.Problems = message.Problems{{Index: 5, Code: line.Code, Detail: line.Detail}}
					}
					require.Equal(t, want, got)
					require.Equal(t, line, lines[pos])
					index++
				}
				_, _, err = g.Message(g.Len())
				require.ErrorContains(t, err, "there is no message")
			}
			spots, err := s.Locate(t.Context(), dir, []int{2499, -1, 0, 1000, 2500})
			require.NoError(t, err)
			require.Equal(t, []message.Location{{Segment: 3, Pos: 499}, {}, {Segment: 1}, {Segment: 2}, {}}, spots)
			_, err = s.Segment(t.Context(), dir, 4)
			require.ErrorIs(t, err, store.ErrNotFound)
			_, err = s.Segment(t.Context(), dir, 0)
			require.ErrorIs(t, err, store.ErrNotFound)
			require.NotContains(t, objects(t, root), dir+"/index")
		})
	}
}

func TestFilesArePrivateAndHaveNoCompanions(t *testing.T) {
	t.Parallel()
	s, root := open(t)
	dir, _ := written(t, s, header(), samples(3))
	require.ElementsMatch(t, []string{"volley-store", dir + "/manifest", dir + "/segments/0001"}, objects(t, root))
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
}

// objects lists the files under a store's directory.
func objects(t *testing.T, root string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(root, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	}))
	return names
}

func TestDamageIsAnErrorThatNamesTheObject(t *testing.T) {
	t.Parallel()
	s, root := open(t)
	all := samples(1500)
	all[700].Due = accepted.UnixMilli() + 1000 // so that there is an index
	dir, _ := written(t, s, header(), all)
	for _, name := range []string{"manifest", "index", "segments/0002"} {
		file := filepath.Join(root, filepath.FromSlash(dir), filepath.FromSlash(name))
		good, err := os.ReadFile(file)
		require.NoError(t, err)
		for at := 0; at < len(good); at += 1 + len(good)/97 {
			bad := append([]byte(nil), good...)
			bad[at] ^= 0x21
			cut := good[:at]
			for _, data := range [][]byte{bad, cut, append(append([]byte(nil), good...), 0)} {
				require.NoError(t, os.WriteFile(file, data, 0o600))
				if name == "manifest" || name == "index" && len(data) > len(good) {
					continue // what matters is only that nothing below panics
				}
				fresh, err := store.Open(t.Context(), "file://"+root, store.Options{})
				require.NoError(t, err)
				if name == "index" {
					_, err = fresh.Locate(t.Context(), dir, []int{1})
				} else {
					_, err = fresh.Segment(t.Context(), dir, 2)
				}
				require.ErrorContains(t, err, dir+"/"+name, "at %d of %d", at, len(good))
				require.NotErrorIs(t, err, store.ErrNotFound)
				require.NoError(t, fresh.Close())
			}
		}
		require.NoError(t, os.WriteFile(file, good[:len(good)/2], 0o600))
		if name == "manifest" {
			_, err = s.Manifest(t.Context(), dir)
			require.ErrorContains(t, err, dir+"/manifest: the object is damaged")
		}
		require.NoError(t, os.WriteFile(file, good, 0o600))
	}
	swapped := filepath.Join(root, filepath.FromSlash(dir), "segments")
	require.NoError(t, os.Rename(filepath.Join(swapped, "0001"), filepath.Join(swapped, "0002")))
	_, err := s.Lines(t.Context(), dir, 2)
	require.ErrorContains(t, err, "the checksum of its lines is wrong")
	_, err = s.Lines(t.Context(), dir, 1)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestLinesThatAreLongAreReadInTwoParts(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	all := samples(1000)
	for i := range all {
		all[i].Problems = message.Problems{{Index: i, Path: fmt.Sprintf("line %d", i), Code: "format", Detail: fmt.Sprintf("%0100d", i)}}
	}
	dir, _ := written(t, s, header(), all)
	lines, err := s.Lines(t.Context(), dir, 1)
	require.NoError(t, err)
	require.Contains(t, lines[999].Detail, "line 999: 0000")
}

func TestManyMayReadAtOnce(t *testing.T) {
	t.Parallel()
	_, root := open(t)
	small, err := store.Open(t.Context(), "file://"+root, store.Options{CacheBytes: 300_000})
	require.NoError(t, err)
	dir, _ := written(t, small, header(), samples(5000))
	var all sync.WaitGroup
	for k := range 16 {
		all.Go(func() {
			for i := range 40 {
				number := 1 + (k+i)%5
				g, err := small.Segment(t.Context(), dir, number)
				if err == nil {
					_, _, err = g.Message(i)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = small.Segment(stopped, dir, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, small.Close())
}
