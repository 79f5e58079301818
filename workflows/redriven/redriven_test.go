package redriven_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"

	"volley/workflows/contract"
	"volley/workflows/redriven"
)

func TestARedriveIsHeldLongerThanItsBatchRuns(t *testing.T) {
	t.Parallel()
	for name, runsFor := range map[string]time.Duration{"an ended batch": 0, "one that runs": 36 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestWorkflowEnvironment()
			env.SetTestTimeout(10 * time.Second)
			began := env.Now()
			calls := 0
			env.RegisterActivityWithOptions(func(_ context.Context, in contract.BatchRunsInput) (bool, error) {
				require.Equal(t, "batch-a", in.Batch)
				if calls++; calls == 1 {
					return false, errors.New("temporal does not answer")
				}
				return env.Now().Sub(began) < runsFor, nil
			}, activity.RegisterOptions{Name: contract.BatchRunsName})
			env.RegisterDelayedCallback(env.CancelWorkflow, time.Second)
			env.ExecuteWorkflow(redriven.Run, contract.HoldRedrivenInput{V: 1, Batch: "batch-a"})
			require.NoError(t, env.GetWorkflowError())
			held := env.Now().Sub(began) - runsFor
			require.GreaterOrEqual(t, held, 13*time.Hour)
			require.Less(t, held, 20*time.Hour)
			require.Less(t, calls, 30)
		})
	}
}

func TestARedriveOfNoBatchIsRefused(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.ExecuteWorkflow(redriven.Run, contract.HoldRedrivenInput{V: 1})
	require.Error(t, env.GetWorkflowError())
}
