package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/mocks"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/config"
	"volley/internal/store"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestOperationsFollowTheWork(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	h := operations(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }),
		func(context.Context) error {
			if !ready.Load() {
				return errors.New("the workers have not started")
			}
			return nil
		})
	core, logged := observer.New(zap.InfoLevel)
	ctx, stop := context.WithCancel(t.Context())
	err := serve(ctx, "listen", "127.0.0.1:0", h, zap.New(core), func(context.Context) error {
		base := "http://" + logged.All()[0].ContextMap()["address"].(string)
		code, body := get(t, base+"/healthz")
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "ok\n", body)
		code, body = get(t, base+"/readyz")
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Equal(t, "the workers have not started\n", body)
		ready.Store(true)
		code, _ = get(t, base+"/readyz")
		require.Equal(t, http.StatusOK, code)
		_, body = get(t, base+"/metrics")
		require.Equal(t, "metrics", body)
		stop()
		code, body = get(t, base+"/readyz")
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Equal(t, "draining\n", body)
		code, _ = get(t, base+"/healthz")
		require.Equal(t, http.StatusOK, code, "it is alive while it drains")
		return errors.New("the work's own end")
	})
	require.EqualError(t, err, "the work's own end")
}

func TestMetricsMoveToAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
	ready := func(context.Context) error { return nil }
	for ops, want := range map[string]map[string]int{
		"":            {"listen": http.StatusOK},
		"127.0.0.1:0": {"listen": http.StatusNotFound, "ops-listen": http.StatusOK},
	} {
		core, logged := observer.New(zap.InfoLevel)
		err := serveOperations(t.Context(), "127.0.0.1:0", ops, metrics, ready, zap.New(core), func(context.Context) error {
			require.Len(t, logged.All(), len(want))
			for _, entry := range logged.All() {
				base := "http://" + entry.ContextMap()["address"].(string)
				code, _ := get(t, base+"/metrics")
				require.Equal(t, want[entry.ContextMap()["flag"].(string)], code, entry.ContextMap())
				for _, path := range []string{"/healthz", "/readyz"} {
					code, _ = get(t, base+path)
					require.Equal(t, http.StatusOK, code)
				}
			}
			return nil
		})
		require.NoError(t, err)
	}
}

func TestAnAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	err = serve(t.Context(), "listen", l.Addr().String(), http.NotFoundHandler(), zap.NewNop(), func(context.Context) error {
		t.Error("no work without its health checks")
		return nil
	})
	require.ErrorContains(t, err, "--listen")
	require.ErrorContains(t, err, l.Addr().String())
	require.ErrorContains(t, err, "choose another port, a range such as :9090-9099, or none")
}

func TestTheFirstFreePortOfARangeIsTaken(t *testing.T) {
	t.Parallel()
	// A port whose next one is free as well.
	var first net.Listener
	var port int
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port = l.Addr().(*net.TCPAddr).Port
		next, err := listenIn(t.Context(), "listen", fmt.Sprintf("127.0.0.1:%d", port+1))
		if err == nil {
			require.NoError(t, next.Close())
			first = l
			break
		}
		require.NoError(t, l.Close())
	}
	defer first.Close()
	l, err := listenIn(t.Context(), "listen", fmt.Sprintf("127.0.0.1:%d-%d", port, port+1))
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, port+1, l.Addr().(*net.TCPAddr).Port)
	_, err = listenIn(t.Context(), "listen", fmt.Sprintf("127.0.0.1:%d-%d", port, port+1))
	require.ErrorContains(t, err, "choose another port")
	for _, address := range []string{":9099-9090", ":a-b", ":9090-", ":1-70000"} {
		_, err := listenIn(t.Context(), "listen", address)
		require.Equal(t, exitUsage, exitCode(err), address)
	}
}

func TestReadyMeansThatThisProcessPolls(t *testing.T) {
	t.Parallel()
	pollers := func(names ...string) *workflowservice.DescribeTaskQueueResponse {
		res := &workflowservice.DescribeTaskQueueResponse{}
		for _, n := range names {
			res.Pollers = append(res.Pollers, &taskqueuepb.PollerInfo{Identity: n})
		}
		return res
	}
	for name, tt := range map[string]struct {
		res  *workflowservice.DescribeTaskQueueResponse
		err  error
		want string
	}{
		"nobody polls":               {pollers(), nil, "the workers have not started"},
		"only another process polls": {pollers("other"), nil, "the workers have not started"},
		"this process polls":         {pollers("other", "me"), nil, ""},
		"temporal is away":           {nil, errors.New("unavailable"), "temporal does not answer"},
		"there is no namespace":      {nil, serviceerror.NewNamespaceNotFound("default"), "temporal has no such namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &mocks.Client{}
			c.On("DescribeTaskQueue", mock.Anything, "volley", enumspb.TASK_QUEUE_TYPE_WORKFLOW).Return(tt.res, tt.err)
			err := polling(c, "volley", "me")(t.Context())
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestAWorkerSaysWhatTheServerLacks(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zap.InfoLevel)
	warnMissing([]string{"VolleyState", "VolleyDue"}, nil, zap.New(core))
	require.Equal(t, 1, logged.Len())
	require.Contains(t, logged.All()[0].Message, "`volley setup` adds them")
	require.Equal(t, "VolleyState, VolleyDue", logged.All()[0].ContextMap()["missing"])
	warnMissing(nil, nil, zap.New(core))
	require.Equal(t, 1, logged.Len())
}

func TestAWorkerOpensTheStoreOfItsConfiguration(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Store = "file://" + filepath.ToSlash(t.TempDir()) + "/new"
	s, err := openStore(t.Context(), c, store.Options{Log: zap.NewNop()})
	require.NoError(t, err)
	require.NoDirExists(t, strings.TrimPrefix(c.Store, "file://"), "somebody may have to mount it")
	require.NoError(t, s.Close())
	c.Store = "nowhere://bucket"
	_, err = openStore(t.Context(), c, store.Options{Log: zap.NewNop()})
	require.ErrorContains(t, err, "store: ")
	var exit *exitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitUsage, exit.code)
}

func TestNamesOfVersionsThatTemporalRefusesAreRefused(t *testing.T) {
	t.Parallel()
	for _, given := range [][2]string{{"a.b", "1"}, {"a", "x:y"}, {"a\x1b", "1"}, {"a", strings.Repeat("x", 101)}, {"a b", "1"}} {
		d := deploymentFlags{deployment: given[0], build: given[1]}
		err := d.check()
		require.Equal(t, exitUsage, exitCode(err), "%q", given)
		require.NotContains(t, err.Error(), "\x1b")
	}
	d := deploymentFlags{deployment: "volley-eu", build: "v1.2.3+a_b"}
	require.NoError(t, d.check())
}
