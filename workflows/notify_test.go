package workflows_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// notice is a test environment around one Notify whose deliveries are scripted.
type notice struct {
	env     *testsuite.TestWorkflowEnvironment
	deliver func(n int, in activities.DeliverInput) activities.DeliverResult
	calls   []activities.DeliverInput
	at      []time.Duration
}

func newNotice(t *testing.T, deliver func(n int, in activities.DeliverInput) activities.DeliverResult) *notice {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	n := &notice{env: suite.NewTestWorkflowEnvironment(), deliver: deliver}
	n.env.SetTestTimeout(time.Minute)
	n.env.SetStartTime(start)
	n.env.RegisterWorkflowWithOptions(workflows.Notify, workflow.RegisterOptions{Name: workflows.NotifyName})
	n.env.RegisterActivityWithOptions(n.onDeliver, activity.RegisterOptions{Name: workflows.DeliverName})
	return n
}

func (n *notice) onDeliver(_ context.Context, in activities.DeliverInput) (activities.DeliverResult, error) {
	n.calls = append(n.calls, in)
	n.at = append(n.at, n.env.Now().Sub(start))
	res := n.deliver(len(n.calls), in)
	res.V = 1
	return res, nil
}

func (n *notice) run(t *testing.T, in workflows.NotifyInput) workflows.NotifyResult {
	t.Helper()
	n.env.ExecuteWorkflow(workflows.NotifyName, in)
	require.True(t, n.env.IsWorkflowCompleted())
	require.NoError(t, n.env.GetWorkflowError())
	var res workflows.NotifyResult
	require.NoError(t, n.env.GetWorkflowResult(&res))
	return res
}

func notifyInput() workflows.NotifyInput {
	return workflows.NotifyInput{
		V: 1, ID: "b", Tenant: "acme", Dialect: "volley", Total: 3,
		Callbacks: message.Callbacks{URL: "https://example.com", Format: "volley"},
	}
}

func TestNotifyLooksWhenItIsToldAndEndsWithTheBatch(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(n int, in activities.DeliverInput) activities.DeliverResult {
		in.Cursor.Rev = int64(n)
		return activities.DeliverResult{Cursor: in.Cursor, Told: n, Ended: n == 3}
	})
	for _, at := range []time.Duration{10 * time.Second, 20 * time.Second} {
		n.env.RegisterDelayedCallback(func() { n.env.SignalWorkflow(workflows.SignalChanged, nil) }, at)
	}
	res := n.run(t, notifyInput())
	require.Equal(t, workflows.NotifyResult{V: 1, Cursor: activities.Cursor{Rev: 3}, Told: 6}, res)
	require.Equal(t, []time.Duration{0, 10 * time.Second, 20 * time.Second}, n.at)
	require.EqualValues(t, 2, n.calls[2].Cursor.Rev)
	require.Equal(t, "acme", n.calls[0].Tenant)
}

func TestNotifyLooksByItselfEverMoreSeldom(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(n int, in activities.DeliverInput) activities.DeliverResult {
		return activities.DeliverResult{Ended: n == 10}
	})
	n.run(t, notifyInput())
	var gaps []time.Duration
	for i := 1; i < len(n.at); i++ {
		gaps = append(gaps, n.at[i]-n.at[i-1])
	}
	m := time.Minute
	require.Equal(t, []time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, 60 * m, 60 * m, 60 * m}, gaps)
}

func TestWhatIsNotAcceptedForADayIsGivenUp(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(_ int, in activities.DeliverInput) activities.DeliverResult {
		if in.GiveUp {
			in.Cursor.Rev = 9
			return activities.DeliverResult{Cursor: in.Cursor, GivenUp: 3, Ended: true}
		}
		return activities.DeliverResult{Cursor: in.Cursor, Failure: &activities.DeliverFailure{Code: "http_500"}}
	})
	res := n.run(t, notifyInput())
	require.Equal(t, workflows.NotifyResult{V: 1, Cursor: activities.Cursor{Rev: 9}, GivenUp: 3}, res)
	last := len(n.at) - 1
	require.Equal(t, 24*time.Hour, n.at[last])
	require.Greater(t, n.at[last-1], 23*time.Hour)
	longest := 5 * time.Minute
	for i := 1; i <= last; i++ {
		gap := n.at[i] - n.at[i-1]
		require.LessOrEqual(t, gap, longest)
		if i > 1 && i < 9 {
			require.Greater(t, gap, n.at[i-1]-n.at[i-2], "it waits longer each time")
		}
	}
	require.LessOrEqual(t, n.at[1], time.Second)
}

