package latereports_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows"
	"volley/workflows/contract"
)

// keeping is a run of KeepReports with a scripted router.
type keeping struct {
	*flowtest.Bench
	routed [][]message.Report
	slow   time.Duration // how long a call takes
	route  func(n int, in contract.ReportsInput) (contract.ReportsResult, error)
}

func newKeeping(t *testing.T) *keeping {
	k := &keeping{Bench: &flowtest.Bench{T: t, Env: flowtest.NewEnv(new(testsuite.WorkflowTestSuite))}}
	k.route = func(int, contract.ReportsInput) (contract.ReportsResult, error) {
		return contract.ReportsResult{V: 1}, nil
	}
	k.Env.SetStartTime(flowtest.Start)
	k.Env.SetTestTimeout(time.Minute)
	k.Env.RegisterWorkflowWithOptions(workflows.KeepReports, workflow.RegisterOptions{Name: contract.KeepReportsName})
	k.Env.RegisterActivityWithOptions(func(ctx context.Context, in contract.ReportsInput) (contract.ReportsResult, error) {
		k.Mu.Lock()
		defer k.Mu.Unlock()
		require.Equal(t, "batch-b", in.Batch)
		require.LessOrEqual(t, len(in.Reports), 5_000)
		k.routed = append(k.routed, in.Reports)
		res, err := k.route(len(k.routed), in)
		if k.slow == 0 {
			return res, err
		}
		token := activity.GetInfo(ctx).TaskToken
		k.At(k.slow, func() { require.NoError(t, k.Env.CompleteActivity(token, res, err)) })
		return res, activity.ErrResultPending
	}, activity.RegisterOptions{Name: contract.RouteName})
	return k
}

func (k *keeping) run(waiting ...contract.DeferredReport) {
	k.Env.ExecuteWorkflow(contract.KeepReportsName, contract.KeepReportsInput{V: 1, Batch: "batch-b", Waiting: waiting})
	require.True(k.T, k.Env.IsWorkflowCompleted())
}

func many(n int) []message.Report {
	all := make([]message.Report, n)
	for i := range all {
		all[i] = flowtest.Says(i, message.Delivered)
	}
	return all
}

func TestLateReportsAreBroughtToWhereTheyBelong(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.At(0, func() { k.Report(many(300)...); k.Report(many(300)...) })
	k.At(500*time.Millisecond, func() { k.Report(flowtest.Says(7, message.Undelivered)) })
	k.run()
	require.NoError(t, k.Env.GetWorkflowError())
	total := 0
	for _, r := range k.routed {
		total += len(r)
	}
	require.Equal(t, 601, total)
	require.LessOrEqual(t, len(k.routed), 4)
	require.Equal(t, flowtest.Start.Add(1500*time.Millisecond), k.Env.Now().UTC(), "it waits a second for more")
}

func TestAReportThatNobodyCanTakeIsTriedAgain(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.route = func(n int, in contract.ReportsInput) (contract.ReportsResult, error) {
		if n < 5 {
			return contract.ReportsResult{V: 1, Later: []int{len(in.Reports) - 1, 99}}, nil
		}
		return contract.ReportsResult{V: 1}, nil
	}
	k.At(0, func() { k.Report(flowtest.Says(0, message.Delivered), flowtest.Says(1, message.Delivered)) })
	k.run()
	require.NoError(t, k.Env.GetWorkflowError())
	require.Len(t, k.routed, 5)
	require.Equal(t, []message.Report{flowtest.Says(1, message.Delivered)}, k.routed[4])
}

func TestAReportIsGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.route = func(int, contract.ReportsInput) (contract.ReportsResult, error) {
		return contract.ReportsResult{V: 1, Later: []int{0}}, nil
	}
	k.At(0, func() { k.Report(flowtest.Says(0, message.Delivered)) })
	k.run()
	require.NoError(t, k.Env.GetWorkflowError())
	require.WithinRange(t, k.Env.Now(), flowtest.Start.Add(24*time.Hour), flowtest.Start.Add(24*time.Hour+10*time.Minute))
}

func TestAStoreThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.route = func(n int, _ contract.ReportsInput) (contract.ReportsResult, error) {
		if n < 4 {
			return contract.ReportsResult{}, errors.New("the store does not answer")
		}
		return contract.ReportsResult{V: 1}, nil
	}
	k.At(0, func() { k.Report(flowtest.Says(0, message.Delivered)) })
	k.run()
	require.NoError(t, k.Env.GetWorkflowError())
	require.Len(t, k.routed, 4)
}

func TestNeitherACancelNorNonsenseLosesReports(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.At(0, func() {
		k.Env.SignalWorkflow(contract.SignalReports, "nonsense")
		k.Env.CancelWorkflow()
		k.Report(flowtest.Says(0, message.Delivered))
	})
	k.run()
	require.NoError(t, k.Env.GetWorkflowError())
	require.Len(t, k.routed, 1)
	k = newKeeping(t)
	k.Env.ExecuteWorkflow(contract.KeepReportsName, contract.KeepReportsInput{V: 2})
	require.Error(t, k.Env.GetWorkflowError())
}

