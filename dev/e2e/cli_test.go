package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// cli runs the built binary against the shared server.
type cli struct {
	bin, config, temporal string
}

// run returns what the command printed and its exit code.
func (c cli) run(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.bin, args...)
	cmd.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+c.temporal, "VOLLEY_CONFIG="+c.config)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestTheCommandLineFromStartToResults(t *testing.T) {
	t.Parallel()
	l := shared
	c := cli{bin: volley(t), config: l.config(t, "volley", "hook", "blind"), temporal: l.server.Address()}
	const batch = `{"account":"hook","text":"Hi ${name}","messages":[
		{"to":"cli-1","params":{"name":"Ann"},"reference":"r-1"},
		{"to":"cli-2"},
		{"to":"cli-3+reject","params":{"name":"Bob"}}]}`
	start := []string{"start", "--dialect", "volley", "--id", "cli", "-o", "json", "--wait", "-"}

	out, errs, code := c.run(t, batch, start...)
	require.Equal(t, 3, code, "a message was not sent: %s", errs)
	var started struct {
		ID       string
		Total    int
		Rejected int
		Existing bool
		Problems []message.Problem
		Status   message.Status
	}
	require.NoError(t, json.Unmarshal([]byte(out), &started), out)
	require.Equal(t, "cli", started.ID)
	require.Equal(t, 3, started.Total)
	require.Equal(t, 1, started.Rejected)
	require.Equal(t, "messages[1].params.name", started.Problems[0].Path)
	require.Equal(t, 1, started.Status.Counts[message.Sent])
	require.Equal(t, 1, started.Status.Counts[message.Failed])

	out, _, code = c.run(t, batch, append([]string{"-o", "json"}, start[:5]...)...)
	require.Equal(t, 2, code, "no file: %s", out)
	out, _, code = c.run(t, batch, "start", "-", "--id", "cli", "--dialect=volley", "-o=json")
	require.Equal(t, 0, code)
	require.Contains(t, out, `"existing":true`)
	_, _, code = c.run(t, strings.Replace(batch, "Ann", "Eve", 1), "start", "-", "--id", "cli", "--dialect", "volley")
	require.Equal(t, 5, code)
	_, _, code = c.run(t, batch, "start", "-", "--id", "cli-strict", "--dialect", "volley", "--strict")
	require.Equal(t, 2, code)
	_, _, code = c.run(t, "", "status", "cli-strict")
	require.Equal(t, 4, code, "nothing was started")

	out, _, code = c.run(t, "", "message", "cli", "0", "-o", "json")
	require.Equal(t, 0, code)
	var row message.Row
	require.NoError(t, json.Unmarshal([]byte(out), &row))
	require.Equal(t, "r-1", *row.Reference)
	require.Len(t, row.Trail, 1)
	_, _, code = c.run(t, "", "message", "cli", "7")
	require.Equal(t, 4, code)

	file := filepath.Join(t.TempDir(), "r.csv")
	_, _, code = c.run(t, "", "results", "cli", "--format", "csv", "--out", file)
	require.Equal(t, 0, code)
	csv, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(string(csv), "\n"))
	out, _, _ = c.run(t, "", "results", "cli", "--state", "failed")
	require.Equal(t, 1, strings.Count(out, "\n"))

	out, _, code = c.run(t, "", "cancel", "cli", "-o", "json")
	require.Equal(t, 0, code)
	var canceled message.CancelResult
	require.NoError(t, json.Unmarshal([]byte(out), &canceled))
	require.Equal(t, message.CancelCounts{Sent: 1, Ended: 2}, canceled.Counts)
	_, errs, code = c.run(t, "", "pause", "cli")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "ended")

	out, _, code = c.run(t, "", "redrive", "cli", "-o", "json", "--wait")
	require.Equal(t, 3, code)
	require.Contains(t, out, `"redriveOf":"cli"`)

	c.temporal = "127.0.0.1:1"
	_, errs, code = c.run(t, "", "status", "cli")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "127.0.0.1:1")
}
