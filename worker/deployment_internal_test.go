package worker

// Inside of the package, since the SDK tells nobody with which options a worker runs.

import (
	"testing"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/workflows/contract"
)

func TestABuildOfADeploymentMovesEveryWorkflow(t *testing.T) {
	t.Parallel()
	o, err := Options{Deployment: "volley", Build: "2026-11"}.workflows()
	require.NoError(t, err)
	require.True(t, o.DeploymentOptions.UseVersioning)
	require.Equal(t, sdk.WorkerDeploymentVersion{DeploymentName: "volley", BuildID: "2026-11"}, o.DeploymentOptions.Version)
	require.Equal(t, workflow.VersioningBehaviorAutoUpgrade, o.DeploymentOptions.DefaultVersioningBehavior)

	o, err = Options{}.workflows()
	require.NoError(t, err)
	require.Equal(t, sdk.DeploymentOptions{}, o.DeploymentOptions, "nothing is versioned unless asked for")
	require.Nil(t, o.PreferredVersionProvider)
}

func TestADeploymentAndABuildBelongTogether(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Deployment: "volley"}, {Build: "2026-11"}} {
		_, err := o.workflows()
		require.ErrorContains(t, err, "both or neither")
	}
}

func TestADeferredChangeBeginsNowhere(t *testing.T) {
	t.Parallel()
	o, err := Options{Deferred: []string{contract.ChangeRefuseUnclear}}.workflows()
	require.NoError(t, err)
	in := sdk.PreferredVersionProviderInput{ChangeID: contract.ChangeRefuseUnclear, MinSupported: workflow.DefaultVersion, MaxSupported: 1}
	require.Equal(t, &sdk.VersionPreference{Version: workflow.DefaultVersion}, o.PreferredVersionProvider(in))
	in.ChangeID = "another"
	require.Nil(t, o.PreferredVersionProvider(in), "its newest version")

	_, err = Options{Deferred: []string{"no-such-change"}}.workflows()
	require.ErrorContains(t, err, contract.ChangeRefuseUnclear, "it says what there is")
}
