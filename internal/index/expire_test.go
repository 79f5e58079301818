package index_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
)

func TestWhatIsOldExpires(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := noon()
	x := open(t, func(o *index.Options) {
		o.Retention, o.StatsRetention, o.Now = 10*day, 40*day, func() time.Time { return now }
	})
	put := func(id string, ended time.Time, state message.BatchState, rev int64) {
		b := batch(id)
		b.State, b.FinishedAt, b.CreatedAt, b.AsOf, b.Rev = state, ended, noon().Add(-100*day), noon(), rev
		b.Metadata = map[string]string{"k": "v"}
		m := index.Message{To: "+4915112345678", Others: []string{id + "@example.com"}, State: message.Sent, SentAt: ended, FinishedAt: ended, Rev: rev}
		if ended.IsZero() {
			m.State, m.SentAt, b.AsOf = message.Scheduled, time.Time{}, now
		}
		require.NoError(t, x.Put(t.Context(), b, []index.Message{m}))
	}
	seen := func() (found, listed []string, counted int) {
		page, err := x.Find(t.Context(), index.FindQuery{To: "+4915112345678"})
		require.NoError(t, err)
		for _, m := range page.Messages {
			found = append(found, m.Batch)
		}
		batches, err := x.Batches(t.Context(), index.BatchesQuery{Meta: map[string]string{"k": "v"}})
		require.NoError(t, err)
		for _, b := range batches.Batches {
			listed = append(listed, b.ID)
		}
		stats, err := x.Stats(t.Context(), index.StatsQuery{Since: noon().Add(-365 * day)})
		require.NoError(t, err)
		for _, s := range stats {
			counted += s.Total
		}
		return found, listed, counted
	}
	put("old", noon().Add(-11*day), message.BatchCompleted, 1)
	put("new", noon().Add(-9*day), message.BatchCompleted, 1)
	put("open", time.Time{}, message.BatchScheduled, 1)
	require.NoError(t, x.Record(t.Context(), []index.AuditEntry{{Time: noon(), Action: "cancel"}}))

	require.NoError(t, x.Expire(t.Context()))
	found, listed, counted := seen()
	require.ElementsMatch(t, []string{"new", "open"}, found)
	require.ElementsMatch(t, []string{"old", "new", "open"}, listed)
	require.Equal(t, 2, counted, "counters stay")
	page, err := x.Find(t.Context(), index.FindQuery{To: "old@example.com"})
	require.NoError(t, err)
	require.Empty(t, page.Messages)

	put("old", noon().Add(-11*day), message.BatchCompleted, 2) // a report that comes late
	found, _, counted = seen()
	require.NotContains(t, found, "old")
	require.Equal(t, 2, counted, "it is not counted again")

	now = noon().Add(39 * day)
	put("open", time.Time{}, message.BatchScheduled, 2) // it was read now
	require.NoError(t, x.Expire(t.Context()))
	found, listed, counted = seen()
	require.Equal(t, []string{"open"}, found)
	require.Equal(t, []string{"open"}, listed)
	require.Zero(t, counted)
	audit, _, err := x.Audit(t.Context(), index.AuditQuery{})
	require.NoError(t, err)
	require.Len(t, audit, 1)

	now = noon().Add(80 * day)
	require.NoError(t, x.Expire(t.Context()))
	found, listed, _ = seen()
	require.Empty(t, append(found, listed...), "nobody has heard of it since")
	audit, _, err = x.Audit(t.Context(), index.AuditQuery{})
	require.NoError(t, err)
	require.Empty(t, audit)
	s, err := x.Status(t.Context())
	require.NoError(t, err)
	require.Zero(t, s.Messages)
}

func TestALargeBatchExpiresWhole(t *testing.T) {
	t.Parallel()
	now := noon()
	x := open(t, func(o *index.Options) { o.Now = func() time.Time { return now } })
	b := batch("b1")
	b.State, b.FinishedAt = message.BatchCompleted, noon()
	ms := make([]index.Message, 21_000) // more than one transaction deletes
	for i := range ms {
		ms[i] = index.Message{Index: i * 3, To: fmt.Sprint("user-", i), State: message.Sent, FinishedAt: noon(), Rev: 1}
	}
	require.NoError(t, x.Put(t.Context(), b, ms))
	now = noon().Add(31 * 24 * time.Hour)
	require.NoError(t, x.Expire(t.Context()))
	s, err := x.Status(t.Context())
	require.NoError(t, err)
	require.Zero(t, s.Messages)
	page, err := x.Find(t.Context(), index.FindQuery{To: "user-20999"})
	require.NoError(t, err)
	require.Empty(t, page.Messages)
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	url := file(t)
	require.NoError(t, os.WriteFile(strings.TrimPrefix(url, "sqlite://"), []byte("a text, and no database of any kind at all"), 0o600))
	_, err := index.Open(t.Context(), index.Options{URL: url})
	require.ErrorIs(t, err, index.ErrUnavailable)
	for _, url := range []string{"mysql://u:pass4711@h/d", "", "postgres://u:pass4711@h:port/d", "%zz"} {
		_, err := index.Open(t.Context(), index.Options{URL: url})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "pass4711")
	}
}
