package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/starter"
)

func TestExitCodesOfErrors(t *testing.T) {
	t.Parallel()
	for want, errs := range map[int][]error{
		1: {starter.ErrUnreachable, starter.ErrNoWorker, starter.ErrEnded, starter.ErrRefused, starter.ErrStore, errors.New("anything else")},
		2: {starter.ErrInvalid, &starter.TooLargeError{Messages: 2, MaxMessages: 1}},
		4: {starter.ErrNotFound},
		5: {starter.ErrConflict},
	} {
		for _, err := range errs {
			r := with(fake{err: fmt.Errorf("status of b1: %w", err)})().run(t, "status", "b1")
			require.Equal(t, want, r.code, "%v", err)
			require.Empty(t, r.stdout)
			require.Equal(t, "volley: status of b1: "+err.Error()+"\n", r.stderr)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"nonsense", "statsu b1", "status", "status a b", "message b1", "status b1 --nope", "status b1 -o yaml", "status b1 --log-level loud",
		"status b1 --log-format xml", "status b1 --tenant a/b", "status b1 --config /does/not/exist.yaml",
		"messages b1 --state done", "messages b1 --limit 0", "messages b1 --limit 501", "messages b1 --limit x", "messages b1 --since -1",
		"results b1 --format xml", "results b1 --state done", "list extra", "list --state done", "list --meta campaign", "list --meta =x",
		"list --limit 0", "list --dialect sms", "cancel", "reschedule b1", "reschedule b1 --send-after soon", "reschedule b1 --send-after 2026-12-24T9:00:00Z", "reschedule b1 --send-after -5m",
		"redrive b1 --state failed,done", "redrive b1 --id a/b", "setup now", "version now", "worker now", "worker --deployment volley", "worker --build 1", "worker --defer-changes no-such-change", "watch",
		"start", "start -", "start --dialect sms -", "start --dialect volley", "start --dialect volley /does/not/exist.json",
		"start --dialect volley --id a/b -", "start --dialect volley --id ~ -", "start --dialect volley --send-after soon -",
		"start --dialect volley --ttl 0s -", "start --dialect volley --ttl soon -", "start --dialect volley --dispatch all -",
		"start --dialect volley --problems few -", "start --dialect volley --problems -1 -", "validate -", "validate --dialect volley",
		"validate --dialect volley --dispatch all -", "purge now", "purge --older-than soon", "purge --older-than -1h", "delete", "delete a/b",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			r := setting{fake: f, stdin: goodBody}.run(t, strings.Fields(line)...)
			require.Equal(t, 2, r.code, r.stderr)
			require.Empty(t, r.stdout)
			require.Contains(t, r.stderr, "volley: ")
			require.Zero(t, f.calls+f.startCalls)
			require.NotContains(t, r.stderr, "Usage:", "one sentence, not a page")
		})
	}
	require.Equal(t, "volley: unknown command \"statsu\", did you mean status or stats?\n", setting{}.run(t, "statsu", "b1").stderr)
}

func TestABrokenConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	path := write(t, "volley.yaml", "accounts:\n  hook: {provider: webhook, secret: hunter2}\nrouts: []\n")
	for _, args := range [][]string{{"worker"}, {"status", "b1"}, {"validate", "--dialect", "volley", "-"}} {
		r := setting{stdin: goodBody}.run(t, append(args, "--config", path)...)
		require.Equal(t, 2, r.code)
		require.Empty(t, r.stdout)
		require.Contains(t, r.stderr, "2:3 accounts.hook.url: is required\n")
		require.Contains(t, r.stderr, "3:1 routs: unknown key")
		require.NotContains(t, r.stderr, "hunter2")
	}
}

func TestOnlyAWorkerNeedsSecrets(t *testing.T) {
	t.Parallel()
	s := withConfig(t, nil)
	require.Equal(t, 0, s.run(t, "status", "b1").code)
	r := s.run(t, "worker")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, "accounts.hook.secret: the environment variable HOOK_SECRET is not set")
}

