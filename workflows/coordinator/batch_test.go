package coordinator_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
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
	require.Equal(t, flowtest.Start, *res.Status.StartedAt)
	for n := 2; n <= 40; n++ {
		require.False(t, b.begun[n].Before(b.begun[n-1]), "segment %d", n)
	}
	require.Len(t, b.order, 40)
	require.Equal(t, 16, b.busiest)
	require.Len(t, b.closed, 1)
	in := b.inputs[7]
	require.Equal(t, 7, in.Number)
	require.Equal(t, "default/2026-11-20/b~00000000", in.Dir)
	require.Equal(t, "message", in.Dispatch)
	require.Greater(t, b.checks, 40)
}

// Few messages that wait long in every segment hold nobody up.
func TestSegmentsThatRetryHoldNoPlaceInTheWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	b := newLargeBench(t, 300*200, 200)
	for n := range 300 {
		b.plans[n+1] = plan{retried: []int{17, 133}}
		if n%10 == 0 {
			b.plans[n+1] = plan{retried: []int{17, 133}, retry: 10 * time.Minute}
		}
	}
	b.At(5*time.Minute, func() {
		o := b.overview()
		require.Equal(t, 30, strings.Count(o.Large.Segments, "w"))
		require.Equal(t, 270, strings.Count(o.Large.Segments, "e"))
		require.Equal(t, 60, o.Status.Counts[message.Retrying])
		require.Equal(t, 300*200-60, o.Status.Counts[message.Sent])
	})
	res := b.run()
	require.Equal(t, 300*200, res.Status.Counts[message.Sent])
	require.Len(t, b.order, 300)
	require.Less(t, b.begun[300].Sub(flowtest.Start), 40*time.Second, "twenty windows of a second")
	require.Equal(t, strings.Repeat("e", 300), res.Large.Segments)
}

// Those of a segment may expire before others that are due earlier.
func TestMessagesExpireInTimeWhateverTheWindow(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{false, true} {
		b := newLargeBench(t, 2000, 100)
		for k := 1; k <= 20; k++ {
			b.plans[k] = plan{first: time.Hour, retried: []int{7}}
		}
		b.plans[1] = plan{retried: []int{7}, ttl: 30 * time.Minute, retry: 2 * time.Hour}
		b.plans[19] = plan{due: time.Second, ttl: 10 * time.Minute}
		b.plans[20] = plan{due: time.Second, first: time.Minute}
		if paused {
			b.At(time.Minute, func() { b.Env.SignalWorkflow(contract.ControlPause, nil) })
			b.At(2*time.Hour, func() { b.Env.SignalWorkflow(contract.ControlResume, nil) })
		}
		b.At(10*time.Minute+2*time.Second, func() {
			require.Equal(t, 100, b.Status().Counts[message.Expired])
			require.Equal(t, byte(message.SegmentWaiting), b.overview().Large.Segments[19], "it is still full")
		})
		b.At(30*time.Minute+2*time.Second, func() {
			require.Equal(t, 101, b.Status().Counts[message.Expired], "what waits to be tried again expires, too")
		})
		b.run()
		require.Equal(t, 601*time.Second, b.begun[19].Sub(flowtest.Start))
		require.Equal(t, paused, b.inputs[19].Paused)
	}
}

func TestALargeBatchStartsWhenItsFirstMessageIsDue(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 200, 100)
	b.plans[1] = plan{due: time.Hour}
	b.plans[2] = plan{due: 2 * time.Hour}
	b.At(time.Minute, func() {
		s := b.Status()
		require.Equal(t, message.BatchScheduled, s.State)
		require.Equal(t, 200, s.Counts[message.Scheduled])
		require.Nil(t, s.StartedAt)
	})
	b.At(time.Hour+500*time.Millisecond, func() {
		s := b.Status()
		require.Equal(t, message.BatchRunning, s.State)
		require.Equal(t, 100, s.Counts[message.Accepted])
	})
	res := b.run(func(m *message.Batch) { m.SendAfter = flowtest.Start.Add(time.Hour).UnixMilli() })
	require.Equal(t, flowtest.Start.Add(time.Hour), *res.Status.StartedAt)
}

