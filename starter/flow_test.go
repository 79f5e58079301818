package starter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"volley/internal/message"
	"volley/workflows/contract"
)

// flow is one workflow of the fake. A nil query or update is a worker that is
// not there.
type flow struct {
	bytes  int64 // of the history
	start  *workflowservice.StartWorkflowExecutionRequest
	status enumspb.WorkflowExecutionStatus
	events []*historypb.HistoryEvent
	closed chan struct{}
	length int64 // how many more events it has than these

	// between are states that queries meet before the real one.
	between []enumspb.WorkflowExecutionStatus

	// pending are activities under way; failing is a workflow whose tasks fail.
	pending []*workflowpb.PendingActivityInfo
	failing bool

	query   func(name string, args *commonpb.Payloads) (any, error)
	update  func(name string, args *commonpb.Payloads) (any, error)
	signals []string
}

// add appends an event; its id is its place in the history.
func (w *flow) add(at time.Time, kind enumspb.EventType, set func(*historypb.HistoryEvent)) int64 {
	e := &historypb.HistoryEvent{EventId: int64(len(w.events) + 1), EventTime: timestamppb.New(at), EventType: kind}
	set(e)
	w.events = append(w.events, e)
	return e.EventId
}

// work notes that a workflow has come to a workflow task.
func (w *flow) work(at time.Time) {
	w.add(at, enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, func(*historypb.HistoryEvent) {})
}

func (w *flow) worked() bool {
	return slices.ContainsFunc(w.events, func(e *historypb.HistoryEvent) bool {
		return e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
	})
}

// show sets the state that lists find.
func (w *flow) show(t *testing.T, state message.BatchState) {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayload(string(state))
	require.NoError(t, err)
	w.start.SearchAttributes.IndexedFields[contract.AttrState] = p
}

// complete closes a workflow with a result.
func (w *flow) complete(t *testing.T, result any) {
	t.Helper()
	w.add(time.Now(), enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_WorkflowExecutionCompletedEventAttributes{
			WorkflowExecutionCompletedEventAttributes: &historypb.WorkflowExecutionCompletedEventAttributes{Result: payloads(t, result)},
		}
	})
	w.status = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	close(w.closed)
}

// terminate closes a workflow as an operator would.
func (w *flow) terminate(at time.Time) {
	w.add(at, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_WorkflowExecutionTerminatedEventAttributes{
			WorkflowExecutionTerminatedEventAttributes: &historypb.WorkflowExecutionTerminatedEventAttributes{Reason: "test"},
		}
	})
	w.status = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
	close(w.closed)
}
