package activities_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows/contract"
)

type router func(ctx context.Context, batch string, reports []message.Report) (contract.ReportsResult, error)

func (r router) RouteReports(ctx context.Context, batch string, reports []message.Report) (contract.ReportsResult, error) {
	return r(ctx, batch, reports)
}

func routeReports(t *testing.T, by activities.ReportRouter) (contract.ReportsResult, error) {
	t.Helper()
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(activities.New(activities.Options{Reports: by}).RouteReports, activity.RegisterOptions{Name: "RouteReports"})
	v, err := env.ExecuteActivity("RouteReports", contract.ReportsInput{V: 1, Batch: "batch-a", Reports: []message.Report{{ID: "x"}}})
	if err != nil {
		return contract.ReportsResult{}, err
	}
	var res contract.ReportsResult
	require.NoError(t, v.Get(&res))
	return res, nil
}

func TestReportsAreRouted(t *testing.T) {
	t.Parallel()
	res, err := routeReports(t, router(func(_ context.Context, batch string, reports []message.Report) (contract.ReportsResult, error) {
		require.Equal(t, "batch-a", batch)
		require.Equal(t, []message.Report{{ID: "x"}}, reports)
		return contract.ReportsResult{Kept: 3, Later: []int{0}}, nil
	}))
	require.NoError(t, err)
	require.Equal(t, contract.ReportsResult{V: 1, Kept: 3, Later: []int{0}}, res)
	_, err = routeReports(t, router(func(context.Context, string, []message.Report) (contract.ReportsResult, error) {
		return contract.ReportsResult{}, errors.New("away")
	}))
	require.ErrorContains(t, err, "away")
}

func TestAWorkerWithoutARouterLeavesReportsToOthers(t *testing.T) {
	t.Parallel()
	_, err := routeReports(t, nil)
	require.ErrorContains(t, err, "nothing that brings reports")
}
