package starter_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"volley/internal/message"
	"volley/starter"
)

// DescribeTaskQueue tells of the queue of groups of account grouped that something was
// handed out, and of no other.
func (f *fake) DescribeTaskQueue(_ context.Context, r *workflowservice.DescribeTaskQueueRequest) (*workflowservice.DescribeTaskQueueResponse, error) {
	stats := &taskqueuepb.TaskQueueStats{}
	if r.GetTaskQueue().GetName() == "volley-group-grouped" {
		stats.TasksDispatchRate = 0.1
	}
	return &workflowservice.DescribeTaskQueueResponse{Stats: stats}, nil
}

// held holds something back, and fails the test where that cannot be done.
func held(t *testing.T, s *starter.Starter, q starter.HoldRequest) {
	t.Helper()
	_, err := s.Hold(t.Context(), q)
	require.NoError(t, err)
}

func TestAccountsThatAreHeldAreShownAlthoughNobodyKnowsThem(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	held(t, s, starter.HoldRequest{Selector: starter.Selector{Account: "nosuch"}, Reason: "why"})
	held(t, s, starter.HoldRequest{Selector: starter.Selector{Account: "one", From: 3, To: 5}})
	held(t, s, starter.HoldRequest{Selector: starter.Selector{Meta: "a=b"}, ByTenant: "acme"})
	known := []starter.AccountOf{{Name: "one", Provider: "webhook", Rate: 5}, {Name: "grouped", Provider: "bird"}}
	list, err := s.Accounts(t.Context(), starter.AccountsQuery{Accounts: known})
	require.NoError(t, err)
	require.Len(t, list.Accounts, 3)
	require.Equal(t, "nosuch", list.Accounts[2].Name)
	require.Empty(t, list.Accounts[2].Provider)
	require.Equal(t, &message.HoldView{By: "person", Reason: "why", Since: noon}, list.Accounts[2].Held)
	require.Nil(t, list.Accounts[0].Held, "only some of its messages are")
	require.Zero(t, *list.Accounts[0].Used)
	require.False(t, list.Accounts[0].Groups)
	require.Nil(t, list.Accounts[1].Used)
	require.True(t, list.Accounts[1].Groups)
	require.Len(t, list.Holds, 3)

	list, err = s.Accounts(t.Context(), starter.AccountsQuery{Accounts: known, ByTenant: "acme"})
	require.NoError(t, err)
	require.Len(t, list.Accounts, 2)
	require.Len(t, list.Holds, 1)
	require.Equal(t, starter.Selector{Meta: "a=b", Tenant: "acme"}, list.Holds[0].Selector)
}

func TestAReleaseOfWhatIsNotHeldSaysWhatIs(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	release := func(tenant string) error {
		_, err := s.Release(t.Context(), starter.ReleaseRequest{Selector: starter.Selector{Account: "two"}, ByTenant: tenant})
		require.ErrorIs(t, err, starter.ErrNotFound)
		return err
	}
	require.ErrorContains(t, release(""), "release account two: not found: nothing is held")
	held(t, s, starter.HoldRequest{Selector: starter.Selector{Account: "one", From: 3, To: 5}})
	held(t, s, starter.HoldRequest{Selector: starter.Selector{All: true}, Until: noon.Add(time.Hour)})
	require.ErrorContains(t, release(""), "a release names what was held, which is: account one, priority 3-5; everything")
	require.ErrorContains(t, release("acme"), "nothing is held")
}

func TestAHoldAndAReleaseCountWhatTheyMove(t *testing.T) {
	t.Parallel()
	s, f, res := openBatch(t, 4)
	for i := range res.Rows {
		res.Rows[i].State = message.Accepted
	}
	f.flow(t, "batch-a").query = worker(t, res)
	f.priorities = map[string]int32{"batch-a": 5}
	hold := func(sel starter.Selector) int {
		got, err := s.Hold(t.Context(), starter.HoldRequest{Selector: sel})
		require.NoError(t, err)
		require.True(t, got.Messages.Known)
		return got.Messages.Waiting
	}
	release := func(sel starter.Selector) int {
		got, err := s.Release(t.Context(), starter.ReleaseRequest{Selector: sel})
		require.NoError(t, err)
		require.Len(t, got.Released, 1)
		require.True(t, got.Messages.Known)
		return got.Messages.Leaving
	}
	low, all := starter.Selector{All: true, From: 4, To: 5}, starter.Selector{All: true}
	require.Equal(t, 4, hold(low))
	require.Zero(t, hold(starter.Selector{All: true, From: 1, To: 4}), "its priority is 5")
	require.Equal(t, 4, hold(all))
	require.Zero(t, release(all), "another hold keeps them back, and is not released with it")
	require.Equal(t, 4, release(low))

	require.Equal(t, 4, hold(all))
	res.Status.State = message.BatchPaused
	f.flow(t, "batch-a").query = worker(t, res)
	f.flow(t, "batch-a").show(t, message.BatchPaused)
	require.Zero(t, release(all), "a batch that is paused stays so")
}

func TestATenantSaysWhatItHolds(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	_, err := s.Hold(t.Context(), starter.HoldRequest{ByTenant: "acme"})
	require.ErrorIs(t, err, starter.ErrInvalid)
	require.ErrorContains(t, err, "all for all of tenant acme")
	held(t, s, starter.HoldRequest{ByTenant: "acme", Selector: starter.Selector{All: true}})
}
