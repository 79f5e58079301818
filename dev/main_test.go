package main

// These tests are inside the package because a command has nothing to import.

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/config"
	"volley/internal/encryption"
	"volley/internal/message"
)

func free(args ...string) []string {
	return append(args, "--temporal-port", "0", "--ui-port", "0", "--gateway-port", "0", "--sandbox-port", "0", "--console-port", "0")
}

func TestTheDemoEndsAsExpected(t *testing.T) {
	t.Parallel()
	var out, progress bytes.Buffer
	err := run(t.Context(), free("demo", "--no-ui"), &out, &progress)
	require.NoError(t, err, "%s\n%s", progress.String(), out.String())
	first, tables, _ := strings.Cut(out.String(), "\n")
	var a addresses
	require.NoError(t, json.Unmarshal([]byte(first), &a))
	for _, e := range examples() {
		require.Contains(t, tables, e.file)
	}
	require.Contains(t, tables, "All of them ended as expected")
	require.NotContains(t, tables, "NOT ")
	require.Contains(t, progress.String(), "messages have ended")
	require.Contains(t, progress.String(), "/batch/messages' -H 'Authorization: AccessKey sandbox-gateway-key'")
}

func TestUpServesUntilItIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	var forPeople bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, free("up", "--allow-host", "box.example", "--state-dir", dir, "--db", filepath.Join(dir, "new", "volley.db")), stdout, &forPeople)
		_ = stdout.Close()
	}()
	var a map[string]string
	require.NoError(t, json.NewDecoder(out).Decode(&a), "the first line is JSON")
	go func() { _, _ = io.Copy(io.Discard, out) }()
	require.Len(t, a, 6)
	require.Contains(t, a["codec"], "http://127.0.0.1:")
	require.NotEmpty(t, a["temporal"])
	for _, address := range []string{a["ui"], a["sandbox"], a["gateway"] + "/readyz", a["console"]} {
		resp, err := http.Get(address)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	for host, want := range map[string]int{"evil.example": http.StatusMisdirectedRequest, "box.example": http.StatusOK} {
		for _, address := range []string{a["ui"] + "/api/v1/settings", a["sandbox"] + "/messages"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
			require.NoError(t, err)
			req.Host = host
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, want, resp.StatusCode, "%s as %s", address, host)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "volley.yaml"), os.LookupEnv)
	require.NoError(t, err, "what it wrote is a configuration")
	require.Len(t, cfg.Accounts(), 5)
	require.Equal(t, 100, cfg.Limits.InFlight)
	keyset, err := encryption.Load(cfg.Keyset.Reveal())
	require.NoError(t, err)
	require.False(t, keyset.IsOff(), "payloads are sealed")
	require.Contains(t, get(t, a["ui"]+"/api/v1/settings"), `"`+a["codec"]+`"`, "and the Web UI knows who opens them")
	for origin, want := range map[string]int{a["ui"]: http.StatusOK, strings.Replace(a["ui"], "127.0.0.1", "localhost", 1): http.StatusOK, "http://evil.example": http.StatusForbidden} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a["codec"]+"/decode", strings.NewReader(`{"payloads":[]}`))
		require.NoError(t, err)
		req.Header.Set("Origin", origin)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, origin)
	}

	stop()
	require.NoError(t, <-ended)
	require.Contains(t, forPeople.String(), "VOLLEY_CONFIG="+filepath.Join(dir, "volley.yaml"))
	require.FileExists(t, filepath.Join(dir, "new", "volley.db"))
}

// get is what an address answers.
func get(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get(address)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func TestATakenPortIsRefusedWithTheFlagsThatChooseOthers(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	_, taken, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	for _, flag := range []string{"--temporal-port", "--ui-port", "--gateway-port", "--sandbox-port", "--console-port"} {
		err := run(t.Context(), append(free("up", "--state-dir", t.TempDir()), flag, taken), io.Discard, io.Discard)
		require.ErrorIs(t, err, syscall.EADDRINUSE, flag)
		require.ErrorContains(t, err, taken)
		require.ErrorContains(t, err, flag)
	}
}

func TestAMessageThatEndsOtherwiseIsNamed(t *testing.T) {
	t.Parallel()
	b := &demoBatch{
		example: example{file: "x.json", ends: []end{{state: message.Sent, why: "accepted"}, {state: message.Rejected, code: "range"}}},
		rows: []message.Row{
			{To: "+1", State: message.Failed, Code: "http_400", Detail: "no"},
			{To: "+2", State: message.Rejected, Code: "type"},
			{To: "+3", State: message.Sent},
		},
		status: message.Status{State: message.BatchCanceled, Total: 3, Counts: &message.Counts{}},
	}
	wrong := strings.Join(report(io.Discard, []*demoBatch{b}), "\n")
	require.Contains(t, wrong, "message 0 to +1: failed (http_400 no), expected sent, because: accepted")
	require.Contains(t, wrong, `message 1 to +2: rejected with code "type", expected code "range"`)
	require.Contains(t, wrong, "message 2 to +3: sent")
	require.Contains(t, wrong, "2 messages expected; the results have 3, the total is 3, the counts add up to 0")
	require.Contains(t, wrong, "the batch is canceled, expected completed")
}

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		args    []string
		command string
		err     error
	}{
		{"nothing means up", nil, cmdUp, nil},
		{"flags may stand before the command", []string{"--no-ui", "demo"}, cmdDemo, nil},
		{"flags may stand after the command", []string{"up", "--no-gateway", "--codec-port", "0"}, cmdUp, nil},
		{"an unknown command is refused", []string{"down"}, "", errUsage},
		{"an unknown flag is refused", []string{"--fast"}, "", errUsage},
		{"a demo without a worker is refused", []string{"demo", "--no-worker"}, "", errUsage},
		{"a demo without a gateway is refused", []string{"demo", "--no-gateway"}, "", errUsage},
		{"help is no failure", []string{"--help"}, "", flag.ErrHelp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := parse(tt.args, io.Discard)
			require.ErrorIs(t, err, tt.err)
			if tt.err == nil {
				require.Equal(t, tt.command, o.command)
			}
		})
	}
}
