package temporalclient_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"

	"volley/internal/temporalclient"
)

// gauge keeps what a gauge showed last.
type gauge struct {
	client.MetricsHandler
	value atomic.Value
}

func (g *gauge) WithTags(map[string]string) client.MetricsHandler { return g }
func (g *gauge) Gauge(string) client.MetricsGauge                 { return g }
func (g *gauge) Update(v float64)                                 { g.value.Store(v) }

// closed is an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// serveAt runs a server at an address until the result is called.
func serveAt(t *testing.T, address string) (stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	s := grpc.NewServer(grpc.UnaryInterceptor(errorDetails))
	workflowservice.RegisterWorkflowServiceServer(s, server{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	return sync.OnceFunc(func() { s.Stop(); wg.Wait() })
}

func TestAWatchSaysThatTemporalIsAwayAndThatItIsBack(t *testing.T) {
	t.Parallel()
	address := closed(t)
	core, logged := observer.New(zap.InfoLevel)
	g := &gauge{MetricsHandler: client.MetricsNopHandler}
	o := temporalclient.Options{
		Log: zap.New(core), Metrics: g, EnvLookup: environment{"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_ADDRESS": address},
	}
	c, err := temporalclient.DialLazily(o)
	require.NoError(t, err, "nobody is asked yet")
	t.Cleanup(c.Close)
	w, err := temporalclient.NewWatch(c, o)
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { end(); wg.Wait() })

	said := func(text string) int { return logged.FilterMessageSnippet(text).Len() }
	require.Eventually(t, func() bool { return said("temporal is away") == 1 }, time.Minute, time.Millisecond)
	require.Contains(t, logged.All()[0].Message, "temporal at "+address+" did not answer")
	require.InDelta(t, 1, g.value.Load(), 0)
	waiting, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, w.Reached(waiting), context.Canceled)

	t.Cleanup(serveAt(t, address))
	require.NoError(t, w.Reached(t.Context()))
	require.InDelta(t, 0, g.value.Load(), 0)
	require.Equal(t, 1, said("temporal is back"))
	require.NoError(t, w.Check(t.Context()))
}

func TestAWatchNamesANamespaceThatIsNotThere(t *testing.T) {
	t.Parallel()
	address := serve(t)
	for namespace, want := range map[string]error{"default": nil, "hidden": nil, "nowhere": temporalclient.ErrNoNamespace} {
		o := temporalclient.Options{EnvLookup: environment{
			"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": namespace,
		}}
		c, err := temporalclient.DialLazily(o)
		require.NoError(t, err)
		t.Cleanup(c.Close)
		w, err := temporalclient.NewWatch(c, o)
		require.NoError(t, err)
		err = w.Check(t.Context())
		require.ErrorIs(t, err, want, namespace)
		if want != nil {
			require.EqualError(t, err, "temporal at "+address+` has no namespace "nowhere" (TEMPORAL_NAMESPACE sets it)`)
		}
	}
}
