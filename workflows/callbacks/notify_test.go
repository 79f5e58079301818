package callbacks_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows"
	"volley/workflows/contract"
)

// notice is a test environment around one Notify whose deliveries are scripted.
type notice struct {
	env     *testsuite.TestWorkflowEnvironment
	deliver func(n int, in contract.DeliverInput) contract.DeliverResult
	calls   []contract.DeliverInput
	at      []time.Duration
}

func newNotice(t *testing.T, deliver func(n int, in contract.DeliverInput) contract.DeliverResult) *notice {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	n := &notice{env: flowtest.NewEnv(&suite), deliver: deliver}
	n.env.SetTestTimeout(time.Minute)
	n.env.SetStartTime(flowtest.Start)
	n.env.RegisterWorkflowWithOptions(workflows.Notify, workflow.RegisterOptions{Name: contract.NotifyName})
	n.env.RegisterActivityWithOptions(n.onDeliver, activity.RegisterOptions{Name: contract.DeliverName})
	return n
}

func (n *notice) onDeliver(_ context.Context, in contract.DeliverInput) (contract.DeliverResult, error) {
	n.calls = append(n.calls, in)
	n.at = append(n.at, n.env.Now().Sub(flowtest.Start))
	res := n.deliver(len(n.calls), in)
	res.V = 1
	return res, nil
}

func (n *notice) run(t *testing.T, in contract.NotifyInput) contract.NotifyResult {
	t.Helper()
	n.env.ExecuteWorkflow(contract.NotifyName, in)
	require.True(t, n.env.IsWorkflowCompleted())
	require.NoError(t, n.env.GetWorkflowError())
	var res contract.NotifyResult
	require.NoError(t, n.env.GetWorkflowResult(&res))
	return res
}

func notifyInput() contract.NotifyInput {
	return contract.NotifyInput{
		V: 1, ID: "b", Tenant: "acme", Dialect: "volley", Total: 3,
		Callbacks: message.Callbacks{URL: "https://example.com", Format: "volley"},
	}
}

func TestNotifyLooksWhenItIsToldAndEndsWithTheBatch(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(n int, in contract.DeliverInput) contract.DeliverResult {
		in.Cursor.Rev = int64(n)
		return contract.DeliverResult{Cursor: in.Cursor, Told: n, Ended: n == 3}
	})
	for _, at := range []time.Duration{10 * time.Second, 20 * time.Second} {
		n.env.RegisterDelayedCallback(func() { n.env.SignalWorkflow(contract.SignalChanged, nil) }, at)
	}
	res := n.run(t, notifyInput())
	require.Equal(t, contract.NotifyResult{V: 1, Cursor: contract.Cursor{Rev: 3}, Told: 6}, res)
	require.Equal(t, []time.Duration{0, 10 * time.Second, 20 * time.Second}, n.at)
	require.EqualValues(t, 2, n.calls[2].Cursor.Rev)
	require.Equal(t, "acme", n.calls[0].Tenant)
}

