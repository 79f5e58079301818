package index_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
)

func TestABatchThatIsDroppedCountsForNothing(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)
	x, err := index.Open(t.Context(), index.Options{URL: "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "index.db")), Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	put := func(id string, state message.BatchState, asOf time.Time) {
		b := index.Batch{Tenant: "acme", ID: id, State: state, Total: 1, CreatedAt: now.Add(-time.Hour), FinishedAt: now.Add(-time.Minute), Rev: 1, AsOf: asOf, Metadata: map[string]string{"k": "v"}}
		ms := []index.Message{{To: "+4915123456789", State: message.Sent, FinishedAt: now.Add(-time.Minute), Rev: 9, Others: []string{"ann@example.com"}}}
		require.NoError(t, x.Advance(t.Context(), b, ms, index.Step{To: index.Position{Rev: 9, Done: true}}))
	}
	found := func(text string) int {
		page, err := x.Find(t.Context(), index.FindQuery{Text: text})
		require.NoError(t, err)
		return len(page.Messages)
	}
	began, resumed, err := x.Rebuild(t.Context())
	require.NoError(t, err)
	require.False(t, resumed)
	require.Equal(t, now, began)
	put("old", message.BatchCompleted, now.Add(-time.Minute))
	put("redone", message.BatchCompleted, now)
	put("open", message.BatchRunning, now)
	require.Equal(t, 3, found("ann@example.com"))
	for id, want := range map[string]bool{"old": true, "redone": false, "open": true, "none": true} {
		dropped, err := x.Drop(t.Context(), "acme", id, began)
		require.NoError(t, err)
		require.Equal(t, want, dropped, id)
	}
	require.Equal(t, 1, found("ann@example.com"))
	require.Equal(t, 1, found("+4915123456789"))
	stats, err := x.Stats(t.Context(), index.StatsQuery{})
	require.NoError(t, err)
	require.Equal(t, 1, stats[0].Total)
	p, err := x.Position(t.Context(), "acme", "old")
	require.NoError(t, err)
	require.Zero(t, p)

	put("old", message.BatchCompleted, now)
	require.Equal(t, 2, found("+4915123456789"), "also with revs that it had before")

	_, resumed, err = x.Rebuild(t.Context())
	require.NoError(t, err)
	require.True(t, resumed)
	require.NoError(t, x.Rebuilt(t.Context()))
	_, resumed, err = x.Rebuild(t.Context())
	require.NoError(t, err)
	require.False(t, resumed)
}

func TestABatchThatWasDeletedGoesAndALaterOneWithItsIDStays(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	b := batch("a")
	b.Metadata = map[string]string{"k": "v"}
	require.NoError(t, x.Put(t.Context(), b, []index.Message{{To: "+4915123456789", State: message.Sent, FinishedAt: noon(), Rev: 9, Others: []string{"ann@example.com"}}}))
	gone := func(created time.Time) bool {
		t.Helper()
		gone, err := x.Delete(t.Context(), b.Tenant, b.ID, created)
		require.NoError(t, err)
		return gone
	}
	require.False(t, gone(b.CreatedAt.Add(-time.Millisecond)), "it was made after the one that was deleted")
	stats, err := x.Stats(t.Context(), index.StatsQuery{Now: noon()})
	require.NoError(t, err)
	require.Len(t, stats, 1)
	require.True(t, gone(b.CreatedAt))
	require.False(t, gone(b.CreatedAt))
	for _, text := range []string{"+4915123456789", "ann@example.com"} {
		page, err := x.Find(t.Context(), index.FindQuery{Text: text})
		require.NoError(t, err)
		require.Empty(t, page.Messages)
	}
	page, err := x.Batches(t.Context(), index.BatchesQuery{Meta: b.Metadata})
	require.NoError(t, err)
	require.Empty(t, page.Batches)
	stats, err = x.Stats(t.Context(), index.StatsQuery{Now: noon()})
	require.NoError(t, err)
	require.Empty(t, stats)
}

func TestAnIndexIsOpenedOnceItIsThereAndOnlyOnce(t *testing.T) {
	t.Parallel()
	url := "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "index.db"))
	var mu sync.Mutex
	opened, away := 0, true
	l := index.NewLater(func(ctx context.Context) (*index.Index, error) {
		mu.Lock()
		defer mu.Unlock()
		if opened++; away {
			away = false
			return nil, errors.New("away")
		}
		return index.Open(ctx, index.Options{URL: url})
	})
	for range 3 { // one try in five seconds
		_, err := l.Find(t.Context(), index.FindQuery{Text: "a"})
		require.ErrorIs(t, err, index.ErrUnavailable)
	}
	require.Equal(t, 1, opened)
	require.NoError(t, l.Close())

	l = index.NewLater(func(ctx context.Context) (*index.Index, error) {
		mu.Lock()
		defer mu.Unlock()
		opened++
		return index.Open(ctx, index.Options{URL: url})
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _, _ = l.Get(t.Context()) })
	}
	all.Wait()
	_, err := l.Find(t.Context(), index.FindQuery{Text: "a"})
	require.NoError(t, err)
	require.Equal(t, 2, opened)
	require.NoError(t, l.Close())
}
