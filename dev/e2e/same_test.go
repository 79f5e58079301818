package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.uber.org/zap"

	"volley/dev/server"
	"volley/internal/message"
	"volley/internal/temporalclient"
	"volley/starter"
	"volley/workflows/contract"
)

// listed waits until the list of batches has a batch of a tenant as it stands: it lags
// behind.
func listed(t *testing.T, l *lab, ref starter.Ref, state message.BatchState) {
	t.Helper()
	require.Eventually(t, func() bool {
		res, err := l.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("WorkflowId = '%s' AND VolleyState = '%s'", starter.WorkflowID(ref), state),
		})
		return err == nil && len(res.GetExecutions()) == 1
	}, 5*time.Minute, 50*time.Millisecond)
}

// audience is a CSV file of n rows to recipients of the test's own.
func audience(t *testing.T, n int, lineEnd string, reversed bool) string {
	t.Helper()
	rows := make([]string, n)
	for i := range rows {
		rows[i] = fmt.Sprintf("%s-%d,Ann %d", strings.ReplaceAll(t.Name(), "/", "."), i, i)
	}
	if reversed {
		slices.Reverse(rows)
	}
	path := filepath.Join(t.TempDir(), "batch.csv")
	require.NoError(t, os.WriteFile(path, []byte("to,name"+lineEnd+strings.Join(rows, lineEnd)+lineEnd), 0o600))
	return path
}

func TestTheCommandLineNamesTheBatchThatSaidTheSame(t *testing.T) {
	t.Parallel()
	l := shared
	c := cli{bin: volley(t), config: l.config(t, "volley", "hook"), temporal: l.server.Address()}
	one, other := audience(t, 3, "\n", false), audience(t, 3, "\r\n", true)
	start := func(file, id string, more ...string) (sameAs *string, stderr string, code int) {
		t.Helper()
		out, errs, code := c.run(t, "", append([]string{"start", "--dialect", "volley", "--account", "hook", "--text", "Hi ${name}", "--id", id, "-o", "json", file}, more...)...)
		if code != 0 {
			return nil, errs, code
		}
		var doc struct{ SameAs *string }
		require.Contains(t, out, `"sameAs":`)
		require.NoError(t, json.Unmarshal([]byte(out), &doc), out)
		return doc.SameAs, errs, code
	}
	same, errs, code := start(one, "same-1", "--wait")
	require.Zero(t, code, errs)
	require.Nil(t, same)
	listed(t, l, starter.Ref{ID: "same-1"}, message.BatchCompleted)

	same, errs, code = start(one, "same-1")
	require.Zero(t, code)
	require.Nil(t, same, "it is the same batch")
	require.Empty(t, errs)
	_, errs, code = start(other, "same-2", "--if-same", "refuse", "--send-after", "1h")
	require.Equal(t, 5, code)
	require.Regexp(t, `^volley: the same went out .* as same-1, nothing was started`, errs)
	_, _, code = c.run(t, "", "status", "same-2")
	require.Equal(t, 4, code)

	same, errs, code = start(other, "same-2", "--send-after", "1h")
	require.Zero(t, code)
	require.Equal(t, "same-1", *same)
	require.Regexp(t, `^volley: the same went out (just now|\d+ s ago) as same-1\n$`, errs)
	listed(t, l, starter.Ref{ID: "same-2"}, message.BatchScheduled)
	same, errs, _ = start(other, "same-3", "--send-after", "2h", "--again")
	require.Equal(t, "same-2", *same, "the latest")
	require.Empty(t, errs)

	// Another text is another content; and what was canceled before anything left
	// went nowhere.
	text := []string{"start", "--dialect", "volley", "--account", "hook", "--text", "Ho ${name}", "--send-after", "1h", "-o", "json", other, "--id"}
	out, _, code := c.run(t, "", append(text, "same-4")...)
	require.Zero(t, code)
	require.Contains(t, out, `"sameAs":null`)
	listed(t, l, starter.Ref{ID: "same-4"}, message.BatchScheduled)
	_, _, code = c.run(t, "", "cancel", "same-4")
	require.Zero(t, code)
	out, errs, code = c.run(t, "", append(text, "same-5")...)
	require.Zero(t, code)
	require.Contains(t, out, `"sameAs":null`)
	require.Empty(t, errs)
	for _, id := range []string{"same-2", "same-3", "same-5"} {
		_, errs, code = c.run(t, "", "cancel", id)
		require.Zero(t, code, errs)
	}
}

func TestASubmitOfManyNamesTheBatchThatSaidTheSame(t *testing.T) {
	t.Parallel()
	tenant := "same"
	g := shared.gateway(t, shared.gatewayConfig(t, tenant))
	body := func(n int, reversed bool) string {
		text, err := os.ReadFile(audience(t, n, "\r\n", reversed))
		require.NoError(t, err)
		return string(text)
	}
	const path = "/v1/batches?account=hook&text=Hi+%24%7Bname%7D&id="
	first := g.as(tenant, "POST", path+"many-1", body(100, false)).is(202)
	require.Empty(t, first.header.Values("Volley-Same-As"))
	listed(t, shared, starter.Ref{Tenant: tenant, ID: "many-1"}, message.BatchCompleted)
	again := g.as(tenant, "POST", path+"many-1", body(100, false)).is(200)
	require.Empty(t, again.header.Values("Volley-Same-As"), "it is the same batch")
	// The answer may be late on a machine with much to do; then it is left out.
	require.Eventually(t, func() bool {
		r := g.as(tenant, "POST", path, body(100, true), "Idempotency-Key: "+time.Now().String())
		return r.is(202).header.Get("Volley-Same-As") != ""
	}, time.Minute, 50*time.Millisecond)

	few := g.as(tenant, "POST", path+"few-1", body(99, false)).is(202)
	listed(t, shared, starter.Ref{Tenant: tenant, ID: few.batch()}, message.BatchCompleted)
	require.Empty(t, g.as(tenant, "POST", path+"few-2", body(99, false)).is(202).header.Values("Volley-Same-As"))
}

