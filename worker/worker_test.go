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
	require.Equal(t, []string{"SendBatch", "SendSegment"}, r.workflows)
	require.Equal(t, []string{"Send", "Reconcile", "SendGroup", "Open", "Load", "Keep", "Close", "Locate"}, r.activities)
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
