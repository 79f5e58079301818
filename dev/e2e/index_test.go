package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/indexer"
	"volley/internal/message"
	"volley/starter"
)

// fill fills an index from a lab until what it returns is called.
func (l *lab) fill(t *testing.T, x *index.Later, owner string) (stop func()) {
	t.Helper()
	feed := indexer.New(indexer.Options{
		Open: func(ctx context.Context) (indexer.Index, error) { return x.Get(ctx) }, Batches: l.starter, Owner: owner,
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); feed.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// indexedAs waits until the index has a batch as its results have it.
func (l *lab) indexedAs(t *testing.T, x *index.Later, ref starter.Ref) {
	t.Helper()
	st, err := l.starter.Status(t.Context(), ref)
	require.NoError(t, err)
	var has message.Counts
	require.Eventually(t, func() bool {
		stats, err := x.Stats(t.Context(), index.StatsQuery{Tenant: starter.DefaultTenant, By: "batch"})
		at := slices.IndexFunc(stats, func(s index.Stat) bool { return s.Key == ref.ID })
		if at >= 0 {
			has = stats[at].Counts
		}
		return err == nil && has == *st.Counts
	}, 2*time.Minute, 100*time.Millisecond, "batch %s has %v, its index %v", ref.ID, *st.Counts, &has)
	for row, err := range l.starter.Results(t.Context(), ref, starter.ResultQuery{}) {
		require.NoError(t, err)
		if row.Index%7 != 0 { // of a few thousand
			continue
		}
		page, err := x.Find(t.Context(), index.FindQuery{Tenant: starter.DefaultTenant, ID: row.ID})
		require.NoError(t, err)
		require.Len(t, page.Messages, 1, "message %d", row.Index)
		m := page.Messages[0]
		require.Equal(t, []any{ref.ID, row.Index, row.To, row.Account, row.State, row.Code, row.Detail, row.ProviderID, row.Attempts},
			[]any{m.Batch, m.Index, m.To, m.Account, m.State, m.Code, m.Detail, m.ProviderID, m.Attempts})
		require.Equal(t, row.FinishedAt == nil, m.FinishedAt == nil)
	}
}

// TestTheIndexHasWhatResultsHave runs batches that end in every way, of which the first runs
// while the database is away, and others while who fills it is replaced again and again.
func TestTheIndexHasWhatResultsHave(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"", segments, groups} {
		t.Run("as "+way, func(t *testing.T) {
			t.Parallel()
			l := shared.own(t, way, time.Second)
			l.serve(t)
			dir := filepath.Join(t.TempDir(), "later")
			x := index.NewLater(func(ctx context.Context) (*index.Index, error) {
				return index.Open(ctx, index.Options{URL: "sqlite://" + filepath.ToSlash(filepath.Join(dir, "index.db"))})
			})
			t.Cleanup(func() { require.NoError(t, x.Close()) })
			stop := l.fill(t, x, "first")
			var ended []starter.Ref
			run := func(name string, n int, during func(t *testing.T, ref starter.Ref)) {
				t.Run(name, func(t *testing.T) {
					all := notes(t, n)
					for i := range all {
						switch i % 10 {
						case 3:
							all[i].To += "+reject"
						case 5:
							all[i].To += "+slow"
						}
					}
					ref := l.large(t, all)
					during(t, ref)
					l.wait(t, ref)
					ended = append(ended, ref)
				})
			}
			run("away", 60, func(*testing.T, starter.Ref) {})
			require.NoError(t, os.Mkdir(dir, 0o700))
			run("replaced", 2300, func(during *testing.T, _ starter.Ref) {
				for _, owner := range []string{"second", "third"} {
					l.some(during, l.sandbox.Counts().Total+200)
					stop()
					stop = l.fill(t, x, owner)
				}
			})
			run("canceled", 300, func(t *testing.T, ref starter.Ref) {
				l.some(t, l.sandbox.Counts().Total+50)
				_, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Reason: "test"})
				require.NoError(t, err)
			})
			run("terminated", 300, func(t *testing.T, ref starter.Ref) {
				l.some(t, l.sandbox.Counts().Total+50)
				l.terminate(t, starter.WorkflowID(ref))
			})
			again, err := l.starter.Redrive(t.Context(), ended[0], starter.RedriveQuery{})
			require.NoError(t, err)
			ended = append(ended, starter.Ref{ID: again.ID})
			l.wait(t, ended[len(ended)-1])
			for _, ref := range ended {
				l.indexedAs(t, x, ref)
			}

			key := message.KeyOf(starter.WorkflowID(ended[0]))
			l.report(t, []message.Report{{ID: key.MessageID(0), State: message.Delivered, Account: l.served[0].Name}})
			l.until(t, ended[0], func(s message.Status) bool { return s.Counts[message.Delivered] == 1 })
			l.indexedAs(t, x, ended[0])
		})
	}
}

// TestWhatWasDeletedIsNotInTheIndex deletes batches while the index answers, and while it does
// not.
func TestWhatWasDeletedIsNotInTheIndex(t *testing.T) {
	t.Parallel()
	l := newClearLab(t, false, `index: {url: "sqlite://DIR/index/index.db"}`)
	dir := filepath.Join(l.dir, "index")
	require.NoError(t, os.Mkdir(dir, 0o700))
	start := []string{"start", "--dialect", "volley", "--yes", "-o", "json", "-"}
	l.do(t, umbrellas(t, 9, nil), append(start, "--id", "small", "--wait")...)
	l.do(t, umbrellas(t, 60, nil), append(start, "--id", "large", "--wait")...)
	l.do(t, umbrellas(t, 9, nil), append(start, "--id", "stays", "--wait")...)
	indexed := func(want ...string) {
		t.Helper()
		require.Eventually(t, func() bool {
			var page index.FindPage
			require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "find", forgettable["recipient"], "-o", "json")), &page))
			var batches []string
			for _, m := range page.Messages {
				if m.State == message.Sent {
					batches = append(batches, m.Batch)
				}
			}
			slices.Sort(batches)
			return slices.Equal(want, batches)
		}, busy, 200*time.Millisecond, want)
	}
	indexed("large", "small", "stays")
	l.do(t, "", "delete", "small")
	indexed("large", "stays")

	away := filepath.Join(l.dir, "away")
	require.NoError(t, os.Rename(dir, away))
	require.JSONEq(t, `{"batch":"large","deleted":true,"indexed":true}`, l.do(t, "", "delete", "large", "-o", "json"))
	require.NoError(t, os.Rename(away, dir))
	indexed("stays")
	var stats struct{ Stats []index.Stat }
	require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "stats", "--by", "batch", "-o", "json")), &stats))
	require.Len(t, stats.Stats, 1)
	require.Equal(t, []any{"stays", 9}, []any{stats.Stats[0].Key, stats.Stats[0].Total})
}
