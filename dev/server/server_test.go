package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"volley/dev/pgtest"
	"volley/dev/server"
	"volley/workflows/contract"
)

const queue = "trivial"

func TestInMemoryAServerRunsAWorkflowAndStops(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.WarnLevel)
	s, err := server.Start(t.Context(), server.Options{Log: zap.New(core)})
	require.NoError(t, err)
	c := dial(t, s)
	w := work(t, c)

	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "greet", TaskQueue: queue}, greet, "Ann")
	require.NoError(t, err)
	var said string
	require.NoError(t, run.Get(t.Context(), &said))
	require.Equal(t, "hello Ann", said)

	w.Stop()
	c.Close()
	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop(), "a second stop does nothing")
	for _, e := range logs.FilterLevelExact(zapcore.ErrorLevel).All() {
		t.Errorf("the server logged an error: %s %v", e.Message, e.ContextMap())
	}
}

func TestInAFileARunningWorkflowGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	goesOnAfterARestart(t, server.Options{DB: filepath.Join(t.TempDir(), "volley.db")})
}

func TestInPostgreSQLARunningWorkflowGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	pg, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop()) })
	goesOnAfterARestart(t, server.Options{Postgres: pg.URL("volley")})
}

// goesOnAfterARestart holds two servers, one after the other, to the same state.
func goesOnAfterARestart(t *testing.T, o server.Options) {
	t.Helper()
	first := start(t, o)
	c := dial(t, first)
	w := work(t, c)
	_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "nap", TaskQueue: queue}, nap, 3*time.Second)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		d, err := c.DescribeWorkflowExecution(t.Context(), "nap", "")
		return err == nil && d.GetWorkflowExecutionInfo().GetHistoryLength() >= 5
	}, 20*time.Second, 20*time.Millisecond, "the timer is armed")
	w.Stop()
	c.Close()
	require.NoError(t, first.Stop())

	second := start(t, o)
	c = dial(t, second)
	work(t, c)
	var said string
	require.NoError(t, c.GetWorkflow(t.Context(), "nap", "").Get(t.Context(), &said))
	require.Equal(t, "awake", said)
}

func TestOnlyItsOwnerReadsAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, server.Options{DB: filepath.Join(dir, "volley.db")})
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 8, "two databases, each with its -wal and -shm, the version and the lock")
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), f.Name())
	}
}

func TestASecondUserOfAFileIsRefused(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "volley.db")
	start(t, server.Options{DB: db})
	_, err := server.Start(t.Context(), server.Options{DB: db})
	require.ErrorIs(t, err, server.ErrInUse)
	require.ErrorContains(t, err, db)

	out, err := again(t, db).CombinedOutput()
	require.Error(t, err, "another process must be refused too")
	require.Contains(t, string(out), server.ErrInUse.Error())
}

func TestAFileOfAKilledProcessCanBeUsedAtOnce(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "volley.db")
	cmd := again(t, db)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	up := make([]byte, 2)
	_, err = out.Read(up)
	require.NoError(t, err)
	require.Equal(t, "up", string(up))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait(), "it was killed")

	s := start(t, server.Options{DB: db})
	d, err := dial(t, s).DescribeWorkflowExecution(t.Context(), "nap", "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus())
}

func TestAnExistingFileGetsTheSearchAttributesAndTheRetention(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "volley.db")
	first := start(t, server.Options{DB: db, Retention: 48 * time.Hour})
	c := dial(t, first)
	_, err := c.OperatorService().RemoveSearchAttributes(t.Context(), &operatorservice.RemoveSearchAttributesRequest{
		Namespace: first.Namespace(), SearchAttributes: []string{contract.AttrState, contract.AttrDue},
	})
	require.NoError(t, err)
	require.NotContains(t, attributes(t, c, first.Namespace()), contract.AttrDue)
	c.Close()
	require.NoError(t, first.Stop())

	second := start(t, server.Options{DB: db})
	c = dial(t, second)
	require.Equal(t, map[string]enumspb.IndexedValueType{
		contract.AttrState:   enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		contract.AttrDialect: enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		contract.AttrTenant:  enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		contract.AttrKey:     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		contract.AttrMeta:    enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
		contract.AttrTotal:   enumspb.INDEXED_VALUE_TYPE_INT,
		contract.AttrFailed:  enumspb.INDEXED_VALUE_TYPE_INT,
		contract.AttrDue:     enumspb.INDEXED_VALUE_TYPE_DATETIME,
		contract.AttrContent: enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	}, attributes(t, c, second.Namespace()))
	require.Equal(t, server.DefaultRetention, retention(t, c, second.Namespace()))
}

