package activities_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/provider"
	"volley/internal/temporalclient"
)

// series are the lines of a metrics page that begin with a name of ours and hold
// every one of the words.
func series(page http.Handler, name string, words ...string) (lines []string) {
	rec := httptest.NewRecorder()
	page.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(rec.Body.String()) {
		fits := strings.HasPrefix(line, name+"{")
		for _, w := range words {
			fits = fits && strings.Contains(line, w)
		}
		if fits {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func value(t *testing.T, page http.Handler, name string, words ...string) string {
	t.Helper()
	lines := series(page, name, words...)
	require.Len(t, lines, 1, "%s %v", name, words)
	return lines[0][strings.LastIndex(lines[0], " ")+1:]
}

func TestAttemptsAndAnswersAreMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		metrics, page, err := temporalclient.NewMetrics()
		require.NoError(t, err)
		var waited time.Duration
		acts := activities.New(activities.Options{Senders: accounts{
			"hook": &sender{}, "slow": silent(&waited),
			"ask": answering(provider.Answer{Verdict: provider.Absent}, nil),
		}})
		send := func(account string, n int, late, valid time.Duration) {
			in := input()
			in.Account, in.Attempt = account, n
			in.Due = time.Now().Add(-late).UnixMilli()
			in.Expires = time.Now().Add(valid).UnixMilli()
			_, err := execute(t, environment{metrics: metrics}, acts.Send, in)
			require.NoError(t, err)
		}
		send("hook", 1, 3*time.Second, time.Hour)
		send("hook", 1, -time.Second, time.Hour) // a worker whose clock is behind
		send("hook", 2, 20*time.Second, time.Hour)
		send("hook", 1, time.Hour, 0)
		send("slow", 2, 0, 2*time.Second)
		q := question()
		q.Send.Account = "ask"
		_, err = execute(t, environment{metrics: metrics}, acts.Reconcile, q)
		require.NoError(t, err)

		require.Equal(t, "3", value(t, page, "volley_attempts_total", `account="hook"`, `kind="sent"`))
		require.Equal(t, "1", value(t, page, "volley_attempts_total", `account="hook"`, `kind="expired"`))
		require.Equal(t, "1", value(t, page, "volley_attempts_total", `account="slow"`, `kind="ambiguous"`))
		require.Equal(t, "1", value(t, page, "volley_reconciles_total", `account="ask"`, `verdict="absent"`))
		require.Equal(t, "2", value(t, page, "volley_send_latency_seconds_sum", `account="slow"`))
		require.Equal(t, "3", value(t, page, "volley_send_latency_seconds_count", `account="hook"`), "an expired one makes no request")
		require.Equal(t, "2", value(t, page, "volley_lateness_seconds_count", `account="hook"`), "first requests only")
		require.Equal(t, "3", value(t, page, "volley_lateness_seconds_sum", `account="hook"`))
		require.Empty(t, series(page, "volley_lateness_seconds_count", `account="slow"`))
		require.Equal(t, "7200", value(t, page, "volley_validity_left_seconds_sum", `account="hook"`))
		require.Equal(t, "1", value(t, page, "volley_retries_total", `account="hook"`))
		require.Equal(t, "1", value(t, page, "volley_retries_total", `account="slow"`))
	})
}
