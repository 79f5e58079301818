package starter_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// TestWhatTheStoreHasLost is about a batch of which two segments are not as they
// were written.
func TestWhatTheStoreHasLost(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	b := newBigOn(t, starter.Options{}, "file://"+root)
	b.startBig(t, 3500)
	dir := b.input(t).Large.Dir
	finished := noon.Add(time.Minute)
	res := message.Result{V: 1, Large: &message.Large{Dir: dir, Segments: "eeee"}, Status: message.Status{
		ID: "a", Tenant: "default", Dialect: "volley", State: message.BatchCompleted, Total: 3500, FinishedAt: &finished,
		Counts: &message.Counts{message.Failed: 3499, message.Rejected: 1},
	}}
	for number, n := range []int{1000, 1000, 1000, 500} {
		l := message.Ledger{V: 1, Records: records(n, func(i int) message.Record {
			if number == 3 && i == n-1 {
				return message.Record{State: message.Rejected, Finished: finished.UnixMilli(), Rev: 1}
			}
			return message.Record{State: message.Failed, Code: message.CodeStore, Finished: finished.UnixMilli(), Rev: 1}
		})}
		require.NoError(t, b.store.KeepLedger(t.Context(), dir, number+1, &l))
	}
	require.NoError(t, b.store.KeepResult(t.Context(), dir, &res))
	b.fake.flow(t, "batch-a").complete(t, res)
	segments := filepath.Join(root, filepath.FromSlash(dir), "segments")
	require.NoError(t, os.Remove(filepath.Join(segments, "0002")))
	require.NoError(t, os.Truncate(filepath.Join(segments, "0003"), 5000))

	t.Run("every message still has its row", func(t *testing.T) {
		rows := all(t, b, starter.ResultQuery{})
		require.Len(t, rows, 3500)
		for i, row := range rows {
			require.Equal(t, i, row.Index)
			require.Equal(t, key.MessageID(i), row.ID)
			lost := i >= 1000 && i < 3000
			require.Equal(t, lost, row.To == "", "message %d", i)
		}
		row, err := b.Message(t.Context(), a, "2999")
		require.NoError(t, err)
		require.Equal(t, message.CodeStore, row.Code)
	})
	t.Run("what can be read is sent again", func(t *testing.T) {
		got, err := b.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"failed"}})
		require.NoError(t, err)
		require.Equal(t, 1499, got.Total)
		for _, name := range []string{"0001", "0004"} {
			require.NoError(t, os.Remove(filepath.Join(segments, name)))
		}
		fresh := starter.New(b.fake.client, starter.Options{Store: newStore(t, "file://"+root)})
		_, err = fresh.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"failed"}, Again: true})
		require.ErrorContains(t, err, "no message that is failed can be read from the store any more")
		require.NotErrorIs(t, err, starter.ErrNotFound)
	})
}

func TestALostSegmentKeepsNoOtherRowsBack(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	damage := message.Ledger{V: 1, Records: records(3, sentRecord)}
	require.NoError(t, b.store.KeepLedger(t.Context(), o.Large.Dir, 1, &damage))
	for _, q := range []starter.ResultQuery{{}, {State: "not-sent,sent,accepted,retrying,sending"}} {
		var rows []message.Row
		var errs []error
		for row, err := range b.Results(t.Context(), a, q) {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			rows = append(rows, row)
		}
		require.Len(t, rows, 2500)
		require.Equal(t, 1000, rows[0].Index)
		require.Len(t, errs, 1)
		require.ErrorContains(t, errs[0], "the rows of 1 segment are missing: batch a: the ledger of segment 1 has 3 messages of 1000")
	}
	_, err := b.Redrive(t.Context(), a, starter.RedriveQuery{})
	require.Error(t, err, "a redrive leaves nothing out")
}
