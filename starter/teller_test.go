package starter_test

import (
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	updatepb "go.temporal.io/api/update/v1"

	"volley/activities"
	"volley/workflows"
)

// teller writes the history of a batch that Temporal will end.
type teller struct {
	t  *testing.T
	w  *flow
	at time.Time
}

func (h *teller) tick() time.Time {
	h.at = h.at.Add(time.Second)
	return h.at
}

// attempt schedules an attempt at a message and returns the event's id.
func (h *teller) attempt(index, attempt int, account string) int64 {
	return h.schedule(workflows.SendName, activities.SendInput{V: 1, Index: index, Attempt: attempt, Account: account})
}

func (h *teller) question(index int) int64 {
	return h.schedule(workflows.ReconcileName, activities.ReconcileInput{V: 1, Send: activities.SendInput{V: 1, Index: index, Account: "one"}})
}

func (h *teller) schedule(name string, in any) int64 {
	return h.w.add(h.tick(), enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_ActivityTaskScheduledEventAttributes{
			ActivityTaskScheduledEventAttributes: &historypb.ActivityTaskScheduledEventAttributes{
				ActivityType: &commonpb.ActivityType{Name: name}, Input: payloads(h.t, in),
			},
		}
	})
}

func (h *teller) done(scheduled int64, result any) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_ActivityTaskCompletedEventAttributes{
			ActivityTaskCompletedEventAttributes: &historypb.ActivityTaskCompletedEventAttributes{
				ScheduledEventId: scheduled, StartedEventId: scheduled, Result: payloads(h.t, result),
			},
		}
	})
}

func (h *teller) answer(scheduled int64, kind string) {
	h.done(scheduled, activities.SendResult{V: 1, Kind: kind, ProviderID: "p", Code: "c", Detail: "d", At: h.at.UnixMilli()})
}

func (h *teller) verdict(scheduled int64, verdict string) {
	h.done(scheduled, activities.ReconcileResult{V: 1, Verdict: verdict, ProviderID: "q", At: h.at.UnixMilli()})
}

func (h *teller) timedOut(scheduled, begun int64) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_ActivityTaskTimedOutEventAttributes{
			ActivityTaskTimedOutEventAttributes: &historypb.ActivityTaskTimedOutEventAttributes{ScheduledEventId: scheduled, StartedEventId: begun},
		}
	})
}

func (h *teller) canceled(scheduled, begun int64) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCELED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_ActivityTaskCanceledEventAttributes{
			ActivityTaskCanceledEventAttributes: &historypb.ActivityTaskCanceledEventAttributes{ScheduledEventId: scheduled, StartedEventId: begun},
		}
	})
}

func (h *teller) failed(scheduled int64) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_ACTIVITY_TASK_FAILED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_ActivityTaskFailedEventAttributes{
			ActivityTaskFailedEventAttributes: &historypb.ActivityTaskFailedEventAttributes{ScheduledEventId: scheduled, StartedEventId: scheduled},
		}
	})
}

func (h *teller) signal(name string, arg any) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, func(e *historypb.HistoryEvent) {
		a := &historypb.WorkflowExecutionSignaledEventAttributes{SignalName: name}
		if arg != nil {
			a.Input = payloads(h.t, arg)
		}
		e.Attributes = &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{WorkflowExecutionSignaledEventAttributes: a}
	})
}

func (h *teller) update(name string, arg any) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_WorkflowExecutionUpdateAcceptedEventAttributes{
			WorkflowExecutionUpdateAcceptedEventAttributes: &historypb.WorkflowExecutionUpdateAcceptedEventAttributes{
				AcceptedRequest: &updatepb.Request{Input: &updatepb.Input{Name: name, Args: payloads(h.t, arg)}},
			},
		}
	})
}
