package temporalclient_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"

	"volley/internal/encryption"
	"volley/internal/temporalclient"
)

type environment map[string]string

func (e environment) LookupEnv(k string) (string, bool) { v, ok := e[k]; return v, ok }

func (e environment) Environ() []string {
	var out []string
	for k, v := range e {
		out = append(out, k+"="+v)
	}
	return out
}

func TestClientOptions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		env                environment
		address, namespace string
		compressed         bool
	}{
		"the address defaults to this machine": {environment{}, "localhost:7233", "default", false},
		"a loopback address is not compressed": {environment{"TEMPORAL_ADDRESS": "127.0.0.1:7000"}, "127.0.0.1:7000", "default", false},
		"an IPv6 loopback is not compressed":   {environment{"TEMPORAL_ADDRESS": "[::1]:7000"}, "[::1]:7000", "default", false},
		"a remote address is compressed":       {environment{"TEMPORAL_ADDRESS": "temporal:7233", "TEMPORAL_NAMESPACE": "sms"}, "temporal:7233", "sms", true},
		"a name that only looks like loopback": {environment{"TEMPORAL_ADDRESS": "127.0.0.1.example:1"}, "127.0.0.1.example:1", "default", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.env["TEMPORAL_CONFIG_FILE"] = t.TempDir() + "/none.toml"
			opts, err := temporalclient.ClientOptions(temporalclient.Options{EnvLookup: tt.env})
			require.NoError(t, err)
			require.Equal(t, tt.address, opts.HostPort)
			require.Equal(t, tt.namespace, opts.Namespace)
			require.Contains(t, opts.Identity, "volley-")
			if tt.compressed {
				require.Nil(t, opts.ConnectionOptions.GrpcCompression, "the SDK's default is gzip")
			} else {
				require.Equal(t, &client.GrpcCompressionNone{}, opts.ConnectionOptions.GrpcCompression)
			}
		})
	}
}

func TestAnAPIKeyTurnsTLSOn(t *testing.T) {
	t.Parallel()
	opts, err := temporalclient.ClientOptions(temporalclient.Options{EnvLookup: environment{
		"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_ADDRESS": "x.tmprl.cloud:7233", "TEMPORAL_API_KEY": "k",
	}})
	require.NoError(t, err)
	require.NotNil(t, opts.ConnectionOptions.TLS)
	require.NotNil(t, opts.Credentials)
}

func TestDialSaysWhichAddressDidNotAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())

	_, err = temporalclient.Dial(t.Context(), temporalclient.Options{EnvLookup: environment{
		"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_ADDRESS": address,
	}})
	require.ErrorContains(t, err, "temporal at "+address+" did not answer")
}

func TestDialNamesABrokenProfile(t *testing.T) {
	t.Parallel()
	_, err := temporalclient.Dial(t.Context(), temporalclient.Options{EnvLookup: environment{
		"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_PROFILE": "absent",
	}})
	require.ErrorContains(t, err, "temporal client settings")
}

// server is a Temporal that knows one namespace and that nobody may ask about
// the namespace "hidden".
type server struct {
	workflowservice.UnimplementedWorkflowServiceServer
}

func (server) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (server) DescribeNamespace(_ context.Context, r *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	switch r.Namespace {
	case "default":
		return &workflowservice.DescribeNamespaceResponse{}, nil
	case "hidden":
		return nil, serviceerror.NewPermissionDenied("no", "no")
	}
	return nil, serviceerror.NewNamespaceNotFound(r.Namespace)
}

// errorDetails sends errors the way that a Temporal server does.
func errorDetails(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	res, err := next(ctx, req)
	if err != nil {
		err = serviceerror.ToStatus(err).Err()
	}
	return res, err
}

func (server) StartWorkflowExecution(context.Context, *workflowservice.StartWorkflowExecutionRequest) (*workflowservice.StartWorkflowExecutionResponse, error) {
	return &workflowservice.StartWorkflowExecutionResponse{RunId: "r"}, nil
}

// serve runs a server and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer(grpc.UnaryInterceptor(errorDetails))
	workflowservice.RegisterWorkflowServiceServer(s, server{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); wg.Wait() })
	return l.Addr().String()
}

// A batch of up to limits.inline_bytes is one payload.
func TestABatchThatIsAsLargeAsItMayBeIsNoWarning(t *testing.T) {
	t.Parallel()
	core, seen := observer.New(zap.WarnLevel)
	c, err := temporalclient.Dial(t.Context(), temporalclient.Options{Log: zap.New(core), EnvLookup: environment{
		"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_ADDRESS": serve(t),
	}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "w", TaskQueue: "q"}, "w", strings.Repeat("x", 1<<20))
	require.NoError(t, err)
	require.Empty(t, seen.All())
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "w", TaskQueue: "q"}, "w", strings.Repeat("x", 2_000_000))
	require.NoError(t, err)
	require.Len(t, seen.All(), 1)
}

