package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/encryption"
	"volley/internal/message"
	"volley/internal/store"
)

// wanted is the order in which the messages have to lie, as indexes.
func wanted(h *message.Batch, all []message.Message) []int {
	now, order := h.CreatedAt.UnixMilli(), make([]int, len(all))
	dues := make([]int64, len(all))
	b := *h
	b.Messages = all
	last := now
	for i := range all {
		if len(all[i].Problems) == 0 {
			last = max(b.DueAt(&b.Messages[i]), now)
		}
		dues[i], order[i] = last, i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(dues[a] - dues[b]) })
	return order
}

func TestMessagesLieInTheOrderOfTheirDueTimes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	now := accepted.UnixMilli()
	rnd := rand.New(rand.NewPCG(3, 4))
	dues := map[string]func(i, n int) int64{
		"in order":       func(i, _ int) int64 { return now + int64(i) },
		"all equal":      func(int, int) int64 { return now + 50 },
		"in the past":    func(i, _ int) int64 { return now - int64(i) },
		"reversed":       func(i, n int) int64 { return now + int64(n-i) },
		"random":         func(_, _ int) int64 { return now + rnd.Int64N(1_000_000) },
		"few times":      func(_, _ int) int64 { return now + rnd.Int64N(3) },
		"a few late":     func(i, _ int) int64 { return now + int64(i) - 2000*int64((i%997)/996) },
		"late at an end": func(i, n int) int64 { return now + int64(i) - int64(i/(n-1)) },
		"one far ahead":  func(i, n int) int64 { return now + int64(i) + 9_000_000*int64((i+1)%n/(n-1)) },
	}
	for name, due := range dues {
		for _, n := range []int{2, 3500} {
			for spill, bytes := range map[string]int{"in memory": 0, "small runs": 20_000, "single rows": 1} {
				for kind, rejected := range map[string]int{"": 1 << 30, " with rejected ones": 7} {
					t.Run(fmt.Sprintf("%s, %d, %s%s", name, n, spill, kind), func(t *testing.T) {
						all := samples(n)
						for i := range all {
							all[i].Due = due(i, n)
							if i%rejected == rejected-1 {
								all[i].Problems, all[i].Due = message.Problems{{Index: i, Code: "format", Detail: "x"}}, rnd.Int64()
							}
						}
						ordered(t, all, bytes)
					})
				}
			}
		}
	}
}

func ordered(t *testing.T, all []message.Message, spill int) {
	t.Helper()
	s, h, temp := inMemory(t), header(), t.TempDir()
	w, err := s.Create(t.Context(), h, store.WriteOptions{TempDir: temp, SpillBytes: spill})
	require.NoError(t, err)
	for i := range all {
		require.NoError(t, w.Add(t.Context(), &all[i]))
	}
	runs := store.Runs(w)
	m, err := w.Finish(t.Context())
	require.NoError(t, err)
	require.Empty(t, files(t, temp))
	want := wanted(h, all)
	require.Equal(t, slices.IsSorted(want), m.InOrder)
	if m.InOrder {
		require.Zero(t, runs)
	}
	require.Equal(t, len(all), m.Total)

	spots := make([]message.Location, len(all))
	var got []int
	for number := 1; number <= len(m.Segments); number++ {
		g, err := s.Segment(t.Context(), w.Dir(), number)
		require.NoError(t, err)
		for pos := range g.Len() {
			i, one, err := g.Message(pos)
			require.NoError(t, err)
			require.Equal(t, all[i].To, one.To)
			require.Equal(t, all[i].Due, one.Due)
			require.Len(t, one.Problems, len(all[i].Problems))
			got = append(got, i)
			spots[i] = message.Location{Segment: number, Pos: pos}
		}
		if number < len(m.Segments) {
			require.Equal(t, message.SegmentMessages, g.Len())
		}
	}
	require.Equal(t, want, got)
	indexes := make([]int, len(all))
	for i := range indexes {
		indexes[i] = i
	}
	found, err := s.Locate(t.Context(), w.Dir(), indexes)
	require.NoError(t, err)
	require.Equal(t, spots, found)
}

