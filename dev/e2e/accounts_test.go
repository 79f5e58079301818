package e2e_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/starter"
)

// Two workers tell how an account that is down and one that is slow stand, and what they told
// goes away once they are killed.
func TestAccountsAreToldByTheWorkersThatLive(t *testing.T) {
	t.Parallel()
	l := shared
	bin := volley(t)
	const queue = "told"
	cfg := l.config(t, queue, "told-down", "told-slow")
	work := func() *exec.Cmd {
		return spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, bin, "worker", "--config", cfg, "--listen", "")
	}
	s := l.newStarter(starter.Options{TaskQueue: queue})
	accounts := func() (down, slow starter.AccountHealth) {
		list, err := s.Accounts(t.Context(), starter.AccountsQuery{Accounts: []starter.AccountOf{{Name: "told-down"}, {Name: "told-slow"}}})
		require.NoError(t, err)
		return list.Accounts[0], list.Accounts[1]
	}
	down, _ := accounts()
	require.Nil(t, down.Breaker, "nobody knows")
	require.Nil(t, down.Errors)
	require.Nil(t, down.AsOf)

	workers := []*exec.Cmd{work(), work()}
	require.Eventually(t, func() bool {
		down, slow := accounts()
		return down.Workers == 2 && slow.Workers == 2 && down.Breaker != nil && *down.Breaker == starter.BreakerClosed
	}, 3*time.Minute, 100*time.Millisecond)
	for account, sort := range map[string]string{"told-down": "+down", "told-slow": "+slow"} {
		all := notes(t, 1_000)
		for i := range all {
			all[i].To += sort
		}
		var ref starter.Ref
		t.Run(account, func(t *testing.T) { ref = l.start(t, s, account, all) })
		t.Cleanup(func() { _ = l.client.TerminateWorkflow(context.Background(), starter.WorkflowID(ref), "", "test") })
	}
	began := time.Now()
	require.Eventually(t, func() bool {
		down, slow := accounts()
		return *down.Breaker == starter.BreakerOpen && len(down.Errors) > 0 && slow.InFlight != nil && *slow.InFlight > 0
	}, 3*time.Minute, 100*time.Millisecond)
	down, slow := accounts()
	require.Equal(t, "unavailable", down.Errors[0].Code, "as the sandbox calls it")
	require.GreaterOrEqual(t, down.Errors[0].Count, 20, "which open a breaker")
	require.WithinDuration(t, time.Now(), down.Errors[0].Last, time.Since(began))
	require.Equal(t, starter.BreakerClosed, *slow.Breaker)
	require.Empty(t, slow.Errors)
	require.Nil(t, slow.LastReport, "there is no gateway")
	require.WithinDuration(t, time.Now(), *slow.AsOf, 2*time.Minute)

	for _, w := range workers {
		kill(w)
	}
	require.Eventually(t, func() bool {
		now, slow := accounts()
		return now.Errors == nil && now.Breaker == nil && slow.InFlight == nil && now.AsOf == nil
	}, 3*time.Minute, 500*time.Millisecond, "what killed workers counted goes away")
}