func TestAKeeperGoesOnInAnotherRun(t *testing.T) {
	t.Parallel()
	for name, grow := range map[string]func(k *keeping){
		"events":  func(k *keeping) { k.Env.SetCurrentHistoryLength(4_000) },
		"bytes":   func(k *keeping) { k.Env.SetCurrentHistorySize(4 << 20) },
		"signals": func(k *keeping) { k.nonsense(2_000) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeeping(t)
			k.route = func(int, contract.ReportsInput) (contract.ReportsResult, error) {
				return contract.ReportsResult{V: 1, Later: []int{0}}, nil
			}
			k.At(0, func() { k.Report(flowtest.Says(0, message.Delivered)) })
			k.At(time.Minute, func() { grow(k) })
			k.run()
			carried := k.carried()
			require.Len(t, carried, 1)
			next := newKeeping(t)
			next.run(carried...)
			require.NoError(t, next.Env.GetWorkflowError())
			require.Equal(t, [][]message.Report{{flowtest.Says(0, message.Delivered)}}, next.routed)
		})
	}
}

// nonsense brings signals one after the other; the environment holds a thousand at once.
func (k *keeping) nonsense(n int) {
	k.Env.SignalWorkflow(contract.SignalReports, "nonsense")
	if n > 1 {
		k.At(time.Millisecond, func() { k.nonsense(n - 1) })
	}
}

// carried is what a run that went on as another one has given to that.
func (k *keeping) carried() []contract.DeferredReport {
	k.T.Helper()
	var again *workflow.ContinueAsNewError
	require.ErrorAs(k.T, k.Env.GetWorkflowError(), &again)
	var in contract.KeepReportsInput
	require.NoError(k.T, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	size := 0
	for _, p := range again.Input.GetPayloads() {
		size += len(p.GetData())
	}
	require.Less(k.T, size, 3<<19, "it fits into one payload")
	return in.Waiting
}

func TestWhatCannotBeCarriedIsRoutedFirst(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	long := many(500)
	for i := range long {
		long[i].State, long[i].Detail = message.Undelivered, strings.Repeat("<", message.MaxDetail)
	}
	k.At(0, func() {
		k.Env.SetCurrentHistorySize(5 << 20)
		for range 4 {
			k.Report(long...)
		}
	})
	k.run()
	routed := 0
	for _, some := range k.routed {
		raw, err := json.Marshal(some)
		require.NoError(t, err)
		require.Less(t, len(raw), 3<<19, "a call fits into one payload, too")
		routed += len(some)
	}
	require.Equal(t, 2_000, routed+len(k.carried()))
	require.NotEmpty(t, k.carried())
}

func TestAFullHistoryGivesUpWhatItCannotCarry(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	k := newKeeping(t)
	k.route = func(_ int, in contract.ReportsInput) (contract.ReportsResult, error) {
		return contract.ReportsResult{V: 1, Later: slices.Collect(upTo(len(in.Reports)))}, nil
	}
	k.At(0, func() {
		for range 20 {
			k.Report(many(500)...)
		}
	})
	k.At(time.Minute, func() { k.Env.SetCurrentHistorySize(5 << 20) })
	k.At(time.Hour, func() { k.Env.SetCurrentHistorySize(47 << 20) })
	k.run()
	require.WithinRange(t, k.Env.Now(), flowtest.Start.Add(time.Hour), flowtest.Start.Add(time.Hour+5*time.Minute))
	require.Greater(t, len(k.carried()), 3_000)
}

func upTo(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// history counts what a run's history has, a little more than the server's.
type history struct{ events, bytes, signals int }

func (h *history) add(k *keeping, events int, what any) {
	raw, err := json.Marshal(what)
	require.NoError(k.T, err)
	h.events, h.bytes = h.events+events, h.bytes+len(raw)+200*events
	require.Less(k.T, h.events, 51_200)
	require.Less(k.T, h.bytes, 50<<20)
	require.Less(k.T, h.signals, 10_000)
	k.Env.SetCurrentHistoryLength(h.events)
	k.Env.SetCurrentHistorySize(h.bytes)
}

// Reports come four times as fast as they are routed, so that no run has an idle
// moment. What the starter would refuse comes again.
func TestAKeeperThatIsNeverIdleReachesNoLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const all = 400 // signals
	given, routed, refused, runs := 0, 0, 0, 0
	for carried := []contract.DeferredReport(nil); ; runs++ {
		require.Less(t, runs, 50)
		k, h := newKeeping(t), &history{}
		k.Env.SetTestTimeout(2 * time.Minute)
		h.add(k, 5, carried)
		k.route = func(_ int, in contract.ReportsInput) (contract.ReportsResult, error) {
			k.Env.RegisterDelayedCallback(func() { // this is the activity's goroutine
				h.add(k, 6, in)
				routed += len(in.Reports)
			}, 0)
			return contract.ReportsResult{V: 1}, nil
		}
		k.slow = 2 * time.Second
		for i := range 600 {
			k.At(time.Duration(i)*50*time.Millisecond, func() {
				switch {
				case given == all || k.Env.IsWorkflowCompleted():
				case h.events >= contract.MaxReportEvents || h.bytes >= contract.MaxReportBytes:
					refused++
				default:
					given++
					h.signals++
					h.add(k, 4, contract.Reports{V: 1, Reports: many(message.MaxReports)})
					k.Report(many(message.MaxReports)...)
				}
			})
		}
		k.run(carried...)
		if err := k.Env.GetWorkflowError(); err == nil {
			break
		}
		carried = k.carried()
	}
	require.Equal(t, all*message.MaxReports, routed)
	require.Positive(t, refused)
	require.Greater(t, runs, 1)
}