func files(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	return list
}

func TestLargeMessagesMakeShortSegments(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	all := samples(30)
	for i := range all {
		all[i].Params["pad"] = strings.Repeat("x", 1_000_000)
		all[i].Due = accepted.UnixMilli() + int64(i%3)
	}
	dir, m := written(t, s, header(), all[:1])
	require.Equal(t, 1, m.Total)
	temp := t.TempDir()
	w, err := s.Create(t.Context(), header(), store.WriteOptions{TempDir: temp, SpillBytes: 1 << 20})
	require.NoError(t, err)
	for i := range all {
		require.NoError(t, w.Add(t.Context(), &all[i]))
	}
	m, err = w.Finish(t.Context())
	require.NoError(t, err)
	require.Empty(t, files(t, temp))
	require.Len(t, m.Segments, 4)
	for _, g := range m.Segments {
		require.LessOrEqual(t, g.Count, 8)
	}
	_, err = s.Segment(t.Context(), dir, 1)
	require.NoError(t, err)
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	var large *store.TooLarge
	w, err := s.Create(t.Context(), header(), store.WriteOptions{})
	require.NoError(t, err)
	m := sample(1)
	m.Params["pad"] = strings.Repeat("x", message.SegmentBytes)
	err = w.Add(t.Context(), &m)
	require.ErrorAs(t, err, &large)
	require.ErrorContains(t, err, "message 0: the batch has more than 8388608 bytes in one message")
	m = sample(1)
	require.ErrorAs(t, w.Add(t.Context(), &m), &large, "the writer takes nothing more")
	_, err = w.Finish(t.Context())
	require.ErrorAs(t, err, &large)
	require.NoError(t, w.Abort(t.Context()))
}

func TestAnEndThatIsTooEarlyLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	late := func(w *store.Writer) error {
		for i := range 3000 {
			m := sample(i)
			m.Due = accepted.UnixMilli() + int64(i%1500)
			if err := w.Add(t.Context(), &m); err != nil {
				return err
			}
		}
		return nil
	}
	t.Run("aborted", func(t *testing.T) {
		t.Parallel()
		s, root := open(t)
		temp := t.TempDir()
		w, err := s.Create(t.Context(), header(), store.WriteOptions{TempDir: temp, SpillBytes: 10_000})
		require.NoError(t, err)
		require.NoError(t, late(w))
		require.NoError(t, w.Abort(t.Context()))
		require.NoError(t, w.Abort(t.Context()))
		require.Empty(t, files(t, temp))
		require.Subset(t, []string{"volley-store"}, objects(t, root))
		require.Error(t, late(w))
		_, err = w.Finish(t.Context())
		require.Error(t, err)
	})
	t.Run("canceled", func(t *testing.T) {
		t.Parallel()
		s, root := open(t)
		temp := t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		w, err := s.Create(ctx, header(), store.WriteOptions{TempDir: temp, SpillBytes: 10_000})
		require.NoError(t, err)
		require.NoError(t, late(w))
		gone := errors.New("the caller went away")
		cancel(gone)
		_, err = w.Finish(t.Context())
		require.ErrorIs(t, err, gone)
		require.NoError(t, w.Abort(t.Context()))
		require.Empty(t, files(t, temp))
		require.Subset(t, []string{"volley-store"}, objects(t, root))
	})
	t.Run("a store that cannot be written to", func(t *testing.T) {
		t.Parallel()
		s, root := open(t)
		w, err := s.Create(t.Context(), header(), store.WriteOptions{TempDir: t.TempDir()})
		require.NoError(t, err)
		parent := filepath.Join(root, "acme", "2026-11-20")
		require.NoError(t, os.MkdirAll(parent, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, filepath.FromSlash(w.Dir())), nil, 0o600)) // where the folder belongs
		for i := 0; err == nil && i < 100_000; i++ {
			m := sample(i)
			err = w.Add(t.Context(), &m)
		}
		require.ErrorContains(t, err, w.Dir()+"/segments/0")
		_, again := w.Finish(t.Context())
		require.Equal(t, err, again)
	})
	t.Run("no room for what is out of order", func(t *testing.T) {
		t.Parallel()
		s := inMemory(t)
		w, err := s.Create(t.Context(), header(), store.WriteOptions{TempDir: filepath.Join(t.TempDir(), "gone"), SpillBytes: 100})
		require.NoError(t, err)
		require.ErrorIs(t, late(w), os.ErrNotExist)
		require.NoError(t, w.Abort(t.Context()))
	})
}

