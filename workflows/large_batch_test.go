package workflows_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"volley/activities"
	"volley/internal/message"
)

func TestLargeBatchRunsItsSegmentsInOrderThroughAWindow(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 4000, 100)
	b.rejected[5], b.rejected[3999] = true, true
	for n := range 40 {
		b.plans[n+1] = plan{first: time.Duration(1+n%3) * time.Minute}
	}
	res := b.run()
	require.Equal(t, message.BatchCompleted, res.Status.State)
	require.Equal(t, 3998, res.Status.Counts[message.Sent])
	require.Equal(t, 2, res.Status.Counts[message.Rejected])
	require.Equal(t, strings.Repeat("e", 40), res.Large.Segments)
	require.Equal(t, start, *res.Status.StartedAt)
	for n := 2; n <= 40; n++ {
		require.False(t, b.begun[n].Before(b.begun[n-1]), "segment %d", n)
	}
	require.Len(t, b.order, 40)
	require.Equal(t, 16, b.busiest)
	require.Len(t, b.closed, 1)
	in := b.inputs[7]
	require.Equal(t, []activities.Source{{Segment: 7}}, in.Sources)
	require.Equal(t, "message", in.Dispatch)
	require.Greater(t, b.checks, 40)
}

func TestStragglersOfManySegmentsAreGathered(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 300*200, 200)
	for n := range 300 {
		b.plans[n+1] = plan{left: []int{17, 133}}
		if n%10 == 0 {
			b.plans[n+1] = plan{left: []int{17, 133}, tail: 10 * time.Minute}
		}
	}
	res := b.run()
	require.Equal(t, 300*200, res.Status.Counts[message.Sent])
	require.Len(t, b.order, 300+len(res.Large.Retries))
	var took []int
	for k, r := range res.Large.Retries {
		require.Equal(t, 301+k, r.Number)
		took = append(took, r.Segments...)
		in := b.inputs[r.Number]
		require.Equal(t, "message", in.Dispatch)
		for _, s := range in.Sources {
			require.True(t, s.Left)
		}
	}
	slices.Sort(took)
	require.Len(t, slices.Compact(took), 270, "every segment that left some was taken over once")
	// Twenty windows of a second: those that retry on hold nobody up.
	require.Less(t, b.begun[300].Sub(start), 40*time.Second)
	require.Less(t, len(res.Large.Retries), 20)
}

func TestARetryBeginsWhenAThousandMessagesAreGathered(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 60*100, 100)
	var half []int
	for p := range 50 {
		half = append(half, p)
	}
	for n := range 60 {
		b.plans[n+1] = plan{left: half, first: 5 * time.Second}
	}
	b.plans[60] = plan{first: 20 * time.Second}
	res := b.run()
	require.Equal(t, 6000, res.Status.Counts[message.Sent])
	require.Len(t, res.Large.Retries[0].Segments, 20)
	require.Len(t, res.Large.Retries[1].Segments, 20)
	require.Less(t, b.begun[61].Sub(start), 15*time.Second)
	require.Equal(t, strings.Repeat("l", 59)+"e", res.Large.Segments)
}

func TestGatheredMessagesWaitForATimerWhileFirstAttemptsAreMade(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 300, 100)
	b.plans[1] = plan{left: []int{1}}
	b.plans[2] = plan{left: []int{2}, first: 45 * time.Second}
	b.plans[3] = plan{first: 10 * time.Minute}
	b.run()
	require.Equal(t, 31*time.Second, b.begun[4].Sub(start), "half a minute after the first was left")
	require.Equal(t, 105*time.Second, b.begun[5].Sub(start), "then a whole one")
}