func TestOnlyLaterChangesAreToldAfterSomeWereGivenUp(t *testing.T) {
	t.Parallel()
	down := true
	n := newNotice(t, func(_ int, in activities.DeliverInput) activities.DeliverResult {
		switch {
		case in.GiveUp:
			down = false
			in.Cursor.Rev = 5
			return activities.DeliverResult{Cursor: in.Cursor, GivenUp: 2}
		case down:
			return activities.DeliverResult{Cursor: in.Cursor, Failure: &activities.DeliverFailure{Code: "timeout"}}
		}
		require.EqualValues(t, 5, in.Cursor.Rev)
		in.Cursor.Rev = 6
		return activities.DeliverResult{Cursor: in.Cursor, Told: 1, Ended: true}
	})
	n.env.RegisterDelayedCallback(func() { n.env.SignalWorkflow(workflows.SignalChanged, nil) }, 25*time.Hour)
	res := n.run(t, notifyInput())
	require.Equal(t, workflows.NotifyResult{V: 1, Cursor: activities.Cursor{Rev: 6}, Told: 1, GivenUp: 2}, res)
}

func TestNotifyWaitsAsLongAsTheEndpointAsks(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(n int, _ activities.DeliverInput) activities.DeliverResult {
		if n == 1 {
			return activities.DeliverResult{Failure: &activities.DeliverFailure{Code: "http_429", RetryAfter: 7_200_000}}
		}
		return activities.DeliverResult{Ended: true}
	})
	n.env.RegisterDelayedCallback(func() { n.env.SignalWorkflow(workflows.SignalChanged, nil) }, time.Minute)
	n.run(t, notifyInput())
	require.Equal(t, []time.Duration{0, 2 * time.Hour}, n.at)
}

func TestAnEndpointThatIsGoneHearsNoMore(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(int, activities.DeliverInput) activities.DeliverResult {
		return activities.DeliverResult{Told: 2, Failure: &activities.DeliverFailure{Code: "http_410", Gone: true}}
	})
	require.Equal(t, workflows.NotifyResult{V: 1, Told: 2, Gone: true}, n.run(t, notifyInput()))
}

func TestNotifyGoesOnWithItsCursor(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(_ int, in activities.DeliverInput) activities.DeliverResult {
		return activities.DeliverResult{Cursor: in.Cursor, Told: 1, Ended: true}
	})
	in := notifyInput()
	in.Cursor = activities.Cursor{Rev: 7, Started: true, State: message.BatchCompleted, Told: 2}
	in.Told, in.GivenUp = 5, 1
	res := n.run(t, in)
	require.Equal(t, in.Cursor, n.calls[0].Cursor)
	require.Equal(t, workflows.NotifyResult{V: 1, Cursor: in.Cursor, Told: 6, GivenUp: 1}, res)
}

func TestALongNotifyContinuesAsNew(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(_ int, in activities.DeliverInput) activities.DeliverResult {
		in.Cursor.Rev = 3
		return activities.DeliverResult{Cursor: in.Cursor, Told: 4, More: true}
	})
	n.env.SetCurrentHistoryLength(4_000)
	n.env.ExecuteWorkflow(workflows.NotifyName, notifyInput())
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, n.env.GetWorkflowError(), &again)
	require.Len(t, n.calls, 1)
}

func TestASignalThatComesWithTheEndIsHeard(t *testing.T) {
	t.Parallel()
	var n *notice
	n = newNotice(t, func(k int, _ activities.DeliverInput) activities.DeliverResult {
		if k == 1 {
			n.env.SignalWorkflow(workflows.SignalChanged, nil)
		}
		return activities.DeliverResult{Told: 1, Ended: true}
	})
	require.Equal(t, 2, n.run(t, notifyInput()).Told)
}

// hears registers a Notify that outlives the batch by weeks, and notes when it is told
// of changes. Signals to one that no batch has started count as well.
func (b *bench) hears() *[]time.Time {
	var heard []time.Time
	b.env.RegisterWorkflowWithOptions(func(ctx workflow.Context, in workflows.NotifyInput) error {
		require.Equal(b.t, "batch-b~notify", workflow.GetInfo(ctx).WorkflowExecution.ID)
		require.Equal(b.t, "b", in.ID)
		b.notifies++
		ch := workflow.GetSignalChannel(ctx, workflows.SignalChanged)
		for {
			if ok, _ := ch.ReceiveWithTimeout(ctx, 1_000*time.Hour, nil); !ok {
				return nil
			}
			heard = append(heard, workflow.Now(ctx))
		}
	}, workflow.RegisterOptions{Name: workflows.NotifyName})
	b.env.OnSignalExternalWorkflow("default-test-namespace", "batch-b~notify", "", workflows.SignalChanged, nil).
		Return(func(string, string, string, string, any) error {
			heard = append(heard, time.Time{})
			return nil
		})
	return &heard
}