func TestAServerThatCannotCompareContentsStartsBatches(t *testing.T) {
	t.Parallel()
	s, err := server.Start(t.Context(), server.Options{Log: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	tc, err := temporalclient.Dial(t.Context(), temporalclient.Options{Log: zap.NewNop(), EnvLookup: env{"TEMPORAL_ADDRESS": s.Address()}})
	require.NoError(t, err)
	t.Cleanup(tc.Close)
	_, err = tc.OperatorService().RemoveSearchAttributes(t.Context(), &operatorservice.RemoveSearchAttributesRequest{
		Namespace: s.Namespace(), SearchAttributes: []string{contract.AttrContent},
	})
	require.NoError(t, err)
	c := cli{bin: volley(t), config: shared.config(t, "volley", "hook"), temporal: s.Address()}
	file := audience(t, 3, "\n", false)
	start := []string{"start", "--dialect", "volley", "--account", "hook", "--text", "Hi ${name}", "-o", "json", file, "--id"}
	// The server knows of the removal after a moment.
	require.Eventually(t, func() bool {
		_, err := tc.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "VolleyContent = 'none'"})
		return err != nil
	}, time.Minute, 50*time.Millisecond)
	out, errs, code := c.run(t, "", append(start, "bare-1")...)
	require.Zero(t, code, errs)
	require.Contains(t, out, `"sameAs":null`)
	require.Equal(t, "volley: no worker serves account hook, its messages wait: start `volley worker` with a configuration that has it\n", errs)
	_, errs, code = c.run(t, "", append(start, "bare-2", "--if-same", "refuse")...)
	require.Equal(t, 1, code, "nobody can say")
	require.Contains(t, errs, "volley setup")

	out, errs, code = c.run(t, "", "setup", "-o", "json")
	require.Zero(t, code, errs)
	require.JSONEq(t, `{"added":["VolleyContent"],"storeMade":false}`, out)
}

// typist runs the binary at a terminal of its own.
func (c cli) typist(t *testing.T, typed string, args ...string) (shown string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.bin, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CI=") && !strings.HasPrefix(v, "VOLLEY_NO_INPUT=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "TEMPORAL_ADDRESS="+c.temporal, "VOLLEY_CONFIG="+c.config)
	terminal, err := pty.Start(cmd)
	require.NoError(t, err)
	defer terminal.Close()
	var all []byte
	for asked := false; ; {
		b := make([]byte, 4096)
		n, err := terminal.Read(b)
		all = append(all, b[:n]...)
		if !asked && bytes.Contains(all, []byte("[y/N] ")) {
			asked = true
			_, werr := io.WriteString(terminal, typed)
			require.NoError(t, werr)
		}
		if err != nil {
			break // the process has closed it
		}
	}
	_ = cmd.Wait() // the code says it
	return strings.ReplaceAll(string(all), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

func TestAPersonIsAskedBeforeManyMessages(t *testing.T) {
	t.Parallel()
	l := shared
	c := cli{bin: volley(t), config: l.config(t, "volley", "idle"), temporal: l.server.Address()}
	small, large := audience(t, 1001, "\n", false), audience(t, 100_000, "\n", false)
	start := []string{"start", "--dialect", "volley", "--account", "idle", "--text", "Hi ${name}", "--send-after", "1h", "--id"}
	for typed, says := range map[string]string{"n\n": "nothing was started", "\x03": "interrupted, nothing was started", "\x04": "nothing was started"} {
		for file, number := range map[string]string{small: "1,001 messages through idle\n", large: "100,000 messages through idle\n"} {
			shown, code := c.typist(t, typed, append(start, "asked-no", file)...)
			require.Equal(t, 1, code, shown)
			require.Contains(t, shown, number)
			require.Contains(t, shown, ": Hi Ann 0\n")
			require.Contains(t, shown, says)
			_, _, code = c.run(t, "", "status", "asked-no")
			require.Equal(t, 4, code, "nothing was started")
		}
	}
	stored := func(id string) []string {
		return slices.DeleteFunc(l.files(t, ""), func(name string) bool { return !strings.Contains(name, "/"+id) })
	}
	require.Empty(t, stored("asked-no"), "what was uploaded is removed")

	shown, code := c.typist(t, "y\n", append(start, "asked-yes", small)...)
	require.Zero(t, code, shown)
	require.Contains(t, shown, "batch asked-yes: 1,001 messages")
	require.NotEmpty(t, stored("asked-yes"))
	shown, code = c.typist(t, "", append(start, "asked-yes", small)...)
	require.Zero(t, code, shown)
	require.NotContains(t, shown, "[y/N]", "it is there already")
	shown, code = c.typist(t, "", append(start, "asked-never", "--yes", "--again", small)...)
	require.Zero(t, code, shown)
	require.NotContains(t, shown, "[y/N]")
	_, errs, code := c.run(t, "", append(start, "asked-piped", small)...)
	require.Zero(t, code, errs)
	for _, id := range []string{"asked-yes", "asked-never", "asked-piped"} {
		_, _, code = c.run(t, "", "cancel", id)
		require.Zero(t, code)
	}
}
