package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

const oneMessage = `{"account":"hook","text":"Hi","messages":[{"to":"+15550001111"}]}`

// errorOf reads the one document of a command that failed.
func errorOf(t *testing.T, r result) (code, id string) {
	t.Helper()
	doc := document(t, r)
	e, ok := doc["error"].(map[string]any)
	require.True(t, ok, r.stdout)
	require.Len(t, e, 3)
	require.Equal(t, "volley: "+e["message"].(string)+"\n", r.stderr[strings.LastIndex(r.stderr, "volley: "):], "the sentence is on stderr, too")
	return e["code"].(string), e["id"].(string)
}

func TestACommandThatFailsPrintsOneDocument(t *testing.T) {
	t.Parallel()
	commands := map[string][]string{
		"status": {"status", "b1"}, "messages": {"messages", "b1"}, "message": {"message", "b1", "0"}, "results": {"results", "b1"},
		"cancel": {"cancel", "b1"}, "pause": {"pause", "b1"}, "resume": {"resume", "b1"}, "watch": {"watch", "b1"},
		"reschedule": {"reschedule", "b1", "--send-after", "1h"}, "redrive": {"redrive", "b1"}, "delete": {"delete", "b1"},
		"start": {"start", "--dialect", "volley", "--id", "b1", "-"}, "list": {"list"}, "setup": {"setup"}, "purge": {"purge"},
	}
	for want, c := range map[string]struct {
		err  error
		exit int
	}{
		"not_found":        {fmt.Errorf("batch b1: %w", starter.ErrNotFound), 4},
		"conflict":         {fmt.Errorf("batch b1: %w", starter.ErrConflict), 5},
		"no_worker":        {fmt.Errorf("batch b1: %w", starter.ErrNoWorker), 1},
		"unreachable":      {fmt.Errorf("batch b1: %w", starter.ErrUnreachable), 1},
		"invalid":          {fmt.Errorf("batch b1: %w", starter.ErrInvalid), 2},
		"ended":            {fmt.Errorf("batch b1: %w", starter.ErrEnded), 1},
		"may_have_changed": {fmt.Errorf("pause batch b1: %w", starter.ErrMayHaveChanged), 1},
		"failed":           {errors.New("something else"), 1},
	} {
		for name, args := range commands {
			if name == "watch" && (want == "no_worker" || want == "unreachable") {
				continue // it waits for them
			}
			t.Run(want+" "+name, func(t *testing.T) {
				t.Parallel()
				s := withConfig(t, &fake{err: c.err})
				s.stdin = oneMessage
				r := s.run(t, append(args, "-o", "json")...)
				require.Equal(t, c.exit, r.code, r.stderr)
				code, id := errorOf(t, r)
				require.Equal(t, want, code)
				if len(args) > 1 {
					require.Equal(t, "b1", id)
				} else {
					require.Empty(t, id)
				}
				text := s.run(t, args...)
				require.Equal(t, c.exit, text.code)
				require.Empty(t, text.stdout)
			})
		}
	}
}

func TestWrongUsagePrintsOneDocument(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"status", "-o", "json"},
		{"status", "--bogus", "b1", "-o", "json"},
		{"status", "b1", "--output=json", "--bogus"},
		{"sttaus", "-ojson"},
		{"start", "--dialect", "volley", "-o=json", "no-such-file"},
		{"validate", "--dialect", "volley", "-o", "json", "no-such-file"},
		{"list", "-o", "json", "--config", "no-such-file"},
		{"list", "-o", "json", "--tenant", "a b"},
	} {
		r := setting{}.run(t, args...)
		require.Equal(t, exitUsage, r.code, args)
		code, _ := errorOf(t, r)
		require.Equal(t, "invalid", code, args)
	}
	r := setting{}.run(t, "status", "--", "b1", "-o", "json")
	require.Empty(t, r.stdout, "what stands behind -- is no flag")
}

func TestACommandThatHasPrintedItsDocumentPrintsNoOther(t *testing.T) {
	t.Parallel()
	s := withConfig(t, &fake{err: fmt.Errorf("recorded: %w", starter.ErrNoWorker), cancel: message.CancelResult{Batch: "b1"}})
	r := s.run(t, "cancel", "b1", "-o", "json")
	require.Equal(t, exitFailed, r.code)
	require.Equal(t, false, document(t, r)["confirmed"])

	s = withConfig(t, &fake{})
	s.stdin = `{"account":"hook","messages":[{"to":"+15550001111"}]}`
	r = s.run(t, "start", "--dialect", "volley", "-o", "json", "-")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, document(t, r), "problems")
}