func TestAFileOfAnotherServerVersionIsRefused(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "volley.db")
	require.NoError(t, start(t, server.Options{DB: db}).Stop())

	require.NoError(t, os.WriteFile(db+".version", []byte(`{"temporalServer":"1.31.2"}`), 0o600))
	_, err := server.Start(t.Context(), server.Options{DB: db})
	require.ErrorIs(t, err, server.ErrVersion)
	require.ErrorContains(t, err, "1.31.2")
	require.ErrorContains(t, err, server.Version())

	require.NoError(t, os.Remove(db+".version"))
	_, err = server.Start(t.Context(), server.Options{DB: db})
	require.ErrorContains(t, err, "which server made it")
}

func TestAFileWithoutItsVisibilityFileIsRefused(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "volley.db")
	require.NoError(t, start(t, server.Options{DB: db}).Stop())
	require.NoError(t, os.Remove(db+".visibility"))
	_, err := server.Start(t.Context(), server.Options{DB: db})
	require.ErrorContains(t, err, "missing")
}

func TestATakenPortIsRefusedByItsNumber(t *testing.T) {
	t.Parallel()
	s := start(t, server.Options{})
	_, err := server.Start(t.Context(), server.Options{Port: port(t, s.Address())})
	require.ErrorContains(t, err, "temporal port")
	require.ErrorContains(t, err, s.Address())
}

func TestStockLimitsStillRunAWorkflow(t *testing.T) {
	t.Parallel()
	s := start(t, server.Options{Stock: true, Namespace: "stock"})
	c := dial(t, s)
	work(t, c)
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: queue}, greet, "Bo")
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
}

func greet(_ workflow.Context, name string) (string, error) { return "hello " + name, nil }

func nap(ctx workflow.Context, d time.Duration) (string, error) {
	return "awake", workflow.Sleep(ctx, d)
}

func start(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	s, err := server.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func dial(t *testing.T, s *server.Server) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: s.Address(), Namespace: s.Namespace(), Logger: silent()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// work runs a worker. A stop lets its calls end, so that none of them is cut off, of
// which the server would log an error.
func work(t *testing.T, c client.Client) sdkworker.Worker {
	t.Helper()
	w := sdkworker.New(c, queue, sdkworker.Options{WorkerStopTimeout: 10 * time.Second})
	w.RegisterWorkflow(greet)
	w.RegisterWorkflow(nap)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	return w
}

func attributes(t *testing.T, c client.Client, namespace string) map[string]enumspb.IndexedValueType {
	t.Helper()
	l, err := c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	require.NoError(t, err)
	return l.GetCustomAttributes()
}

func retention(t *testing.T, c client.Client, namespace string) time.Duration {
	t.Helper()
	d, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	require.NoError(t, err)
	return d.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
}

// again is this test binary, to be run as a server on db in a process of its own.
func again(t *testing.T, db string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), envDB+"="+db)
	return cmd
}

func TestTheWebUIAnswersAndFetchesNoNews(t *testing.T) {
	t.Parallel()
	s := start(t, server.Options{UI: true})
	require.Contains(t, get(t, s.UIAddress()), "<!doctype html>")
	var settings struct{ DisableNewsFetch, WorkflowResetDisabled bool }
	require.NoError(t, json.Unmarshal([]byte(get(t, s.UIAddress()+"/api/v1/settings")), &settings))
	require.True(t, settings.DisableNewsFetch)
	require.True(t, settings.WorkflowResetDisabled, "a reset would send messages again")
	require.Contains(t, get(t, s.UIAddress()+"/api/v1/namespaces/default"), `"default"`, "it reaches the server")
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b)
}
