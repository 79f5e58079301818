package worker

import (
	"fmt"
	"slices"
	"strings"

	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/workflows/contract"
)

// workflows are how the worker of the workflows and of the store runs. Only its queue is
// versioned: a version may have 100 queues, and there are two for each account.
func (o Options) workflows() (sdk.Options, error) {
	so := batchOptions()
	if (o.Deployment == "") != (o.Build == "") {
		return so, fmt.Errorf("deployment %q, build %q: both or neither are expected", o.Deployment, o.Build)
	}
	if o.Build != "" {
		so.DeploymentOptions = sdk.DeploymentOptions{
			UseVersioning: true,
			Version:       sdk.WorkerDeploymentVersion{DeploymentName: o.Deployment, BuildID: o.Build},
			// A batch may wait for a year; it must not keep its workers for that time.
			DefaultVersioningBehavior: workflow.VersioningBehaviorAutoUpgrade,
		}
	}
	for _, change := range o.Deferred {
		if !slices.Contains(Changes(), change) {
			return so, fmt.Errorf("change %q: expected one of %s", change, strings.Join(Changes(), ", "))
		}
	}
	if len(o.Deferred) > 0 {
		so.PreferredVersionProvider = deferring(o.Deferred)
	}
	return so, nil
}

// Changes are the changes of workflow code that histories tell apart, the oldest first.
func Changes() []string { return contract.Changes() }

// deferring records the oldest version of those changes, and the newest of the others.
func deferring(changes []string) sdk.PreferredVersionProvider {
	return func(in sdk.PreferredVersionProviderInput) *sdk.VersionPreference {
		if !slices.Contains(changes, in.ChangeID) {
			return nil
		}
		return &sdk.VersionPreference{Version: in.MinSupported}
	}
}
