package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tabled are the metrics that docs/operations.md lists, with their labels.
func tabled(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	require.NoError(t, err)
	found := map[string][]string{}
	name, label := regexp.MustCompile("`(volley_[a-z_]+)`"), regexp.MustCompile("`([a-z_]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			found[m[1]] = []string{}
			for _, l := range label.FindAllStringSubmatch(cells[2], -1) {
				found[m[1]] = append(found[m[1]], l[1])
			}
			slices.Sort(found[m[1]])
		}
	}
	return found
}

// ofTheSDK are labels that the SDK adds.
var ofTheSDK = []string{"activity_type", "le", "namespace", "task_queue", "worker_type", "workflow_type", "client_name"}

// scraped are the metrics of ours at some pages, with the labels that they had there.
func scraped(t *testing.T, pages ...string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	series := regexp.MustCompile(`(?m)^(volley_[a-z_]+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? `)
	label := regexp.MustCompile(`([a-z_]+)="`)
	for _, page := range pages {
		resp, err := http.Get(page)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		for _, m := range series.FindAllStringSubmatch(string(body), -1) {
			labels := []string{}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(ofTheSDK, l[1]) {
					labels = append(labels, l[1])
				}
			}
			slices.Sort(labels)
			found[m[1]] = labels
		}
	}
	return found
}

// TestWhatIsDocumentedIsExportedAndNothingElse brings about what the metrics of
// docs/operations.md count, at a worker and a gateway, and compares.
func TestWhatIsDocumentedIsExportedAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, free("up", "--no-ui", "--no-worker", "--state-dir", dir), stdout, io.Discard)
		_ = stdout.Close()
	}()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	var a map[string]string
	require.NoError(t, json.NewDecoder(out).Decode(&a))
	go func() { _, _ = io.Copy(io.Discard, out) }()

	binary := staticBinary(t)
	volley := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, args...)
		cmd.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+a["temporal"], "VOLLEY_CONFIG="+filepath.Join(dir, "volley.yaml"))
		return cmd
	}
	worker := volley("worker", "--listen", "127.0.0.1:0", "--log-format", "json")
	stderr, err := worker.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, worker.Start())
	t.Cleanup(func() { _ = worker.Process.Kill(); _ = worker.Wait() })
	address, _ := listening(t, stderr)
	go func() { _, _ = io.Copy(io.Discard, stderr) }()

	call := func(path, key, body string, want int) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a["gateway"]+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, "%s: %s", path, answer)
	}
	const key = "sandbox-gateway-key"
	call("/v1/batches", "a wrong key", `{}`, http.StatusUnauthorized)
	call("/v1/batches?account=hook", key, `{"text":"hi","metadata":{"campaign":"spring"},"callbacks":{"url":"`+a["sandbox"]+`/callbacks"},
		"messages":[{"to":"a"},{"to":"b+flaky"},{"to":"c+drop"},{"to":"d+delivered"},{"to":"e","validity":"0s"}]}`, http.StatusAccepted)
	var refused strings.Builder
	for i := range 210 {
		fmt.Fprintf(&refused, `%s{"to":"r%d+reject"}`, strings.Repeat(",", min(i, 1)), i)
	}
	call("/v1/batches?account=hook", key, `{"text":"hi","messages":[`+refused.String()+`]}`, http.StatusAccepted)
	answer, err := volley("hold", "--account", "idle").CombinedOutput()
	require.NoError(t, err, string(answer))

	want := tabled(t)
	require.Greater(t, len(want), 15)
	// Tests of their own bring these about.
	delete(want, "volley_store_away_total")
	delete(want, "volley_audit_failures_total")
	delete(want, "volley_store_full_total")
	var got map[string][]string
	require.Eventually(t, func() bool {
		got = scraped(t, "http://"+address+"/metrics", a["gateway"]+"/metrics")
		return len(got) >= len(want)
	}, 2*time.Minute, 200*time.Millisecond, "waits for more than %v", &got)
	require.Equal(t, want, got)
}
