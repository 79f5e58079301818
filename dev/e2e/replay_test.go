package e2e_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	history "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	sdk "go.temporal.io/sdk/worker"

	"volley/worker"
)

// children is how many workflows a large batch has started.
func (l *lab) children(t *testing.T, workflowID string) (n int) {
	t.Helper()
	for _, run := range l.runs(t, workflowID) {
		for _, e := range run.GetEvents() {
			if e.GetChildWorkflowExecutionStartedEventAttributes() != nil {
				n++
			}
		}
	}
	return n
}

// replayLarge replays a large batch and its segments, and stores them under names
// unless these are empty.
func (l *lab) replayLarge(t *testing.T, own, parts, workflowID string) {
	t.Helper()
	l.replay(t, own, workflowID)
	for n := 1; n <= l.children(t, workflowID); n++ {
		file := parts
		if file != "" {
			file = fmt.Sprintf("%s~%d", parts, n)
		}
		l.replay(t, file, fmt.Sprintf("%s~%04d", workflowID, n))
	}
}

// replay replays each run of a workflow and, with -release, stores it under a name
// unless that is empty.
func (l *lab) replay(t *testing.T, name, workflowID string) {
	t.Helper()
	runs := l.runs(t, workflowID)
	for i, run := range runs {
		// A replay writes into the history that it is given, so a copy comes first.
		doc, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(run)
		require.NoError(t, err)
		r := sdk.NewWorkflowReplayer()
		worker.RegisterWorkflows(r)
		require.NoError(t, r.ReplayWorkflowHistory(nil, run))
		if *corpus != "" && name != "" {
			file := name
			if len(runs) > 1 {
				file = fmt.Sprintf("%s.%d", name, i+1)
			}
			save(t, file, doc)
		}
	}
}

// save writes a history for the replay test of package workflows.
func save(t *testing.T, name string, doc []byte) {
	t.Helper()
	host, err := os.Hostname()
	require.NoError(t, err)
	doc = bytes.ReplaceAll(doc, []byte("@"+host), []byte("@host"))
	path := filepath.Join("..", "..", "workflows", "testdata", "histories", *corpus, name+".json.gz")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	f, err := os.Create(path)
	require.NoError(t, err)
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	require.NoError(t, err)
	_, err = z.Write(doc)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())
}

// runs are the histories of a batch, from its first run to its last.
func (l *lab) runs(t *testing.T, workflowID string) []*history.History {
	t.Helper()
	var all []*history.History
	run := ""
	for {
		h := &history.History{}
		it := l.client.GetWorkflowHistory(t.Context(), workflowID, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for it.HasNext() {
			e, err := it.Next()
			require.NoError(t, err)
			h.Events = append(h.Events, e)
		}
		all = append([]*history.History{h}, all...)
		run = h.Events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
		if run == "" {
			return all
		}
	}
}