func TestDialChecksTheNamespace(t *testing.T) {
	t.Parallel()
	address := serve(t)
	dial := func(namespace string) error {
		c, err := temporalclient.Dial(t.Context(), temporalclient.Options{EnvLookup: environment{
			"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": namespace,
		}})
		if err == nil {
			c.Close()
		}
		return err
	}
	require.NoError(t, dial("default"))
	require.NoError(t, dial("hidden"), "a key that may not ask may still send")
	require.EqualError(t, dial("absent"), "temporal at "+address+` has no namespace "absent" (TEMPORAL_NAMESPACE sets it)`)
}

func TestLoggerPassesOnFieldsAndCallers(t *testing.T) {
	t.Parallel()
	core, seen := observer.New(zap.DebugLevel)
	l := temporalclient.Logger(zap.New(core, zap.AddCaller()))

	l.Info("plain", "a", 1, 2, "two", "alone")
	log.With(l, "b", "x").Error("with", "err", errors.New("boom"))
	skipping(log.Skip(l, 1))
	l.Debug("debug")
	l.Warn("warn")

	entries := seen.All()
	require.Len(t, entries, 5)
	require.Equal(t, map[string]any{"a": int64(1), "2": "two", "extra": "alone"}, entries[0].ContextMap())
	require.Equal(t, map[string]any{"b": "x", "err": "boom"}, entries[1].ContextMap())
	for _, e := range entries {
		require.Contains(t, e.Caller.Function, "TestLoggerPassesOnFieldsAndCallers")
	}
}

func skipping(l log.Logger) { l.Info("skipped") }

func TestAReceiverThatAnswersWithAnotherCodeEachTimeFillsNoMemory(t *testing.T) {
	t.Parallel()
	h, page, err := temporalclient.NewMetrics()
	require.NoError(t, err)
	for i := range 12_000 {
		h.WithTags(map[string]string{"code": strconv.Itoa(i)}).Counter("volley_messages").Inc(1)
	}
	rec := httptest.NewRecorder()
	page.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	require.LessOrEqual(t, strings.Count(rec.Body.String(), "\nvolley_messages_total{"), 2_000)
	require.Contains(t, rec.Body.String(), `volley_messages_total{otel_metric_overflow="true"}`)
}

func TestMetricsShowCountersTimersAndTheRuntime(t *testing.T) {
	t.Parallel()
	h, page, err := temporalclient.NewMetrics()
	require.NoError(t, err)
	h.WithTags(map[string]string{"account": "hook"}).Counter("volley_messages").Inc(3)
	h.Timer("volley_send_latency").Record(3 * time.Millisecond)
	h.Gauge("volley_open").Update(2)

	rec := httptest.NewRecorder()
	page.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	body := rec.Body.String()
	require.Contains(t, body, `volley_messages_total{account="hook"} 3`)
	require.Contains(t, body, `volley_send_latency_seconds_bucket{le="0.005"} 1`)
	require.Contains(t, body, `volley_send_latency_seconds_bucket{le="0.0025"} 0`)
	require.Contains(t, body, "volley_open 2")
	require.Contains(t, body, "go_goroutines")
	require.NotContains(t, body, "otel_scope")
}

func TestTwoMetricsDoNotCollide(t *testing.T) {
	t.Parallel()
	for range 2 {
		_, _, err := temporalclient.NewMetrics()
		require.NoError(t, err)
	}
}

// Among batches that another key sealed every attempt fails alike.
func TestAMissingKeyIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		l := temporalclient.Logger(zap.New(core))
		activity := log.With(l, "ActivityID", "1.1")
		lacking := fmt.Errorf("decode: %w", encryption.ErrNoKey)
		for range 50 {
			activity.Error("Activity error.", "Error", lacking)
			l.Warn("Workflow task failed.", "Error", fmt.Sprint("panic: ", lacking))
			l.Warn("something else", "Error", errors.New("away"))
			time.Sleep(time.Second)
		}
		require.Equal(t, 1, logs.FilterMessage("Activity error.").Len())
		require.Equal(t, 1, logs.FilterMessage("Workflow task failed.").Len())
		require.Equal(t, 50, logs.FilterMessage("something else").Len())
		time.Sleep(10 * time.Second)
		activity.Error("Activity error.", "Error", lacking)
		require.Equal(t, 2, logs.FilterMessage("Activity error.").Len())
	})
}
