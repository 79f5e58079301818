package worker_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/provider"
	"volley/worker"
)

// registry notes the names under which things are registered.
type registry struct {
	workflows, activities []string
}

func (r *registry) RegisterWorkflow(any) { panic("a name was left to the function's") }

func (r *registry) RegisterActivity(any) { panic("a name was left to the function's") }

func (r *registry) RegisterDynamicWorkflow(any, workflow.DynamicRegisterOptions) {}

func (r *registry) RegisterDynamicActivity(any, activity.DynamicRegisterOptions) {}

func (r *registry) RegisterWorkflowWithOptions(_ any, o workflow.RegisterOptions) {
	r.workflows = append(r.workflows, o.Name)
}

func (r *registry) RegisterActivityWithOptions(_ any, o activity.RegisterOptions) {
	r.activities = append(r.activities, o.Name)
}

func TestNamesInHistoriesDoNotFollowTheNamesOfFunctions(t *testing.T) {
	t.Parallel()
	var r registry
	worker.RegisterWorkflows(&r)
	worker.RegisterActivities(&r, activities.New(activities.Options{}))
	require.Equal(t, []string{"SendBatch", "SendSegment", "KeepReports", "HoldRedriven", "Holds", "Notify"}, r.workflows)
	require.Equal(t, []string{"Send", "Reconcile", "SendGroup", "Open", "Load", "Keep", "Close", "CloseOut", "ControlSegments", "CancelMessages", "BatchRuns", "RouteReports", "Deliver", "AwaitRelease"}, r.activities)
}

func TestAnAccountsWorkerKeepsItsRateAndConcurrency(t *testing.T) {
	t.Parallel()
	o := worker.SendOptions(provider.Account{Name: "a", Rate: 20, Concurrency: 7})
	require.InDelta(t, 20, o.TaskQueueActivitiesPerSecond, 0)
	require.Equal(t, 7, o.MaxConcurrentActivityExecutionSize)
	require.True(t, o.DisableWorkflowWorker)
	o = worker.SendOptions(provider.Account{Name: "a"})
	require.Zero(t, o.TaskQueueActivitiesPerSecond, "no limit")
	require.Equal(t, 64, o.MaxConcurrentActivityExecutionSize)
}

func TestAnAccountsGroupsAreAsManyAsItsConcurrencyNeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account         provider.Account
		groups, pollers int
	}{
		"one does not end alone":             {provider.Account{Concurrency: 1}, 8, 0},
		"enough to use the concurrency up":   {provider.Account{Concurrency: 1001}, 21, 0},
		"with a rate, by turns with others":  {provider.Account{Rate: 20}, 64, 1},
		"a high rate needs more":             {provider.Account{Rate: 2000}, 64, 2},
		"no more than there may be at all":   {provider.Account{Rate: 1e6}, 64, 32},
		"a rate below one a second, as well": {provider.Account{Rate: 0.1}, 64, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := worker.GroupOptions(c.account)
			require.Equal(t, c.groups, o.MaxConcurrentActivityExecutionSize)
			require.Equal(t, c.pollers, o.MaxConcurrentActivityTaskPollers)
			require.Zero(t, o.TaskQueueActivitiesPerSecond, "small groups count no less than large ones")
			require.True(t, o.DisableWorkflowWorker)
		})
	}
}