func withCallbacks(b *message.Batch) {
	b.Callbacks = &message.Callbacks{URL: "https://example.com", Format: "volley"}
}

func TestABatchTellsItsNotifyOnceASecondAndIsNotHeldOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	heard := b.hears()
	res := b.run(batch(300, withCallbacks, func(m *message.Batch) {
		for i := range m.Messages {
			m.Messages[i].Due = start.Add(time.Duration(i) * 50 * time.Millisecond).UnixMilli()
		}
	}))
	require.Equal(t, 300, res.Status.Counts[message.Sent])
	require.Greater(t, len(*heard), 10)
	require.Equal(t, 1, b.notifies)
	for i := 1; i < len(*heard)-1; i++ {
		require.GreaterOrEqual(t, (*heard)[i].Sub((*heard)[i-1]), time.Second)
	}
	require.False(t, (*heard)[len(*heard)-1].Before(*res.Status.FinishedAt), "the last signal tells of the end")
}

func TestABatchEndsAlsoWhenNobodyHearsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.env.RegisterWorkflowWithOptions(func(workflow.Context, workflows.NotifyInput) error { return nil },
		workflow.RegisterOptions{Name: workflows.NotifyName})
	res := b.run(batch(3, withCallbacks))
	require.Equal(t, message.BatchCompleted, res.Status.State)
}

func TestABatchWithoutCallbacksHasNoNotify(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	heard := b.hears()
	b.run(batch(3))
	require.Empty(t, *heard)
	require.Zero(t, b.notifies)
}

func TestARunThatGoesOnStartsNoSecondNotify(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	heard := b.hears()
	in := batch(2, withCallbacks)
	in.State = &workflows.State{Rev: 4, Records: []message.Record{
		{State: message.Scheduled, Due: start.UnixMilli(), Next: start.UnixMilli(), Expires: start.Add(time.Hour).UnixMilli()},
		{State: message.Scheduled, Due: start.UnixMilli(), Next: start.UnixMilli(), Expires: start.Add(time.Hour).UnixMilli()},
	}}
	b.run(in)
	require.Zero(t, b.notifies)
	require.NotEmpty(t, *heard)
}

func TestALargeBatchTellsOfItsSegmentsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	signals := map[bool]int{}
	for _, asked := range []bool{false, true} {
		b := newLargeBench(t, 1_200, 200)
		for number := 1; number <= 6; number++ {
			b.plans[number] = plan{due: time.Duration(number) * time.Minute}
		}
		heard := b.hears()
		b.run(withCallbacks, func(m *message.Batch) { m.Callbacks.Messages = asked })
		signals[asked] = len(*heard)
	}
	require.Equal(t, 2, signals[false], "that it runs, and that it has ended")
	require.GreaterOrEqual(t, signals[true], 7)
}

// These texts stand in histories: they may gain fields and lose none.
func TestShapesOfNotifyDoNotChange(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(workflows.NotifyInput{
		V: 1, ID: "b", Tenant: "acme", Dialect: "volley", Total: 3, Large: true, Cursor: activities.Cursor{Rev: 7},
		Callbacks: message.Callbacks{URL: "https://example.com"}, Told: 2, GivenUp: 1, Failing: &workflows.Failing{Since: 5, Tries: 6},
	})
	require.NoError(t, err)
	require.Equal(t, `{"v":1,"id":"b","tenant":"acme","dialect":"volley","total":3,"large":true,"callbacks":{"url":"https://example.com"},`+
		`"cursor":{"rev":7},"told":2,"givenUp":1,"failing":{"since":5,"tries":6}}`, string(raw))
	raw, err = json.Marshal(workflows.NotifyResult{V: 1, Cursor: activities.Cursor{Rev: 7}, Told: 2, Gone: true})
	require.NoError(t, err)
	require.Equal(t, `{"v":1,"cursor":{"rev":7},"told":2,"givenUp":0,"gone":true}`, string(raw))
	require.Equal(t, "batch-b~notify", workflows.NotifyID("batch-b"))
	require.Equal(t, "volley-notify", workflows.NotifyQueue(workflows.TaskQueue))
}
