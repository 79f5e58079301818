package temporalclient_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"volley/internal/temporalclient"
	"volley/workflows/contract"
)

// What a workflow sees of an activity that a worker could not decode.
func TestAnInputThatCannotBeDecodedIsToldFromAFailure(t *testing.T) {
	t.Parallel()
	ran := 0
	do := func(_ context.Context, in contract.SendInput) error {
		ran++
		return errors.New("it failed with " + in.Account)
	}
	run := func(in any) (types []string) {
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestActivityEnvironment()
		env.SetDataConverter(temporalclient.Converter(nil))
		env.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: contract.SendName})
		_, err := env.ExecuteActivity(contract.SendName, in)
		for app := (*temporal.ApplicationError)(nil); errors.As(err, &app); err = app.Unwrap() {
			types = append(types, app.Type())
		}
		return types
	}
	require.NotContains(t, run(contract.SendInput{Account: "a"}), contract.ErrUndecodedType)
	require.Equal(t, 1, ran)
	require.Contains(t, run("sealed with a key that is not here"), contract.ErrUndecodedType)
	require.Equal(t, 1, ran)
}
