package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// lockedBuffer may be written while it is read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// unused is an address at which nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// Without Temporal a worker and a gateway wait for it. They live, are not ready, and say so.
func TestAServiceWaitsForTemporal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "volley.yaml")
	require.NoError(t, os.WriteFile(config, []byte("store: file://"+filepath.ToSlash(dir)+`/store
accounts:
  hook: {provider: webhook, url: "https://example.com", secret: "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}
tenants:
  acme: {keys: [0123456789abcdef], dialects: [volley], accounts: [hook]}
`), 0o600))
	for _, command := range []string{"worker", "gateway"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			ctx, end := context.WithCancel(t.Context())
			listen, temporal := unused(t), unused(t)
			var log lockedBuffer
			var code int
			var wg sync.WaitGroup
			wg.Go(func() {
				code = run(ctx, []string{command, "--config", config, "--listen", listen}, []string{
					"TEMPORAL_ADDRESS=" + temporal, "TEMPORAL_CONFIG_FILE=" + filepath.Join(dir, "none.toml"),
				}, strings.NewReader(""), &log, &log)
			})
			defer wg.Wait()
			defer end()
			require.Eventually(t, func() bool { return strings.Contains(log.String(), "temporal is away") }, time.Minute, time.Millisecond, "%s", &log)
			require.Contains(t, log.String(), "temporal at "+temporal+" did not answer")
			status, _ := get(t, "http://"+listen+"/healthz")
			require.Equal(t, http.StatusOK, status)
			status, body := get(t, "http://"+listen+"/readyz")
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Contains(t, body, "temporal does not answer")
			_, body = get(t, "http://"+listen+"/metrics")
			require.Regexp(t, `(?m)^volley_temporal_away 1$`, body)
			end()
			wg.Wait()
			require.Equal(t, exitDone, code, "%s", &log)
			require.NotContains(t, log.String(), "whsec_")
		})
	}
}

// fakeMissing lacks search attributes until somebody adds them.
type fakeMissing struct{ answers [][]string }

func (f *fakeMissing) Missing(context.Context) ([]string, error) {
	now := f.answers[0]
	f.answers = f.answers[1:]
	return now, nil
}

type gaugeHandler struct {
	client.MetricsHandler
	values *[]float64
}

func (g gaugeHandler) Gauge(string) client.MetricsGauge { return g }
func (g gaugeHandler) Update(v float64)                 { *g.values = append(*g.values, v) }

func TestMissingSearchAttributesAreMeasuredUntilTheyAreThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logged := observer.New(zap.InfoLevel)
		var values []float64
		some := []string{"VolleyState", "VolleyDue"}
		watchAttributes(t.Context(), &fakeMissing{[][]string{some, some, {}}}, gaugeHandler{client.MetricsNopHandler, &values}, zap.New(core))
		require.Equal(t, []float64{2, 2, 0}, values)
		require.Equal(t, 1, logged.Len(), "it is said once")
	})
}
