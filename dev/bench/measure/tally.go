package measure

import (
	"slices"

	common "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	history "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Tally counts what one history holds. Its zero value is ready; Add takes the
// events of one run in their order.
type Tally struct {
	// Events is how many there are.
	Events int
	// Actions is what Temporal Cloud would charge for them. Heartbeats and queries
	// are not in histories.
	Actions int
	// Payload is the largest single payload, in bytes of data.
	Payload int
	// Pending is the most activities, children, signals to others or timers, whichever
	// is most, that were open at once.
	Pending int
	// Children are the workflows that it started.
	Children []*common.WorkflowExecution
	// Next is the run that goes on as this one's continuation, or empty.
	Next string

	open [pendingKinds]map[int64]bool
	// local is the workflow task whose local activities were counted last.
	local int64
}

// What may be pending, each with the event that opens it.
const (
	pendingActivity = iota
	pendingChild
	pendingSignal
	pendingTimer
	pendingKinds
)

// Add counts one event.
func (t *Tally) Add(e *history.HistoryEvent) {
	t.Events++
	t.Actions += t.actions(e)
	t.Payload = max(t.Payload, largest(e.ProtoReflect()))
	t.follow(e)
}

// actions is what an event costs, by the price list: a start and a continuation
// one, a child two, which its parent's history holds; an activity one and one for
// each retry; all local activities of one workflow task together one; timers,
// signals, updates, upserts of search attributes and side effects one each.
func (t *Tally) actions(e *history.HistoryEvent) int {
	switch e.GetEventType() {
	case enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
		a := e.GetWorkflowExecutionStartedEventAttributes()
		if a.GetParentWorkflowExecution() != nil || a.GetContinuedExecutionRunId() != "" {
			return 0
		}
		return 1
	case enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
		return 2
	case enums.EVENT_TYPE_ACTIVITY_TASK_STARTED:
		return int(max(e.GetActivityTaskStartedEventAttributes().GetAttempt(), 1)) - 1
	case enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
		if e.GetWorkflowExecutionSignaledEventAttributes().GetExternalWorkflowExecution() != nil {
			return 0 // whoever sent it has it in its history
		}
		return 1
	case enums.EVENT_TYPE_MARKER_RECORDED:
		return t.marker(e.GetMarkerRecordedEventAttributes())
	case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
		enums.EVENT_TYPE_TIMER_STARTED,
		enums.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
		enums.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
		return 1
	}
	return 0
}

func (t *Tally) marker(a *history.MarkerRecordedEventAttributes) int {
	switch a.GetMarkerName() {
	case "LocalActivity":
		task := a.GetWorkflowTaskCompletedEventId()
		if task == t.local {
			return 0
		}
		t.local = task
		return 1
	case "SideEffect", "MutableSideEffect":
		return 1
	}
	return 0
}

// follow keeps what is open, and notes children and the next run.
func (t *Tally) follow(e *history.HistoryEvent) {
	switch a := e.GetAttributes().(type) {
	case *history.HistoryEvent_ActivityTaskScheduledEventAttributes:
		t.opened(pendingActivity, e.GetEventId())
	case *history.HistoryEvent_ActivityTaskCompletedEventAttributes:
		t.closed(pendingActivity, a.ActivityTaskCompletedEventAttributes.GetScheduledEventId())
	case *history.HistoryEvent_ActivityTaskFailedEventAttributes:
		t.closed(pendingActivity, a.ActivityTaskFailedEventAttributes.GetScheduledEventId())
	case *history.HistoryEvent_ActivityTaskTimedOutEventAttributes:
		t.closed(pendingActivity, a.ActivityTaskTimedOutEventAttributes.GetScheduledEventId())
	case *history.HistoryEvent_ActivityTaskCanceledEventAttributes:
		t.closed(pendingActivity, a.ActivityTaskCanceledEventAttributes.GetScheduledEventId())
	case *history.HistoryEvent_StartChildWorkflowExecutionInitiatedEventAttributes:
		t.opened(pendingChild, e.GetEventId())
	case *history.HistoryEvent_ChildWorkflowExecutionStartedEventAttributes:
		t.Children = append(t.Children, a.ChildWorkflowExecutionStartedEventAttributes.GetWorkflowExecution())
	case *history.HistoryEvent_StartChildWorkflowExecutionFailedEventAttributes:
		t.closed(pendingChild, a.StartChildWorkflowExecutionFailedEventAttributes.GetInitiatedEventId())
	case *history.HistoryEvent_ChildWorkflowExecutionCompletedEventAttributes:
		t.closed(pendingChild, a.ChildWorkflowExecutionCompletedEventAttributes.GetInitiatedEventId())
	case *history.HistoryEvent_ChildWorkflowExecutionFailedEventAttributes:
		t.closed(pendingChild, a.ChildWorkflowExecutionFailedEventAttributes.GetInitiatedEventId())
	case *history.HistoryEvent_ChildWorkflowExecutionCanceledEventAttributes:
		t.closed(pendingChild, a.ChildWorkflowExecutionCanceledEventAttributes.GetInitiatedEventId())
	case *history.HistoryEvent_ChildWorkflowExecutionTimedOutEventAttributes:
		t.closed(pendingChild, a.ChildWorkflowExecutionTimedOutEventAttributes.GetInitiatedEventId())
	case *history.HistoryEvent_ChildWorkflowExecutionTerminatedEventAttributes:
		t.closed(pendingChild, a.ChildWorkflowExecutionTerminatedEventAttributes.GetInitiatedEventId())
	case *history.HistoryEvent_SignalExternalWorkflowExecutionInitiatedEventAttributes:
		t.opened(pendingSignal, e.GetEventId())
	case *history.HistoryEvent_ExternalWorkflowExecutionSignaledEventAttributes:
		t.closed(pendingSignal, a.ExternalWorkflowExecutionSignaledEventAttributes.GetInitiatedEventId())
	case *history.HistoryEvent_SignalExternalWorkflowExecutionFailedEventAttributes:
		t.closed(pendingSignal, a.SignalExternalWorkflowExecutionFailedEventAttributes.GetInitiatedEventId())
	case *history.HistoryEvent_TimerStartedEventAttributes:
		t.opened(pendingTimer, e.GetEventId())
	case *history.HistoryEvent_TimerFiredEventAttributes:
		t.closed(pendingTimer, a.TimerFiredEventAttributes.GetStartedEventId())
	case *history.HistoryEvent_TimerCanceledEventAttributes:
		t.closed(pendingTimer, a.TimerCanceledEventAttributes.GetStartedEventId())
	case *history.HistoryEvent_WorkflowExecutionContinuedAsNewEventAttributes:
		t.Next = a.WorkflowExecutionContinuedAsNewEventAttributes.GetNewExecutionRunId()
	}
}

func (t *Tally) opened(kind int, id int64) {
	if t.open[kind] == nil {
		t.open[kind] = map[int64]bool{}
	}
	t.open[kind][id] = true
	t.Pending = max(t.Pending, len(t.open[kind]))
}

func (t *Tally) closed(kind int, id int64) { delete(t.open[kind], id) }

// payloadName is the message that everything of a user's own is wrapped in.
var payloadName = (*common.Payload)(nil).ProtoReflect().Descriptor().FullName()

// largest is the size of the largest payload inside a message.
func largest(m protoreflect.Message) int {
	if m.Descriptor().FullName() == payloadName {
		return len(m.Interface().(*common.Payload).GetData())
	}
	var sizes []int
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsMap():
			if f.MapValue().Message() == nil {
				break
			}
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				sizes = append(sizes, largest(v.Message()))
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				sizes = append(sizes, largest(v.List().Get(i).Message()))
			}
		default:
			sizes = append(sizes, largest(v.Message()))
		}
		return true
	})
	return slices.Max(append(sizes, 0))
}