func TestAStartOfWhichNobodyCanSayNamesItsBatch(t *testing.T) {
	t.Parallel()
	may := &starter.MayHaveStartedError{Ref: starter.Ref{Tenant: "default", ID: "b7"}, Cause: context.Canceled}
	for name, args := range map[string][]string{
		"start": {"start", "--dialect", "volley", "-"}, "redrive": {"redrive", "b1"},
	} {
		s := withConfig(t, &fake{err: fmt.Errorf("start: %w", may)})
		s.stdin = oneMessage
		r := s.run(t, append(args, "-o", "json")...)
		require.Equal(t, exitFailed, r.code, name)
		code, id := errorOf(t, r)
		require.Equal(t, "may_have_started", code)
		require.Equal(t, "b7", id)
		require.Equal(t, "b7", document(t, r)["id"])
		require.Equal(t, "volley: batch b7 may have started: volley status b7, or repeat with --id b7\n", s.run(t, args...).stderr)
	}
	may.Ref.Tenant = "acme"
	require.Equal(t, "batch b7 may have started: volley status b7 --tenant acme, or repeat with --id b7", sentence(may))
}

// absent is a starter whose batch nobody serves for a while.
type absent struct {
	fake
	ends time.Duration
}

func (f *absent) Wait(ctx context.Context, _ starter.Ref) (message.Status, error) {
	select {
	case <-ctx.Done():
		return message.Status{}, ctx.Err()
	case <-time.After(f.ends):
		return ended(message.Counts{message.Sent: 1}), nil
	}
}

func (f *absent) Status(ctx context.Context, ref starter.Ref) (message.Status, error) {
	select {
	case <-ctx.Done():
		return message.Status{}, ctx.Err()
	case <-time.After(10 * time.Second): // as a starter does
		return message.Status{}, fmt.Errorf("batch %s: %w (10s)", ref.ID, starter.ErrNoWorker)
	}
}

func TestWhoWaitsIsToldThatNobodyServesTheBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stderr strings.Builder
		a := &app{stderr: &stderr}
		st, err := a.end(t.Context(), &absent{ends: 45 * time.Second}, starter.Ref{ID: "b1"}, false)
		require.NoError(t, err)
		require.Equal(t, message.BatchCompleted, st.State)
		const line = "volley: no worker serves batch b1, it goes on when one does: `volley worker`; still waiting\n"
		require.Equal(t, strings.Repeat(line, 4), stderr.String(), "once in ten seconds")

		stderr.Reset()
		_, err = a.end(t.Context(), &absent{ends: 5 * time.Second}, starter.Ref{ID: "b1"}, false)
		require.NoError(t, err)
		require.Empty(t, stderr.String())
	})
}

// left is a starter whose batch nobody serves, and which ends after some looks.
type left struct {
	absent
	looks int
}

func (f *left) Status(ctx context.Context, ref starter.Ref) (message.Status, error) {
	if f.looks--; f.looks < 0 {
		return ended(message.Counts{message.Sent: 1}), nil
	}
	return f.absent.Status(ctx, ref)
}

func TestWhoWatchesIsToldAgainThatNobodyServesTheBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stderr strings.Builder
		a := &app{stderr: &stderr, now: time.Now, every: time.Second}
		_, err := a.follow(t.Context(), &left{looks: 3}, starter.Ref{ID: "b1"}, documents{io.Discard})
		require.NoError(t, err)
		require.Equal(t, 3, strings.Count(stderr.String(), "no worker serves batch b1"))
	})
}

func TestAStartThatNoWorkerOpenedSaysSo(t *testing.T) {
	t.Parallel()
	s := withConfig(t, &fake{started: starter.Started{ID: "b1", Total: 2000, Segments: 2, Unopened: true}})
	s.stdin = oneMessage
	r := s.run(t, "start", "--dialect", "volley", "-o", "json", "-")
	require.Equal(t, exitDone, r.code)
	require.Equal(t, true, document(t, r)["unopened"])
	require.Contains(t, r.stderr, "no worker has opened batch b1 yet, it waits for one: start `volley worker`; `volley status b1` shows how it goes on\n")
}

func TestAnInterruptedConnectIsNoBrokenServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	env := []string{"TEMPORAL_ADDRESS=127.0.0.1:1", "TEMPORAL_CONFIG_FILE=" + t.TempDir() + "/none.toml", "VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig)}
	for want, args := range map[string][]string{
		"interrupted, nothing was started": {"start", "--dialect", "volley", "-o", "json", "-"},
		"interrupted":                      {"status", "b1", "-o", "json"},
	} {
		var stdout, stderr strings.Builder
		code := run(ctx, args, env, strings.NewReader(oneMessage), &stdout, &stderr)
		require.Equal(t, exitFailed, code)
		require.Equal(t, "volley: "+want+"\n", stderr.String())
		require.Contains(t, stdout.String(), `"code":"interrupted"`)
	}
}

func TestAWrongValueOfAFlagIsToldInPlainWords(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`--priority "x": expected a whole number`:                           {"start", "--priority", "x", "f"},
		`--await-reports "soon": expected a duration such as 90s, 2h or 3d`: {"start", "--await-reports", "soon", "f"},
		`--wait "maybe": expected true or false`:                            {"start", "--wait=maybe", "f"},
		"unknown flag: --bogus, `volley start --help` shows what there is":  {"start", "--bogus", "f"},
	} {
		r := setting{}.run(t, args...)
		require.Equal(t, exitUsage, r.code)
		require.Equal(t, "volley: "+want+"\n", r.stderr)
	}
}