func TestMemoryDoesNotGrowWithTheBatch(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	s, _ := open(t)
	w, err := s.Create(t.Context(), header(), store.WriteOptions{TempDir: t.TempDir(), SpillBytes: 4 << 20})
	require.NoError(t, err)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, uint64(0)
	one := sample(0)
	for i := range 300_000 {
		one.To, one.Reference = fmt.Sprintf("+49151%07d", i), ""
		one.Due = accepted.Add(time.Duration(i-i%10*1000) * time.Second).UnixMilli()
		require.NoError(t, w.Add(t.Context(), &one))
		if i%50_000 == 49_999 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc-min(before, m.HeapAlloc))
		}
	}
	_, err = w.Finish(t.Context())
	require.NoError(t, err)
	require.Less(t, most, uint64(32<<20), "of %d bytes of messages", 300_000*150)
}

func BenchmarkWriter(b *testing.B) {
	now := accepted.UnixMilli()
	inOrder := func(int) int64 { return 0 }
	atRandom := func(i int) int64 { return now + int64(uint32(i)*2654435761>>8) }
	for _, bb := range []struct {
		name   string
		due    func(i int) int64
		keyset *encryption.Keyset
	}{
		{"in order", inOrder, nil},
		{"in order, sealed", inOrder, newKeyset(b)},
		{"random", atRandom, nil},
		{"random, sealed", atRandom, newKeyset(b)},
	} {
		due := bb.due
		b.Run(bb.name, func(b *testing.B) {
			s := sealed(b, filepath.Join(b.TempDir(), "store"), bb.keyset)
			all := samples(10_000)
			w, err := s.Create(b.Context(), header(), store.WriteOptions{TempDir: b.TempDir()})
			require.NoError(b, err)
			b.ReportAllocs()
			i := 0
			finish := func() {
				_, err := w.Finish(b.Context())
				require.NoError(b, err)
			}
			for b.Loop() {
				if i == 1_000_000 {
					finish()
					w, _ = s.Create(b.Context(), header(), store.WriteOptions{TempDir: b.TempDir()})
					i = 0
				}
				m := &all[i%len(all)]
				m.Due = due(i)
				m.TTL = int64(i)
				if err := w.Add(b.Context(), m); err != nil {
					b.Fatal(err)
				}
				i++
			}
			finish()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkSegment(b *testing.B) {
	for _, bb := range []struct {
		name   string
		keyset *encryption.Keyset
	}{{"in clear", nil}, {"sealed", newKeyset(b)}} {
		root := filepath.Join(b.TempDir(), "store")
		dir, _ := written(b, sealed(b, root, bb.keyset), header(), samples(1000))
		s := opened(b, root, store.Options{CacheBytes: -1, Keyset: bb.keyset, Namespace: "prod"})
		b.Run("whole, "+bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g, err := s.Segment(b.Context(), dir, 1)
				if err != nil {
					b.Fatal(err)
				}
				for pos := range g.Len() {
					if _, _, err := g.Message(pos); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run("lines, "+bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Lines(b.Context(), dir, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
