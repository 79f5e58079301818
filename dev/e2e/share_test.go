package e2e_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/provider"
	"volley/worker"
)

func TestAWorkerThatStopsLeavesItsShareToTheOther(t *testing.T) {
	t.Parallel()
	l := shared.own(t, messages, 0)
	l.served[0].Rate = 10
	core, logs := observer.New(zap.InfoLevel)
	registry, err := provider.Open(l.served, provider.Options{})
	require.NoError(t, err)
	w, err := worker.New(l.client, registry, worker.Options{TaskQueue: queueOf(t), Log: zap.New(core)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = w.Run(ctx) })
	sharedBy := func(workers int64) {
		t.Helper()
		require.Eventually(t, func() bool {
			all := logs.FilterMessage("an account's rate is shared").All()
			return len(all) > 0 && all[len(all)-1].ContextMap()["workers"] == workers
		}, 40*time.Second, 10*time.Millisecond) // one that only polls no more is counted for 70 s
	}
	sharedBy(1)
	stop, err := l.work(queueOf(t), l.served)
	require.NoError(t, err)
	sharedBy(2)
	stopped := time.Now()
	stop()
	sharedBy(1)
	t.Logf("alone again after %v", time.Since(stopped))
}