func TestABatchWhoseStoreIsNotSharedFails(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 5000, 1000)
	b.rejected[9] = true
	b.open = func(int) (contract.OpenResult, error) { return contract.OpenResult{V: 1}, nil }
	res := b.run()
	require.Equal(t, message.BatchCompleted, res.Status.State)
	require.Equal(t, 4999, res.Status.Counts[message.Failed])
	require.Equal(t, 1, res.Status.Counts[message.Rejected])
	require.Equal(t, message.CodeStore, res.Large.Rest.Code)
	require.Contains(t, res.Large.Rest.Detail, "same store")
	require.Empty(t, b.order)
	require.Equal(t, 7, b.opens)
	require.WithinDuration(t, flowtest.Start.Add(6*time.Second), *res.Status.FinishedAt, time.Second)
}

func TestABatchWaitsForAStoreThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	found := b.open
	b.open = func(int) (contract.OpenResult, error) {
		if b.Env.Now().Before(flowtest.Start.Add(5 * time.Minute)) {
			return contract.OpenResult{}, errors.New("connection refused")
		}
		return found(0)
	}
	b.At(5*time.Second, func() { require.Empty(t, b.overview().Fault) })
	b.At(time.Minute, func() {
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
	b.open = func(int) (contract.OpenResult, error) {
		return contract.OpenResult{}, temporal.NewApplicationError("no such bucket", "x")
	}
	res := b.run(func(m *message.Batch) { m.TTL = time.Hour.Milliseconds() })
	require.Equal(t, 100, res.Status.Counts[message.Failed])
	require.Contains(t, res.Large.Rest.Detail, "no such bucket")
	require.WithinDuration(t, flowtest.Start.Add(time.Hour), *res.Status.FinishedAt, time.Minute)
}

// The store of the workers is another one, or it is not mounted: what starts the batch
// hears of it and takes it back, and where nobody does, it may come back.
func TestABatchWaitsForAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	found := b.open
	b.open = func(int) (contract.OpenResult, error) {
		if b.Env.Now().Before(flowtest.Start.Add(5 * time.Minute)) {
			return contract.OpenResult{V: 1, Away: true}, nil
		}
		return found(0)
	}
	b.At(5*time.Second, func() { require.False(t, b.overview().Missing) })
	b.At(8*time.Second, func() {
		require.True(t, b.overview().Missing)
		require.Contains(t, b.overview().Fault, "same store")
	})
	b.At(6*time.Minute, func() { require.False(t, b.overview().Missing) })
	res := b.run()
	require.Equal(t, 100, res.Status.Counts[message.Sent])
	require.NotEmpty(t, b.closed)
}

func TestAStoreIsAwaitedAsLongAsAMessageMayBeSent(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	b := newLargeBench(t, 200, 100)
	b.plans[2] = plan{due: 72 * time.Hour}
	found := b.open
	b.open = func(int) (contract.OpenResult, error) {
		if b.Env.Now().Before(flowtest.Start.Add(40 * time.Hour)) {
			return contract.OpenResult{}, errors.New("connection refused")
		}
		return found(0)
	}
	in := b.input()
	in.Large.Expires = flowtest.Start.Add(108 * time.Hour).UnixMilli()
	b.Env.ExecuteWorkflow(contract.SendBatchName, in)
	var res message.Result
	require.NoError(t, b.Env.GetWorkflowResult(&res))
	require.Equal(t, 100, res.Status.Counts[message.Sent])
	require.Equal(t, 100, res.Status.Counts[message.Expired])
}

