package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/encryption"
	"volley/internal/keywatch"
	"volley/internal/temporalclient"
)

// watchKeys runs a watch of a process of its own until the returned function is called.
func (l *lab) watchKeys(t *testing.T, role string, k *encryption.Keyset) (w *keywatch.Watch, stop func()) {
	t.Helper()
	o := temporalclient.Options{EnvLookup: env{"TEMPORAL_ADDRESS": l.server.Address()}, Keyset: k}
	c, err := temporalclient.Dial(t.Context(), o)
	require.NoError(t, err)
	w, err = keywatch.New(keywatch.Options{Client: c, Temporal: o, TaskQueue: queueOf(t), Role: role, Every: 200 * time.Millisecond})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); wg.Wait(); c.Close() })
	t.Cleanup(stop)
	return w, stop
}

// Every process says which keys it has by way of a real server, and one that meets a
// primary key that it lacks takes nothing on any more.
func TestProcessesSayWhichKeysTheyHave(t *testing.T) {
	t.Parallel()
	l := shared.own(t, "", 0)
	old := newKeyset(t)
	both, id, err := old.WithNewKey()
	require.NoError(t, err)
	promoted, err := both.Promote(id)
	require.NoError(t, err)
	reports := func() []keywatch.Report {
		all, err := keywatch.Reports(t.Context(), l.client.WorkflowService(), "default", queueOf(t), time.Now())
		require.NoError(t, err)
		return all
	}
	behind, _ := l.watchKeys(t, "worker", old)
	require.NoError(t, behind.Wait(t.Context()))
	_, stop := l.watchKeys(t, "gateway", both)
	require.Eventually(t, func() bool { return len(reports()) == 2 }, time.Minute, 50*time.Millisecond)
	lacking := keywatch.Lacking(reports(), id)
	require.Len(t, lacking, 1)
	require.Contains(t, lacking[0], fmt.Sprintf("key %d is missing at worker volley-", id))
	require.Empty(t, keywatch.Lacking(reports(), old.Primary()))
	stop()
	require.Eventually(t, func() bool { return len(reports()) == 1 }, time.Minute, 50*time.Millisecond, "who ends says so")

	ahead, _ := l.watchKeys(t, "gateway", promoted)
	require.NoError(t, ahead.Wait(t.Context()))
	require.Eventually(t, func() bool { return behind.Err() != nil }, time.Minute, 50*time.Millisecond)
	require.ErrorIs(t, behind.Err(), encryption.ErrNoKey)
	require.ErrorContains(t, behind.Err(), fmt.Sprint(id))
}