func TestTheConfigFlagBeatsTheVariable(t *testing.T) {
	t.Parallel()
	s := withConfig(t, nil)
	s.env = append(s.env, "VOLLEY_CONFIG=/does/not/exist.yaml")
	require.Equal(t, 2, s.run(t, "status", "b1").code)
	require.Equal(t, 0, s.run(t, "status", "b1", "--config", write(t, "c.yaml", testConfig)).code)
}

// This test changes the directory and cannot run beside others.
func TestTheConfigInThisDirectoryIsUsed(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("volley.yaml", []byte(testConfig), 0o600))
	r := setting{stdin: goodBody}.run(t, "validate", "--dialect", "volley", "--render", "-o", "json", "-")
	require.Equal(t, 0, r.code)
	require.Empty(t, r.stderr)
	require.Contains(t, r.stdout, `"account":"hook"`)
}

func TestAWorkerNeedsAccounts(t *testing.T) {
	t.Parallel()
	r := setting{}.run(t, "worker")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, "volley: a worker needs accounts")
}

func TestTemporalThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	env := []string{"TEMPORAL_ADDRESS=" + address, "TEMPORAL_CONFIG_FILE=" + t.TempDir() + "/none.toml"}

	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"status", "b1"}, env, strings.NewReader(""), &stdout, &stderr)
	require.Equal(t, 1, code)
	require.Empty(t, stdout.String())
	require.Contains(t, stderr.String(), "volley: temporal at "+address+" did not answer")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	golden(t, "help", setting{}.run(t, "help"))
	require.Equal(t, setting{}.run(t, "help"), setting{}.run(t))
	a := &app{now: time.Now}
	for _, cmd := range a.root().Commands() {
		require.NotEmpty(t, cmd.Short)
		require.NotEmpty(t, cmd.Example, "%s has no example", cmd.Name())
		r := setting{}.run(t, "help", cmd.Name())
		require.Equal(t, 0, r.code)
		require.Contains(t, r.stdout, "volley "+cmd.Name())
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := setting{}.run(t, "completion", shell)
		require.Equal(t, 0, r.code)
		require.Contains(t, r.stdout, "volley")
	}
	for line, want := range map[string][]string{
		"start --dialect ":           {"bird", "sinch", "imkit", "bluesky", "volley"},
		"start --account ":           {"hook", "spare"},
		"messages b1 --state ":       {"scheduled", "unknown"},
		"list --state ":              {"canceling", "paused"},
		"redrive b1 --state failed,": {"failed,unknown"},
		"results b1 --format ":       {"jsonl", "csv"},
		"status b1 -o ":              {"json", "text"},
		"":                           {"start", "worker", "version"},
		"status --log-level ":        {"debug", "error"},
	} {
		words := strings.Split(line, " ")
		r := withConfig(t, nil).run(t, append([]string{"__complete"}, words...)...)
		require.Equal(t, 0, r.code, r.stderr)
		for _, w := range want {
			require.Contains(t, strings.Split(strings.ReplaceAll(r.stdout, "\t", "\n"), "\n"), w, line)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	doc := document(t, setting{}.run(t, "version", "-o", "json"))
	require.Contains(t, doc["go"], "go1.")
	require.NotEmpty(t, doc["version"])
	require.NotEmpty(t, doc["commit"])
	require.Contains(t, doc, "sdk")
	require.Contains(t, setting{}.run(t, "version").stdout, "temporal sdk")
}

func TestSpans(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"in 3 h 3 min": 3*time.Hour + 2*time.Minute + 59*time.Second, "in 1 d": 24*time.Hour + 29*time.Minute, "in 35 d 12 h": 852 * time.Hour,
		"now": 900 * time.Millisecond, "5 s ago": -5 * time.Second, "1 min 1 s ago": -61 * time.Second, "in 2 s": 1600 * time.Millisecond,
		"in 2 h": 2*time.Hour - 20*time.Millisecond, "in 1 h": time.Hour - time.Millisecond, "in 2 d": 48*time.Hour - 10*time.Minute,
		"in 1 min": 59600 * time.Millisecond, "in 59 s": 59400 * time.Millisecond, "in 1 d 1 h": 25*time.Hour + 29*time.Minute,
	} {
		require.Equal(t, want, relative(moment.Add(d), moment))
	}
}
