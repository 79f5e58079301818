package holds_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/holds"
)

func hold(account string) *contract.Hold {
	return &contract.Hold{Selector: contract.Selector{Account: account}, By: message.HeldByPerson, Since: 1}
}

func TestARunTakesAsMuchAsIsReadAndGoesOn(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := flowtest.NewEnv(&suite)
	env.RegisterWorkflowWithOptions(holds.Run, workflow.RegisterOptions{Name: contract.HoldsName})
	over := hold("over")
	over.Until = env.Now().Add(time.Minute).UnixMilli()
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(contract.SignalHolds, contract.HoldChange{V: 1, Hold: hold("one")})
		env.SignalWorkflow(contract.SignalHolds, "what is this")
		env.SignalWorkflow(contract.SignalHolds, contract.HoldChange{V: 1, Hold: over})
	}, time.Second)
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow(contract.QueryHolds)
		require.NoError(t, err)
		var all contract.Holds
		require.NoError(t, value.Get(&all))
		require.Equal(t, contract.Holds{*hold("zero"), *hold("one"), *over}, all)
		env.CancelWorkflow()
	}, 2*time.Second)
	env.RegisterDelayedCallback(func() {
		keep, gone := hold("two"), hold("zero")
		for range 124 {
			env.SignalWorkflow(contract.SignalHolds, contract.HoldChange{V: 1, Hold: keep})
			env.SignalWorkflow(contract.SignalHolds, contract.HoldChange{V: 1, Release: []string{gone.Key()}})
		}
	}, time.Hour)
	env.ExecuteWorkflow(contract.HoldsName, contract.HoldsInput{V: 1, Holds: contract.Holds{*hold("zero")}})
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &again)
	var in contract.HoldsInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	require.Equal(t, contract.HoldsInput{V: 1, Holds: contract.Holds{*hold("one"), *hold("two")}}, in)
}
