package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// worker starts a process that works for the lab's account, by way of an address of
// Temporal.
func (l *lab) worker(t *testing.T, temporal, listen string) *exec.Cmd {
	t.Helper()
	return spawn(t, []string{"TEMPORAL_ADDRESS=" + temporal}, volley(t), "worker", "--config", l.config(t, queueOf(t), l.served[0].Name), "--listen", listen)
}

// A worker that is started before Temporal lives, is not ready, and works once Temporal is
// there.
func TestAWorkerWaitsForTemporal(t *testing.T) {
	t.Parallel()
	l := shared.own(t, messages, 0)
	way := newSwitchedProxy(t, l.server.Address())
	way.set(true)
	ref := l.start(t, l.starter, l.served[0].Name, notes(t, 5))
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	l.worker(t, way.Addr().String(), listen)
	ask := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listen+path, nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, ""
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(body)
	}
	require.Eventually(t, func() bool { _, page := ask("/metrics"); return containsLine(page, "volley_temporal_away 1") }, time.Minute, 50*time.Millisecond)
	status, _ := ask("/healthz")
	require.Equal(t, http.StatusOK, status)
	status, _ = ask("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	way.set(false)
	ended, rows := l.wait(t, ref)
	require.Equal(t, 5, ended.Counts[message.Sent])
	l.agree(t, rows)
	require.Eventually(t, func() bool { status, _ := ask("/readyz"); return status == http.StatusOK }, time.Minute, 50*time.Millisecond)
	require.Eventually(t, func() bool { _, page := ask("/metrics"); return containsLine(page, "volley_temporal_away 0") }, time.Minute, 50*time.Millisecond)
	_, page := ask("/metrics")
	require.Contains(t, page, "\nvolley_clock_offset_seconds")
}

// A worker that stands still in the middle of requests for longer than they may take, and
// then goes on, sends nothing again that another one has sent or found meanwhile.
func TestAWorkerThatStandsStillSendsNothingTwice(t *testing.T) {
	t.Parallel()
	inBothWays(t, 2*time.Second, func(t *testing.T, l *lab) {
		all := notes(t, 120)
		for i := range all {
			all[i].To += "+slow"
		}
		ref := l.large(t, all)
		first := l.worker(t, l.server.Address(), "")
		l.some(t, 20)
		require.NoError(t, first.Process.Signal(syscall.SIGSTOP))
		second := l.worker(t, l.server.Address(), "")
		l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == len(all) })
		require.NoError(t, first.Process.Signal(syscall.SIGCONT))
		for _, w := range []*exec.Cmd{first, second} {
			require.NoError(t, w.Process.Signal(syscall.SIGTERM))
			require.NoError(t, w.Wait(), "what it still had to do is done")
		}
		l.serve(t)
		_, rows := l.wait(t, ref)
		l.agree(t, rows)
		require.EqualValues(t, len(all), l.sandbox.Counts().Total, "each arrived once")
	})
}

// A worker whose clock is 20 s off sends what is valid, and tells when by Temporal's clock.
func TestAWorkerWhoseClockIsOffCountsByTheServers(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 20 * time.Second, "behind": -20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothWays(t, 0, func(t *testing.T, l *lab) {
				l.now = func() time.Time { return time.Now().Add(off) }
				l.serve(t)
				all := notes(t, 40)
				for i := range all {
					all[i].TTL = "19s"
				}
				began := time.Now()
				ref := l.large(t, all)
				status, rows := l.wait(t, ref)
				require.Equal(t, len(all), status.Counts[message.Sent], "%v", *status.Counts)
				for _, row := range rows {
					require.WithinRange(t, *row.SentAt, began.Add(-3*time.Second), time.Now().Add(3*time.Second))
				}
				l.agree(t, rows)
			})
		})
	}
}

// containsLine reports whether a text has a line.
func containsLine(text, line string) bool {
	return slices.Contains(strings.Split(text, "\n"), line)
}
