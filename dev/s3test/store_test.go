package s3test_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/s3test"
	"volley/internal/message"
	"volley/internal/store"
)

const (
	segments = message.MaxSegments
	total    = segments * message.SegmentMessages
)

// largest writes the largest batch that there may be, out of order, with all that a
// batch leaves in the store, and returns its folder.
func largest(t *testing.T, st *store.Store) string {
	t.Helper()
	ctx := t.Context()
	accepted := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	header := &message.Batch{
		V: message.Version, ID: "largest", CreatedAt: accepted, Dialect: "volley", TTL: 60_000,
		Hops: [][]message.Hop{{{Account: "eu"}}}, Policies: map[string]message.Policy{"eu": {}},
	}
	w, err := st.Create(ctx, header, store.WriteOptions{TempDir: t.TempDir()})
	require.NoError(t, err)
	for i := range total {
		m := message.Message{To: fmt.Sprintf("+49151%08d", i)}
		if i == total-2 {
			m.Due = accepted.UnixMilli() + 1 // so that the last one is out of order
		}
		require.NoError(t, w.Add(ctx, &m))
	}
	m, err := w.Finish(ctx)
	require.NoError(t, err)
	require.Len(t, m.Segments, segments)
	require.False(t, m.InOrder)
	var late message.LateReports
	for number := 1; number <= segments; number++ {
		require.NoError(t, st.KeepLedger(ctx, w.Dir(), number, &message.Ledger{V: message.Version, Records: make([]message.Record, 10)}))
		late = append(late, message.LateReport{Index: (number - 1) * 1000, Segment: number, From: message.Sent, State: message.Delivered})
	}
	_, failed, err := st.KeepLate(ctx, w.Dir(), late, store.KeepOptions{})
	require.NoError(t, err)
	require.Empty(t, failed)
	for i := range 40 {
		require.NoError(t, st.AddCanceled(ctx, w.Dir(), message.Cancellations{{Index: i, At: int64(i)}}))
	}
	require.NoError(t, st.KeepResult(ctx, w.Dir(), &message.Result{V: message.Version}))
	return w.Dir()
}

// Whatever a caller reads of the largest batch takes few rounds of requests, so that
// it ends long before anybody gives up.
func TestTheLargestBatchIsReadInFewRounds(t *testing.T) {
	s := s3test.Start(t)
	st := opened(t, s)
	dir, ctx := largest(t, st), t.Context()
	numbers := make([]int, segments)
	for i := range numbers {
		numbers[i] = i + 1
	}
	spread := make([]int, 5000) // of all blocks of the index
	for i := range spread {
		spread[i] = i * (total / len(spread))
	}
	s.SetDelay(s3test.Delay)
	for _, c := range []struct {
		what             string
		requests, rounds int // at most; rounds are twice as many as there should be
		do               func(t *testing.T)
	}{
		{"the manifest", 1, 1, func(t *testing.T) {
			_, err := st.Manifest(ctx, dir)
			require.NoError(t, err)
		}},
		{"a segment and its lines", 3, 3, func(t *testing.T) {
			_, err := st.Segment(ctx, dir, 7)
			require.NoError(t, err)
			_, err = st.Lines(ctx, dir, 7)
			require.NoError(t, err)
		}},
		{"where 5,000 messages lie", 250, 12, func(t *testing.T) {
			spots, err := st.Locate(ctx, dir, spread)
			require.NoError(t, err)
			require.Len(t, spots, len(spread))
		}},
		{"late reports of all segments", segments + 1, 38, func(t *testing.T) {
			r, err := st.Reported(ctx, dir)
			require.NoError(t, err)
			found, err := st.LateReports(ctx, dir, r, numbers...)
			require.NoError(t, err)
			require.Len(t, found, segments)
		}},
		{"which messages are canceled", 20, 3, func(t *testing.T) {
			names, err := st.Canceled(ctx, dir)
			require.NoError(t, err)
			require.Len(t, names, 40)
		}},
		{"the result", 1, 1, func(t *testing.T) {
			_, err := st.Result(ctx, dir)
			require.NoError(t, err)
		}},
		{"the folders for a purge", 10, 10, func(t *testing.T) {
			for f, err := range st.Folders(ctx) {
				require.NoError(t, err)
				require.Greater(t, f.Objects, 3*segments)
			}
		}},
		{"a ledger that is kept", 1, 1, func(t *testing.T) {
			require.NoError(t, st.KeepLedger(ctx, dir, 1, &message.Ledger{V: message.Version, Records: make([]message.Record, 10)}))
		}},
		{"late reports of all segments that are kept", 2*segments + 2, 76, func(t *testing.T) {
			var late message.LateReports
			for _, number := range numbers {
				late = append(late, message.LateReport{Index: (number-1)*1000 + 1, Segment: number, From: message.Sent, State: message.Delivered})
			}
			r, failed, err := st.KeepLate(ctx, dir, late, store.KeepOptions{})
			require.NoError(t, err)
			require.Empty(t, failed)
			require.Equal(t, 2*segments, r.Count)
		}},
		{"a name that is canceled", 40, 7, func(t *testing.T) {
			require.NoError(t, st.AddCanceled(ctx, dir, message.Cancellations{{Index: 5, At: 5}}))
		}},
		{"a delete", 12 * segments, 300, func(t *testing.T) { require.NoError(t, st.Delete(ctx, dir)) }},
	} {
		s.Reset()
		c.do(t)
		load := s.Load()
		t.Logf("%s: %+v", c.what, load)
		require.LessOrEqual(t, load.Requests, c.requests, c.what)
		require.LessOrEqual(t, load.Rounds, c.rounds, c.what)
		require.LessOrEqual(t, load.Peak, 64, c.what)
	}
}