func TestALargeBatchStartsWhenItsFirstMessageIsDue(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 200, 100)
	b.plans[1] = plan{due: time.Hour}
	b.plans[2] = plan{due: 2 * time.Hour}
	b.at(time.Minute, func() {
		s := b.status()
		require.Equal(t, message.BatchScheduled, s.State)
		require.Equal(t, 200, s.Counts[message.Scheduled])
		require.Nil(t, s.StartedAt)
	})
	b.at(time.Hour+500*time.Millisecond, func() {
		s := b.status()
		require.Equal(t, message.BatchRunning, s.State)
		require.Equal(t, 100, s.Counts[message.Accepted])
	})
	res := b.run(func(m *message.Batch) { m.SendAfter = start.Add(time.Hour).UnixMilli() })
	require.Equal(t, start.Add(time.Hour), *res.Status.StartedAt)
}

func TestABatchWhoseStoreIsNotSharedFails(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 5000, 1000)
	b.rejected[9] = true
	b.open = func(int) (activities.OpenResult, error) { return activities.OpenResult{V: 1}, nil }
	res := b.run()
	require.Equal(t, message.BatchCompleted, res.Status.State)
	require.Equal(t, 4999, res.Status.Counts[message.Failed])
	require.Equal(t, 1, res.Status.Counts[message.Rejected])
	require.Equal(t, message.CodeStore, res.Large.Rest.Code)
	require.Contains(t, res.Large.Rest.Detail, "same store")
	require.Empty(t, b.order)
	require.Equal(t, 7, b.opens)
	require.WithinDuration(t, start.Add(6*time.Second), *res.Status.FinishedAt, time.Second)
}

func TestABatchWaitsForAStoreThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	found := b.open
	b.open = func(int) (activities.OpenResult, error) {
		if b.env.Now().Before(start.Add(5 * time.Minute)) {
			return activities.OpenResult{}, errors.New("connection refused")
		}
		return found(0)
	}
	b.at(5*time.Second, func() { require.Empty(t, b.overview().Fault) })
	b.at(time.Minute, func() {
		o := b.overview()
		require.Contains(t, o.Fault, "connection refused")
		require.False(t, o.Opened)
	})
	res := b.run()
	require.Equal(t, 100, res.Status.Counts[message.Sent])
	require.Less(t, b.opens, 25)
}

func TestAStoreThatCannotBeReadWhileMessagesAreValidFailsThem(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	b.open = func(int) (activities.OpenResult, error) {
		return activities.OpenResult{}, temporal.NewApplicationError("no such bucket", "x")
	}
	res := b.run(func(m *message.Batch) { m.TTL = time.Hour.Milliseconds() })
	require.Equal(t, 100, res.Status.Counts[message.Failed])
	require.Contains(t, res.Large.Rest.Detail, "no such bucket")
	require.WithinDuration(t, start.Add(time.Hour), *res.Status.FinishedAt, time.Minute)
}

func TestAManifestOfAnotherSizeIsRefused(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	b.open = func(int) (activities.OpenResult, error) {
		return activities.OpenResult{V: 1, Found: true, Segments: []message.Segment{{Count: 99}}}, nil
	}
	res := b.run()
	require.Equal(t, 100, res.Status.Counts[message.Failed])
}

func TestALargeBatchWithoutMessagesEndsAtOnce(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 0, 100)
	res := b.run()
	require.Equal(t, message.BatchCompleted, res.Status.State)
	require.Nil(t, res.Status.StartedAt)
}

func TestALostSegmentDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 500, 100)
	b.rejected[110] = true
	b.plans[2] = plan{killed: true}
	b.plans[4] = plan{lost: true}
	b.plans[5] = plan{left: []int{0, 1}}
	b.plans[6] = plan{killed: true}
	res := b.run()
	require.Equal(t, "exexl", res.Large.Segments)
	require.Equal(t, 298, res.Status.Counts[message.Sent])
	require.Equal(t, 101, res.Status.Counts[message.Unknown])
	require.Equal(t, 100, res.Status.Counts[message.Failed])
	require.Equal(t, 1, res.Status.Counts[message.Rejected])
	require.Equal(t, "segment_lost", res.Large.RestOf[2].Code)
	require.Equal(t, message.CodeStore, res.Large.RestOf[4].Code)
	require.Equal(t, message.Unknown, res.Large.RestOf[6].State)
}
