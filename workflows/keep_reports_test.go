package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// keeping is a run of KeepReports with a scripted router.
type keeping struct {
	*bench
	routed [][]message.Report
	route  func(n int, in activities.ReportsInput) (activities.ReportsResult, error)
}

func newKeeping(t *testing.T) *keeping {
	k := &keeping{bench: &bench{t: t, env: new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()}}
	k.route = func(int, activities.ReportsInput) (activities.ReportsResult, error) {
		return activities.ReportsResult{V: 1}, nil
	}
	k.env.SetStartTime(start)
	k.env.SetTestTimeout(time.Minute)
	k.env.RegisterWorkflowWithOptions(workflows.KeepReports, workflow.RegisterOptions{Name: workflows.KeepReportsName})
	k.env.RegisterActivityWithOptions(func(_ context.Context, in activities.ReportsInput) (activities.ReportsResult, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		require.Equal(t, "batch-b", in.Batch)
		require.LessOrEqual(t, len(in.Reports), message.MaxReports)
		k.routed = append(k.routed, in.Reports)
		return k.route(len(k.routed), in)
	}, activity.RegisterOptions{Name: workflows.RouteName})
	return k
}

func (k *keeping) run(waiting ...workflows.WaitingReport) {
	k.env.ExecuteWorkflow(workflows.KeepReportsName, workflows.KeepReportsInput{V: 1, Batch: "batch-b", Waiting: waiting})
	require.True(k.t, k.env.IsWorkflowCompleted())
}

func many(n int) []message.Report {
	all := make([]message.Report, n)
	for i := range all {
		all[i] = says(i, message.Delivered)
	}
	return all
}

func TestLateReportsAreBroughtToWhereTheyBelong(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.at(0, func() { k.report(many(300)...); k.report(many(300)...) })
	k.at(500*time.Millisecond, func() { k.report(says(7, message.Undelivered)) })
	k.run()
	require.NoError(t, k.env.GetWorkflowError())
	total := 0
	for _, r := range k.routed {
		total += len(r)
	}
	require.Equal(t, 601, total)
	require.LessOrEqual(t, len(k.routed), 4)
	require.Equal(t, start.Add(1500*time.Millisecond), k.env.Now().UTC(), "it waits a second for more")
}

func TestAReportThatNobodyCanTakeIsTriedAgain(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.route = func(n int, in activities.ReportsInput) (activities.ReportsResult, error) {
		if n < 5 {
			return activities.ReportsResult{V: 1, Later: []int{len(in.Reports) - 1, 99}}, nil
		}
		return activities.ReportsResult{V: 1}, nil
	}
	k.at(0, func() { k.report(says(0, message.Delivered), says(1, message.Delivered)) })
	k.run()
	require.NoError(t, k.env.GetWorkflowError())
	require.Len(t, k.routed, 5)
	require.Equal(t, []message.Report{says(1, message.Delivered)}, k.routed[4])
}

func TestAReportIsGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.route = func(int, activities.ReportsInput) (activities.ReportsResult, error) {
		return activities.ReportsResult{V: 1, Later: []int{0}}, nil
	}
	k.at(0, func() { k.report(says(0, message.Delivered)) })
	k.run()
	require.NoError(t, k.env.GetWorkflowError())
	require.WithinRange(t, k.env.Now(), start.Add(24*time.Hour), start.Add(24*time.Hour+10*time.Minute))
}

func TestAStoreThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.route = func(n int, _ activities.ReportsInput) (activities.ReportsResult, error) {
		if n < 4 {
			return activities.ReportsResult{}, errors.New("the store does not answer")
		}
		return activities.ReportsResult{V: 1}, nil
	}
	k.at(0, func() { k.report(says(0, message.Delivered)) })
	k.run()
	require.NoError(t, k.env.GetWorkflowError())
	require.Len(t, k.routed, 4)
}

func TestNeitherACancelNorNonsenseLosesReports(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.at(0, func() {
		k.env.SignalWorkflow(workflows.SignalReports, "nonsense")
		k.env.CancelWorkflow()
		k.report(says(0, message.Delivered))
	})
	k.run()
	require.NoError(t, k.env.GetWorkflowError())
	require.Len(t, k.routed, 1)
	k = newKeeping(t)
	k.env.ExecuteWorkflow(workflows.KeepReportsName, workflows.KeepReportsInput{V: 2})
	require.Error(t, k.env.GetWorkflowError())
}

func TestAKeeperGoesOnInAnotherRun(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.route = func(int, activities.ReportsInput) (activities.ReportsResult, error) {
		return activities.ReportsResult{V: 1, Later: []int{0}}, nil
	}
	k.at(0, func() { k.report(says(0, message.Delivered)) })
	k.at(time.Minute, func() { k.env.SetCurrentHistoryLength(9_000) })
	k.run()
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, k.env.GetWorkflowError(), &again)
	var in workflows.KeepReportsInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	require.Len(t, in.Waiting, 1)
	next := newKeeping(t)
	next.run(in.Waiting...)
	require.NoError(t, next.env.GetWorkflowError())
	require.Equal(t, [][]message.Report{{says(0, message.Delivered)}}, next.routed)
}