func TestNotifyLooksByItselfEverMoreSeldom(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(n int, in contract.DeliverInput) contract.DeliverResult {
		return contract.DeliverResult{Ended: n == 10}
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
	n := newNotice(t, func(_ int, in contract.DeliverInput) contract.DeliverResult {
		if in.GiveUp {
			in.Cursor.Rev = 9
			return contract.DeliverResult{Cursor: in.Cursor, GivenUp: 3, Ended: true}
		}
		return contract.DeliverResult{Cursor: in.Cursor, Failure: &contract.DeliverFailure{Code: "http_500"}}
	})
	res := n.run(t, notifyInput())
	require.Equal(t, contract.NotifyResult{V: 1, Cursor: contract.Cursor{Rev: 9}, GivenUp: 3}, res)
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
	n := newNotice(t, func(_ int, in contract.DeliverInput) contract.DeliverResult {
		switch {
		case in.GiveUp:
			down = false
			in.Cursor.Rev = 5
			return contract.DeliverResult{Cursor: in.Cursor, GivenUp: 2}
		case down:
			return contract.DeliverResult{Cursor: in.Cursor, Failure: &contract.DeliverFailure{Code: "timeout"}}
		}
		require.EqualValues(t, 5, in.Cursor.Rev)
		in.Cursor.Rev = 6
		return contract.DeliverResult{Cursor: in.Cursor, Told: 1, Ended: true}
	})
	n.env.RegisterDelayedCallback(func() { n.env.SignalWorkflow(contract.SignalChanged, nil) }, 25*time.Hour)
	res := n.run(t, notifyInput())
	require.Equal(t, contract.NotifyResult{V: 1, Cursor: contract.Cursor{Rev: 6}, Told: 1, GivenUp: 2}, res)
}

func TestNotifyWaitsAsLongAsTheEndpointAsks(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(n int, _ contract.DeliverInput) contract.DeliverResult {
		if n == 1 {
			return contract.DeliverResult{Failure: &contract.DeliverFailure{Code: "http_429", RetryAfter: 7_200_000}}
		}
		return contract.DeliverResult{Ended: true}
	})
	n.env.RegisterDelayedCallback(func() { n.env.SignalWorkflow(contract.SignalChanged, nil) }, time.Minute)
	n.run(t, notifyInput())
	require.Equal(t, []time.Duration{0, 2 * time.Hour}, n.at)
}

func TestAnEndpointThatIsGoneHearsNoMore(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(int, contract.DeliverInput) contract.DeliverResult {
		return contract.DeliverResult{Told: 2, Failure: &contract.DeliverFailure{Code: "http_410", Gone: true}}
	})
	require.Equal(t, contract.NotifyResult{V: 1, Told: 2, Gone: true}, n.run(t, notifyInput()))
}

func TestAnAddressThatCanNeverBeReachedIsTriedOnce(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(int, contract.DeliverInput) contract.DeliverResult {
		return contract.DeliverResult{Failure: &contract.DeliverFailure{Code: "private_address", Never: true}}
	})
	require.Equal(t, contract.NotifyResult{V: 1, Never: true}, n.run(t, notifyInput()))
	require.Len(t, n.calls, 1)
}

func TestNotifyGoesOnWithItsCursor(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(_ int, in contract.DeliverInput) contract.DeliverResult {
		return contract.DeliverResult{Cursor: in.Cursor, Told: 1, Ended: true}
	})
	in := notifyInput()
	in.Cursor = contract.Cursor{Rev: 7, Started: true, State: message.BatchCompleted, Told: 2}
	in.Told, in.GivenUp = 5, 1
	res := n.run(t, in)
	require.Equal(t, in.Cursor, n.calls[0].Cursor)
	require.Equal(t, contract.NotifyResult{V: 1, Cursor: in.Cursor, Told: 6, GivenUp: 1}, res)
}

func TestALongNotifyContinuesAsNew(t *testing.T) {
	t.Parallel()
	n := newNotice(t, func(_ int, in contract.DeliverInput) contract.DeliverResult {
		in.Cursor.Rev = 3
		return contract.DeliverResult{Cursor: in.Cursor, Told: 4, More: true}
	})
	n.env.SetCurrentHistoryLength(4_000)
	n.env.ExecuteWorkflow(contract.NotifyName, notifyInput())
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, n.env.GetWorkflowError(), &again)
	require.Len(t, n.calls, 1)
}

func TestASignalThatComesWithTheEndIsHeard(t *testing.T) {
	t.Parallel()
	var n *notice
	n = newNotice(t, func(k int, _ contract.DeliverInput) contract.DeliverResult {
		if k == 1 {
			n.env.SignalWorkflow(contract.SignalChanged, nil)
		}
		return contract.DeliverResult{Told: 1, Ended: true}
	})
	require.Equal(t, 2, n.run(t, notifyInput()).Told)
}
