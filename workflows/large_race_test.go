package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// slowLocate makes the store take two seconds to say what it found when it was
// asked.
func (b *largeBench) slowLocate() {
	b.env.OnActivity(workflows.LocateName, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, in activities.LocateInput) (activities.LocateResult, error) {
			res, err := b.onLocate(ctx, in)
			require.NoError(b.t, err)
			token := activity.GetInfo(ctx).TaskToken
			b.env.RegisterDelayedCallback(func() { require.NoError(b.t, b.env.CompleteActivity(token, res, nil)) }, 2*time.Second)
			return res, activity.ErrResultPending
		})
}

// A segment ends while the store looks for its messages: what it had sent is not
// canceled, and what it left is.
func TestACancelThatFindsASegmentEndingTellsTheTruth(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]message.CancelRequest{
		"of single messages": {Messages: ids(3, 5, 7)},
		"of all":             {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newLargeBench(t, 200, 100)
			b.rejected[7] = true
			b.plans[1] = plan{first: time.Minute, left: []int{3}, deaf: true}
			b.plans[2] = plan{first: 10 * time.Minute, flying: []int{1}}
			b.slowLocate()
			total := 3
			if q.Messages == nil {
				total = 200
			}
			b.at(59*time.Second, func() {
				b.cancel(q, total, func(r message.CancelResult) {
					require.Contains(t, r.Canceled, id(3))
					require.Contains(t, r.Sent, id(5))
					require.Contains(t, r.Ended, id(7))
				})
			})
			res := b.run()
			if q.Messages != nil {
				require.Equal(t, 1, res.Status.Counts[message.Canceled])
				require.Equal(t, 198, res.Status.Counts[message.Sent])
				require.Equal(t, []int{3}, b.inputs[3].Canceled)
			}
		})
	}
}

// A segment ends while the store looks a second time for messages of another one that
// ended during the first look.
func TestACancelThatFindsASegmentEndingDuringASecondLookTellsTheTruth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		q    message.CancelRequest
		back time.Duration // how long before the look it asks
	}{
		"of single messages": {q: message.CancelRequest{Messages: ids(3, 5, 7, 105)}},
		"of all":             {back: 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newLargeBench(t, 200, 100)
			b.rejected[7] = true
			b.plans[1] = plan{first: 62 * time.Second, left: []int{3}, deaf: true}
			b.plans[2] = plan{first: 60 * time.Second, deaf: true}
			b.slowLocate()
			total := 4
			if c.q.Messages == nil {
				total = 200
			}
			b.at(59500*time.Millisecond-c.back, func() {
				b.cancel(c.q, total, func(r message.CancelResult) {
					require.Equal(t, ids(3), r.Canceled)
					require.Subset(t, r.Sent, ids(5, 105))
					require.Equal(t, ids(7), r.Ended)
				})
			})
			res := b.run()
			require.Equal(t, 1, res.Status.Counts[message.Canceled])
			require.Equal(t, 198, res.Status.Counts[message.Sent])
		})
	}
}

func TestASignalCancelsWhatASegmentLeavesBeforeItHeard(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 200, 100)
	b.plans[1] = plan{first: time.Minute, left: []int{3}, deaf: true}
	b.plans[2] = plan{first: 10 * time.Minute}
	b.at(55*time.Second, func() {
		b.env.SignalWorkflow(workflows.ControlCancel, message.CancelRequest{Messages: ids(3), Reason: "stop it"})
	})
	res := b.run()
	require.Equal(t, 1, res.Status.Counts[message.Canceled])
	require.Equal(t, []string{"stop it"}, b.inputs[3].Reasons)
}

func TestARetryThatIsLostKeepsWhatWasCanceledBefore(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 200, 100)
	b.plans[1] = plan{left: []int{3, 4}}
	b.plans[2] = plan{first: 10 * time.Minute}
	b.plans[3] = plan{lost: true}
	b.at(10*time.Second, func() {
		b.cancel(message.CancelRequest{Messages: ids(3), Reason: "stop it"}, 1, func(r message.CancelResult) { require.Equal(t, ids(3), r.Canceled) })
	})
	b.at(5*time.Minute, func() {
		b.cancel(message.CancelRequest{Messages: ids(3, 4)}, 2, func(r message.CancelResult) { require.Equal(t, ids(3, 4), r.Ended) })
	})
	res := b.run()
	require.Equal(t, 1, res.Status.Counts[message.Canceled])
	require.Equal(t, 1, res.Status.Counts[message.Failed])
	require.Equal(t, []int{3}, res.Large.Canceled)
	require.Equal(t, message.Failed, res.Large.RestOf[3].State)
}

func TestABatchRefusesToRememberMoreNamesThanItCanTell(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 16_000, 1000)
	var all []int
	for i := range 15_001 {
		all = append(all, i)
	}
	b.at(time.Minute, func() {
		update(b.bench, workflows.ControlCancel, message.CancelRequest{Messages: ids(all...)}, func(_ message.CancelResult, err error) {
			require.ErrorContains(t, err, "remembers 15000")
		})
		b.cancel(message.CancelRequest{Messages: ids(all[:15_000]...)}, 15_000, func(r message.CancelResult) { require.Len(t, r.Canceled, 15_000) })
	})
	b.at(2*time.Minute, func() {
		b.env.SignalWorkflow(workflows.ControlResume, nil)
	})
	b.at(time.Millisecond, func() { b.env.SignalWorkflow(workflows.ControlPause, nil) })
	b.open = func(n int) (activities.OpenResult, error) {
		if n == 1 {
			return activities.OpenResult{V: 1}, nil
		}
		return activities.OpenResult{V: 1, Found: true, Segments: b.manifest()}, nil
	}
	res := b.run()
	require.Equal(t, 15_000, res.Status.Counts[message.Canceled])
	require.Equal(t, 1000, res.Status.Counts[message.Sent])
}
