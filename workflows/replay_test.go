package workflows_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"

	"volley/worker"
)

// Histories are recorded by the end-to-end tests (dev/e2e, -update). Each is one
// run of a batch on a real server; this code must still decide as it did then.
func TestStoredHistoriesReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/*.json.gz")
	require.NoError(t, err)
	names := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json.gz")
		names[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(file)
			require.NoError(t, err)
			defer f.Close()
			z, err := gzip.NewReader(f)
			require.NoError(t, err)
			history, err := client.HistoryFromJSON(z, client.HistoryJSONOptions{})
			require.NoError(t, err)
			r := sdk.NewWorkflowReplayer()
			worker.RegisterWorkflows(r)
			require.NoError(t, r.ReplayWorkflowHistory(nil, history))
		})
	}
	must := []string{
		"sent", "rejected-failed-expired", "retried", "doubtful", "failed-over", "breaker", "scheduled", "empty",
		"canceled-by-update", "canceled-by-signal", "canceled-through-temporal", "canceled-in-flight", "canceled-single",
		"paused-and-resumed", "rescheduled", "continued-as-new.1", "continued-as-new.2",
		"segments.continued-as-new~1.1", "segments.continued-as-new~1.2", "group.lost-worker", "group.lost-worker~1",
		"reports", "reports-kept",
		"callbacks", "callbacks~notify", "segments.callbacks", "segments.callbacks~notify",
	}
	// Of a large batch, in message and in group dispatch, with its segments.
	for _, way := range []string{"segments", "group"} {
		for _, name := range []string{
			"sent", "rejected-failed-expired", "doubtful", "breaker", "stragglers", "canceled-by-update",
			"canceled-in-flight", "canceled-single", "paused-and-resumed", "rescheduled", "reports",
		} {
			must = append(must, way+"."+name, way+"."+name+"~1")
		}
	}
	for _, name := range must {
		require.True(t, names[name], "the history %s is missing", name)
	}
}
