package s3test_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/dev/s3test"
	"volley/internal/message"
	"volley/internal/store"
	"volley/workflows/contract"
)

// Whatever an activity may be asked of the store takes few rounds of requests, so that
// it ends long before its time, half a minute, is over.
func TestActivitiesEndInTime(t *testing.T) {
	s := s3test.Start(t)
	st := opened(t, s)
	dir, ctx := largest(t, st), t.Context()
	ledger := message.Ledger{V: message.Version, Records: make([]message.Record, message.SegmentMessages)}
	for i := range ledger.Records {
		ledger.Records[i] = message.Record{State: message.Sent, Attempts: 1, ProviderID: "8c1f3c1e-aaaa-bbbb-cccc-000000000000", Due: 1, Expires: 2}
	}
	s.SetDelay(s3test.Delay)
	for _, c := range []struct {
		what             string
		requests, rounds int
		do               func(t *testing.T, a *activities.Activities)
	}{
		{"a batch is opened", 1, 1, func(t *testing.T, a *activities.Activities) {
			res, err := a.Open(ctx, contract.OpenInput{V: 1, Dir: dir})
			require.NoError(t, err)
			require.Len(t, res.Segments, segments)
		}},
		// It has the names of canceled messages in up to 17 objects.
		{"a segment is loaded", 22, 3, func(t *testing.T, a *activities.Activities) {
			res, err := a.Load(ctx, contract.LoadInput{V: 1, Dir: dir, Segment: 7})
			require.NoError(t, err)
			require.Len(t, res.Lines, message.SegmentMessages)
		}},
		{"a ledger is kept", 1, 1, func(t *testing.T, a *activities.Activities) {
			require.NoError(t, a.Keep(ctx, contract.KeepInput{V: 1, Dir: dir, Number: 1, Ledger: ledger}))
		}},
		{"the end is kept", 1, 1, func(t *testing.T, a *activities.Activities) {
			require.NoError(t, a.Close(ctx, contract.CloseInput{V: 1, Result: message.Result{V: 1, Large: &message.Large{Dir: dir}}}))
		}},
	} {
		fresh, err := store.Open(ctx, s.URL(), store.Options{CacheBytes: -1})
		require.NoError(t, err)
		s.Reset()
		c.do(t, activities.New(activities.Options{Store: fresh}))
		load := s.Load()
		t.Logf("%s: %+v", c.what, load)
		require.LessOrEqual(t, load.Requests, c.requests, c.what)
		require.LessOrEqual(t, load.Rounds, c.rounds, c.what)
		require.LessOrEqual(t, load.Peak, 64, c.what)
		require.NoError(t, fresh.Close())
	}
}
