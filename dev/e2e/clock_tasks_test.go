package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"volley/internal/serverclock"
	"volley/workflows/contract"
)

// A poll that took a task would hold its batch up until the task times out. Once a task has
// waited for ten seconds, the server gives it to whoever polls a sticky queue beside it.
func TestMeasuringTheClockTakesNoTaskOfABatch(t *testing.T) {
	t.Parallel()
	l := shared
	run, err := l.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: queueOf(t)}, contract.SendBatchName, "no input")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.client.TerminateWorkflow(context.Background(), run.GetID(), "", "") })
	began := time.Now()
	for range time.Tick(500 * time.Millisecond) {
		if time.Since(began) > 13*time.Second {
			break
		}
		offset, err := serverclock.Measure(t.Context(), serverclock.Options{Server: l.client.WorkflowService(), Namespace: client.DefaultNamespace, TaskQueue: queueOf(t)})
		require.NoError(t, err)
		require.Less(t, offset.Ahead.Abs(), time.Minute, "it is the same clock")
	}
	history := l.historyOf(t, run.GetID())
	require.Len(t, history, 2)
	require.Equal(t, enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, history[1].GetEventType())
}
