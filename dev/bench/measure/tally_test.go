package measure_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	common "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	history "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"volley/dev/bench/measure"
)

// tally counts events that are given as JSON, numbered from 1.
func tally(t *testing.T, events ...string) *measure.Tally {
	t.Helper()
	var all measure.Tally
	for i, text := range events {
		var e history.HistoryEvent
		require.NoError(t, protojson.Unmarshal([]byte(text), &e), text)
		e.EventId = int64(i + 1)
		all.Add(&e)
	}
	return &all
}

const (
	scheduled = `{"eventType":"EVENT_TYPE_ACTIVITY_TASK_SCHEDULED","activityTaskScheduledEventAttributes":{}}`
	timer     = `{"eventType":"EVENT_TYPE_TIMER_STARTED","timerStartedEventAttributes":{}}`
	local     = `{"eventType":"EVENT_TYPE_MARKER_RECORDED","markerRecordedEventAttributes":{"markerName":"LocalActivity","workflowTaskCompletedEventId":`
	signaled  = `{"eventType":"EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED","workflowExecutionSignaledEventAttributes":{`
	began     = `{"eventType":"EVENT_TYPE_WORKFLOW_EXECUTION_STARTED","workflowExecutionStartedEventAttributes":{`
)

func TestWhatEventsCost(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		events []string
		want   int
	}{
		"a start costs one":                           {[]string{began + `}}`}, 1},
		"a child's start is its parent's two":         {[]string{began + `"parentWorkflowExecution":{"workflowId":"p"}}}`}, 0},
		"a child costs two":                           {[]string{`{"eventType":"EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED"}`}, 2},
		"a continued run's start is that of the last": {[]string{began + `"continuedExecutionRunId":"r"}}`}, 0},
		"continuing as new costs one":                 {[]string{`{"eventType":"EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW"}`}, 1},
		"an activity costs one however it ends": {[]string{
			scheduled,
			`{"eventType":"EVENT_TYPE_ACTIVITY_TASK_STARTED","activityTaskStartedEventAttributes":{"attempt":1}}`,
			`{"eventType":"EVENT_TYPE_ACTIVITY_TASK_FAILED","activityTaskFailedEventAttributes":{"scheduledEventId":1}}`,
		}, 1},
		"each retry of an activity costs one more": {[]string{
			scheduled, `{"eventType":"EVENT_TYPE_ACTIVITY_TASK_STARTED","activityTaskStartedEventAttributes":{"attempt":4}}`,
		}, 4},
		"local activities of one task cost one": {[]string{local + `4}}`, local + `4}}`, local + `9}}`}, 2},
		"a timer costs one":                     {[]string{timer}, 1},
		"a client's signal costs one, another workflow's is in that one's history": {
			[]string{signaled + `}}`, signaled + `"externalWorkflowExecution":{"workflowId":"p"}}}`}, 1,
		},
		"a signal to another costs one":       {[]string{`{"eventType":"EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED"}`}, 1},
		"an update costs one":                 {[]string{`{"eventType":"EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED"}`, `{"eventType":"EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED"}`}, 1},
		"an upsert of attributes costs one":   {[]string{`{"eventType":"EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"}`}, 1},
		"workflow tasks cost nothing":         {[]string{`{"eventType":"EVENT_TYPE_WORKFLOW_TASK_SCHEDULED"}`, `{"eventType":"EVENT_TYPE_WORKFLOW_TASK_COMPLETED"}`}, 0},
		"the end of a workflow costs nothing": {[]string{`{"eventType":"EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"}`}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tally(t, x.events...)
			require.Equal(t, x.want, got.Actions)
			require.Equal(t, len(x.events), got.Events)
		})
	}
}

func TestPendingIsTheMostOfOneKindAtOnce(t *testing.T) {
	t.Parallel()
	got := tally(t,
		scheduled, scheduled, timer,
		`{"eventType":"EVENT_TYPE_ACTIVITY_TASK_COMPLETED","activityTaskCompletedEventAttributes":{"scheduledEventId":1}}`,
		scheduled,
		`{"eventType":"EVENT_TYPE_TIMER_CANCELED","timerCanceledEventAttributes":{"startedEventId":3}}`,
		timer,
	)
	require.Equal(t, 2, got.Pending)
}

func TestChildrenAndTheNextRunAreNoted(t *testing.T) {
	t.Parallel()
	got := tally(t,
		`{"eventType":"EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED","childWorkflowExecutionStartedEventAttributes":{"workflowExecution":{"workflowId":"c","runId":"1"}}}`,
		`{"eventType":"EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW","workflowExecutionContinuedAsNewEventAttributes":{"newExecutionRunId":"2"}}`,
	)
	require.Len(t, got.Children, 1)
	require.Equal(t, "c", got.Children[0].GetWorkflowId())
	require.Equal(t, "2", got.Next)
}

func TestTheLargestPayloadIsFoundWhereverItIs(t *testing.T) {
	t.Parallel()
	of := func(n int) *common.Payload { return &common.Payload{Data: make([]byte, n)} }
	var got measure.Tally
	got.Add(&history.HistoryEvent{
		EventType: enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
		Attributes: &history.HistoryEvent_ActivityTaskCompletedEventAttributes{
			ActivityTaskCompletedEventAttributes: &history.ActivityTaskCompletedEventAttributes{
				Result: &common.Payloads{Payloads: []*common.Payload{of(3), of(70)}},
			},
		},
	})
	require.Equal(t, 70, got.Payload)
	got.Add(&history.HistoryEvent{
		EventType: enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
		Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
			WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{
				Memo: &common.Memo{Fields: map[string]*common.Payload{"volley": of(900)}},
			},
		},
	})
	require.Equal(t, 900, got.Payload)
}
