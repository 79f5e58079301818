package starter_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"volley/activities"
	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// SignalWithStartWorkflowExecution starts what does not run, also where something of
// that id has ended.
func (f *fake) SignalWithStartWorkflowExecution(_ context.Context, r *workflowservice.SignalWithStartWorkflowExecutionRequest) (*workflowservice.SignalWithStartWorkflowExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := r.GetWorkflowId()
	w := f.flows[id]
	started := w == nil || w.status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	if started {
		w = &flow{
			start:  &workflowservice.StartWorkflowExecutionRequest{WorkflowId: id, WorkflowType: r.GetWorkflowType(), Input: r.GetInput()},
			status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, closed: make(chan struct{}),
		}
		w.add(time.Now(), enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, func(*historypb.HistoryEvent) {})
		f.flows[id] = w
	}
	signal := r.GetSignalName()
	if signal == contract.SignalReports {
		signal += " " + string(r.GetSignalInput().GetPayloads()[0].GetData())
	}
	w.signals = append(w.signals, signal)
	if signal == contract.SignalHolds {
		w.add(time.Now(), enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, func(e *historypb.HistoryEvent) {
			e.Attributes = &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
				WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{SignalName: signal, Input: r.GetSignalInput()},
			}
		})
	}
	return &workflowservice.SignalWithStartWorkflowExecutionResponse{RunId: "run", Started: started}, nil
}

// calling is a batch of three that has ended and had callbacks.
func calling(t *testing.T) (*starter.Starter, *fake) {
	t.Helper()
	s, f := newStarter(t, starter.Options{})
	r := request("a", 3)
	r.Batch.Callbacks = &message.Callbacks{URL: "https://example.com", Format: message.CallbackVolley}
	start(t, s, r)
	f.flow(t, "batch-a").complete(t, resultOf("a", 3))
	return s, f
}

// notify puts a Notify of the batch into the fake.
func (f *fake) notify(t *testing.T) *flow {
	t.Helper()
	w := &flow{
		start:  &workflowservice.StartWorkflowExecutionRequest{WorkflowId: "batch-a~notify"},
		status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, closed: make(chan struct{}),
	}
	w.add(noon, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, func(*historypb.HistoryEvent) {})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flows["batch-a~notify"] = w
	return w
}

func notifyInput(t *testing.T, f *fake) contract.NotifyInput {
	t.Helper()
	var in contract.NotifyInput
	w := f.flow(t, "batch-a~notify")
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(w.start.GetInput(), &in))
	require.Equal(t, []string{"changed"}, w.signals)
	return in
}

func TestRenotifyGoesOnWithTheLastCursor(t *testing.T) {
	t.Parallel()
	s, f := calling(t)
	cursor := contract.Cursor{Rev: 2, Started: true, State: message.BatchCompleted, Told: 2}
	f.notify(t).complete(t, contract.NotifyResult{V: 1, Cursor: cursor, Told: 4, GivenUp: 1})
	require.NoError(t, s.RestartCallbacks(t.Context(), a))
	require.Equal(t, contract.NotifyInput{
		V: 1, ID: "a", Tenant: "default", Dialect: "volley", Total: 3, Cursor: cursor, Told: 4, GivenUp: 1,
		Callbacks: message.Callbacks{URL: "https://example.com", Format: message.CallbackVolley},
	}, notifyInput(t, f))
}

func TestRenotifySignalsOneThatRuns(t *testing.T) {
	t.Parallel()
	s, f := calling(t)
	w := f.notify(t)
	require.NoError(t, s.RestartCallbacks(t.Context(), a))
	require.Len(t, w.signals, 1)
	require.Contains(t, w.signals[0], "changed")
	require.Same(t, w, f.flow(t, "batch-a~notify"))
}

func TestRenotifyTellsOnlyLaterChangesWhenTemporalHasForgottenTheCursor(t *testing.T) {
	t.Parallel()
	s, f := calling(t)
	require.NoError(t, s.RestartCallbacks(t.Context(), a))
	require.Equal(t, contract.Cursor{Rev: 3, State: message.BatchCompleted}, notifyInput(t, f).Cursor)
}

func TestRenotifyLeavesTheSilentAlone(t *testing.T) {
	t.Parallel()
	quiet, _, _ := closedBatch(t, 3)
	require.NoError(t, quiet.RestartCallbacks(t.Context(), a))
	require.ErrorIs(t, quiet.RestartCallbacks(t.Context(), starter.Ref{ID: "nobody"}), starter.ErrNotFound)

	for name, end := range map[string]func(*flow){
		"gone":           func(w *flow) { w.complete(t, contract.NotifyResult{V: 1, Gone: true}) },
		"ended by hand":  func(w *flow) { w.terminate(noon) },
		"a failed start": func(w *flow) { w.status = enumspb.WORKFLOW_EXECUTION_STATUS_FAILED },
	} {
		s, f := calling(t)
		w := f.notify(t)
		end(w)
		require.NoError(t, s.RestartCallbacks(t.Context(), a), name)
		require.Empty(t, w.signals, name)
		require.Same(t, w, f.flow(t, "batch-a~notify"), name)
	}
}

func TestDeleteRemovesTheCallbacksToo(t *testing.T) {
	t.Parallel()
	s, f := calling(t)
	f.notify(t)
	require.NoError(t, s.Delete(t.Context(), a))
	require.Equal(t, []string{"batch-a~notify", "batch-a"}, f.deleted)
}

func TestListsDoNotShowCallbacks(t *testing.T) {
	t.Parallel()
	s, f := calling(t)
	f.notify(t)
	f.order = append(f.order, "batch-a~notify")
	got, err := s.List(t.Context(), starter.ListQuery{})
	require.NoError(t, err)
	require.Len(t, got.Batches, 1)
}

func TestChangesReadWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	small, _, _ := closedBatch(t, 3)
	large, _ := ended(t)
	for name, c := range map[string]starter.Changes{"small": small.Changes(), "large": large.Changes()} {
		ask, err := c.Asked(t.Context(), "default", "a")
		require.NoError(t, err, name)
		_, m, err := ask(t.Context(), 1)
		require.NoError(t, err, name)
		require.NotEmpty(t, m.To, name)
		_, m, err = ask(t.Context(), -1)
		require.NoError(t, err, name)
		require.Empty(t, m.To, name)
		_, _, err = ask(t.Context(), 9_999)
		require.ErrorIs(t, err, starter.ErrNotFound, name)

		st, err := c.Status(t.Context(), "default", "a")
		require.NoError(t, err, name)
		require.True(t, st.State.Closed(), name)
		page, err := c.Messages(t.Context(), "default", "a", message.PageQuery{})
		require.NoError(t, err, name)
		require.NotEmpty(t, page.Messages, name)
		_, err = c.Status(t.Context(), "other", "a")
		require.ErrorIs(t, err, activities.ErrNoBatch, name)
	}
}