func TestAManifestOfAnotherSizeIsRefused(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	b.open = func(int) (contract.OpenResult, error) {
		return contract.OpenResult{V: 1, Found: true, Segments: []message.Segment{{Count: 99}}}, nil
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
	b := newLargeBench(t, 600, 100)
	b.rejected[110] = true
	b.plans[2] = plan{killed: true}
	b.plans[3] = plan{unread: true}
	b.plans[4] = plan{lost: true}
	b.plans[5] = plan{retried: []int{0, 1}}
	b.plans[6] = plan{killed: true}
	b.untold = map[int]bool{6: true}
	res := b.run()
	require.Equal(t, "eexxex", res.Large.Segments)
	require.Equal(t, 200, res.Status.Counts[message.Sent])
	require.Equal(t, 100, res.Status.Counts[message.Expired])
	require.Equal(t, 100, res.Status.Counts[message.Unknown], "nobody knows what became of the last one")
	require.Equal(t, 99+100, res.Status.Counts[message.Failed])
	require.Equal(t, 1, res.Status.Counts[message.Rejected])
	require.Equal(t, message.UnrunOutcome{State: message.Failed, Code: "segment_lost", Detail: contract.DetailSegmentLost}, b.closedOut[0].Rest)
	require.Equal(t, "expired", res.Large.RestOf[3].Code)
	require.Equal(t, message.CodeStore, res.Large.RestOf[4].Code)
	require.Equal(t, message.Unknown, res.Large.RestOf[6].State)
	require.Equal(t, "lost", res.Large.RestOf[6].Code)
	require.Len(t, res.Large.RestOf, 3)
}

func TestNobodyCanTellWhatBecameOfASegment(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 200, 100)
	b.rejected[3] = true
	b.plans[1] = plan{killed: true}
	b.untold = map[int]bool{1: true}
	res := b.run()
	require.Equal(t, "xe", res.Large.Segments)
	require.Equal(t, message.Counts{message.Sent: 100, message.Unknown: 99, message.Rejected: 1}, *res.Status.Counts)
}

func TestASegmentThatIsKilledInACanceledBatchIsCanceled(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 200, 100)
	b.plans[2] = plan{flying: []int{0}, first: time.Minute, killed: true}
	b.Env.RegisterDelayedCallback(func() {
		b.Env.SignalWorkflow(contract.ControlCancel, message.CancelRequest{Reason: "enough"})
	}, time.Second)
	res := b.run()
	require.Equal(t, 200, res.Status.Counts.Total())
	require.Len(t, b.closedOut, 1)
	require.Equal(t, message.UnrunOutcome{State: message.Canceled, Code: "canceled", Detail: "enough"}, b.closedOut[0].Rest)
}

func TestMessagesThatAreHeldKeepNoSegmentFromBeginning(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 1_200, 20)
	for number := 1; number <= 60; number++ {
		b.plans[number] = plan{held: []int{0, 1, 2}, retry: time.Hour}
	}
	heard := b.Hears()
	b.Env.RegisterDelayedCallback(func() {
		st := b.overview().Status
		require.Equal(t, 60*17, st.Counts[message.Sent], "all that is not held")
		require.Equal(t, 60*3, st.Counts[message.Accepted])
		require.GreaterOrEqual(t, len(*heard), 2, "that it runs, and that some are held")
	}, 30*time.Minute)
	res := b.run(flowtest.WithCallbacks)
	require.Equal(t, 1_200, res.Status.Counts[message.Sent])
	require.Less(t, b.begun[60].Sub(flowtest.Start), 10*time.Second, "four windows of a second")
}

func TestALargeBatchTellsOfItsSegmentsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	signals := map[bool]int{}
	for _, asked := range []bool{false, true} {
		b := newLargeBench(t, 1_200, 200)
		for number := 1; number <= 6; number++ {
			b.plans[number] = plan{due: time.Duration(number) * time.Minute}
		}
		heard := b.Hears()
		b.run(flowtest.WithCallbacks, func(m *message.Batch) { m.Callbacks.Messages = asked })
		signals[asked] = len(*heard)
	}
	require.Equal(t, 2, signals[false], "that it runs, and that it has ended")
	require.GreaterOrEqual(t, signals[true], 7)
}
