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
)

type router func(ctx context.Context, batch string, reports []message.Report) (activities.ReportsResult, error)

func (r router) RouteReports(ctx context.Context, batch string, reports []message.Report) (activities.ReportsResult, error) {
	return r(ctx, batch, reports)
}

func routeReports(t *testing.T, by activities.ReportRouter) (activities.ReportsResult, error) {
	t.Helper()
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(activities.New(activities.Options{Reports: by}).RouteReports, activity.RegisterOptions{Name: "RouteReports"})
	v, err := env.ExecuteActivity("RouteReports", activities.ReportsInput{V: 1, Batch: "batch-a", Reports: []message.Report{{ID: "x"}}})
	if err != nil {
		return activities.ReportsResult{}, err
	}
	var res activities.ReportsResult
	require.NoError(t, v.Get(&res))
	return res, nil
}

func TestReportsAreRouted(t *testing.T) {
	t.Parallel()
	res, err := routeReports(t, router(func(_ context.Context, batch string, reports []message.Report) (activities.ReportsResult, error) {
		require.Equal(t, "batch-a", batch)
		require.Equal(t, []message.Report{{ID: "x"}}, reports)
		return activities.ReportsResult{Kept: 3, Later: []int{0}}, nil
	}))
	require.NoError(t, err)
	require.Equal(t, activities.ReportsResult{V: 1, Kept: 3, Later: []int{0}}, res)
	_, err = routeReports(t, router(func(context.Context, string, []message.Report) (activities.ReportsResult, error) {
		return activities.ReportsResult{}, errors.New("away")
	}))
	require.ErrorContains(t, err, "away")
}

func TestAWorkerWithoutARouterLeavesReportsToOthers(t *testing.T) {
	t.Parallel()
	_, err := routeReports(t, nil)
	require.ErrorContains(t, err, "nothing that brings reports")
}

func TestShapesOfReportsDoNotChange(t *testing.T) {
	t.Parallel()
	p := message.Report{ID: "x", State: message.Undelivered, At: 5, Account: "hook", ProviderID: "p-1", Code: "c", Detail: "why"}
	const text = `{"id":"x","state":"undelivered","at":5,"account":"hook","providerId":"p-1","code":"c","detail":"why"}`
	shape(t, activities.ReportsInput{V: 1, Batch: "batch-a", Reports: []message.Report{p}}, `{"v":1,"batch":"batch-a","reports":[`+text+`]}`)
	shape(t, activities.ReportsResult{V: 1, Later: []int{3}, Passed: 1, Kept: 2, Repeated: 3, Unknown: 4},
		`{"v":1,"later":[3],"passed":1,"kept":2,"repeated":3,"unknown":4}`)
	shape(t, message.Kept{State: message.Undelivered, Hop: 1, At: 5, ProviderID: "p-1", Code: "c", Detail: "why"},
		`{"s":"undelivered","h":1,"t":5,"p":"p-1","k":"c","e":"why"}`)
	shape(t, message.Lates{{Index: 7, Segment: 1, From: message.Sent, State: message.Delivered, Hop: 1, Attempt: 2, At: 5, Kept: 6, ProviderID: "p-1", Code: "c", Detail: "why", Rev: 9}},
		`{"v":1,"n":1,"i":[7],"g":[1],"f":[4],"s":[5],"h":[1],"a":[2],"t":[5],"w":[6],"r":[9],"k":[1],"e":[2],"p":["p-1"],"texts":["c","why"]}`)
}
