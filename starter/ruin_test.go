package starter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"

	"volley/activities"
	"volley/internal/message"
	"volley/starter"
	"volley/workflows"
)

// begins notes in a batch's history that a segment's workflow began.
func (h *teller) begins(number int) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_StartChildWorkflowExecutionInitiatedEventAttributes{
			StartChildWorkflowExecutionInitiatedEventAttributes: &historypb.StartChildWorkflowExecutionInitiatedEventAttributes{
				WorkflowId: fmt.Sprintf("batch-a~%04d", number),
			},
		}
	})
}

// ends notes that it ended.
func (h *teller) ends(number int, res workflows.SegmentResult) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_ChildWorkflowExecutionCompletedEventAttributes{
			ChildWorkflowExecutionCompletedEventAttributes: &historypb.ChildWorkflowExecutionCompletedEventAttributes{
				WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: fmt.Sprintf("batch-a~%04d", number)}, Result: payloads(h.t, res),
			},
		}
	})
}

// group schedules a group of a segment.
func (h *teller) group(segment, from, to int) int64 {
	return h.schedule(workflows.GroupName, activities.GroupInput{V: 1, Segment: segment, Account: "one", Spans: [][2]int{{from, to}}})
}

// late lets a group's heartbeat time out; details are its last ones.
func (h *teller) late(scheduled, started int64, details *commonpb.Payloads) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_ActivityTaskTimedOutEventAttributes{
			ActivityTaskTimedOutEventAttributes: &historypb.ActivityTaskTimedOutEventAttributes{
				ScheduledEventId: scheduled, StartedEventId: started,
				Failure: &failurepb.Failure{FailureInfo: &failurepb.Failure_TimeoutFailureInfo{TimeoutFailureInfo: &failurepb.TimeoutFailureInfo{
					TimeoutType: enumspb.TIMEOUT_TYPE_HEARTBEAT, LastHeartbeatDetails: details,
				}}},
			},
		}
	})
}

func (h *teller) order(o workflows.Order) {
	h.w.add(h.tick(), enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{
				SignalName: "order", Input: payloads(h.t, o),
			},
		}
	})
}

func outcomes(n int, kind string) activities.Outcomes {
	all := make(activities.Outcomes, n)
	for i := range all {
		all[i] = activities.SendResult{V: 1, Kind: kind, At: noon.UnixMilli() + 9}
		if kind == activities.KindSent {
			all[i].ProviderID = fmt.Sprintf("g-%d", i)
		}
	}
	return all
}

// ruined is halfway's batch, ended by Temporal: two segments had ended, one was cut
// short and one never began; so was the retry that took over what the second left.
func ruined(t *testing.T, third func(h *teller)) *big {
	t.Helper()
	b, o := halfway(t)
	dir := o.Large.Dir
	h := &teller{t: t, w: b.fake.flow(t, "batch-a"), at: noon.Add(time.Minute)}
	for n := range 3 {
		h.begins(n + 1)
	}
	h.ends(1, workflows.SegmentResult{V: 1, Counts: message.Counts{message.Sent: 1000}, Rev: 3, Started: noon.UnixMilli()})
	require.NoError(t, b.store.KeepLedger(t.Context(), dir, 2, &message.Ledger{V: 1, Records: records(1000, func(i int) message.Record {
		if i == 1 || i == 2 {
			return retryingRecord(i)
		}
		return sentRecord(i)
	})}))
	h.ends(2, workflows.SegmentResult{V: 1, Counts: message.Counts{message.Sent: 998, message.Retrying: 2}, Left: 2})
	h.begins(6)
	h.w.terminate(h.tick())

	cut := b.child(t, 3, workflows.SegmentInput{V: 1, Dir: dir, Number: 3, Sources: []activities.Source{{Segment: 3}}})
	inner := &teller{t: t, w: cut, at: noon.Add(time.Minute)}
	third(inner)
	cut.terminate(inner.tick())
	retry := b.child(t, 6, workflows.SegmentInput{V: 1, Dir: dir, Number: 6, Sources: []activities.Source{{Segment: 2, Left: true}}})
	inner = &teller{t: t, w: retry, at: noon.Add(time.Minute)}
	inner.answer(inner.attempt(1001, 3, "two"), "sent")
	inner.attempt(1002, 3, "two")
	retry.terminate(inner.tick())
	return b
}

func TestALargeBatchThatTemporalEndedIsPutTogetherAgain(t *testing.T) {
	t.Parallel()
	b := ruined(t, func(h *teller) {
		h.done(h.group(3, 0, 500), activities.GroupResult{V: 1, Outcomes: append(outcomes(490, activities.KindSent), append(
			outcomes(4, "rejected"), append(outcomes(3, activities.KindNotStarted), outcomes(3, "ambiguous")...)...)...)})
		progress := activities.GroupProgress{V: 1, Watermark: 50, Outcomes: append(outcomes(20, activities.KindSent), make(activities.Outcomes, 30)...)}
		h.late(h.group(3, 500, 600), 7, payloads(t, progress))
		h.late(h.group(3, 600, 610), 7, nil)
		h.late(h.group(3, 610, 620), 0, nil)
		h.group(3, 620, 630)
		h.attempt(2630, 1, "one")
		h.answer(h.attempt(2631, 1, "one"), "sent")
		h.order(workflows.Order{Cancel: &message.CancelRequest{Reason: "enough", Messages: []string{key.MessageID(2700)}}})
	})
	want := message.Counts{message.Rejected: 1}
	want[message.Sent] = 1000 + 998 + 490 + 20 + 1
	want[message.Unknown] = 3 + 30 + 10 + 1 /* and a retry's */ + 1
	want[message.Sent]++ // the cut retry's own
	want[message.Canceled] = 3500 - want.Total()

	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, message.BatchFailed, st.State)
	require.Equal(t, 3500, st.Total)
	require.Equal(t, want, *st.Counts)
	require.NotNil(t, st.FinishedAt)
	require.Equal(t, noon, *st.StartedAt)

	var counts message.Counts
	rows := all(t, b, starter.ResultQuery{})
	for i, row := range rows {
		require.Equal(t, i, row.Index)
		require.Equal(t, fmt.Sprintf("+1555000%04d", i), row.To)
		require.LessOrEqual(t, row.Rev, st.Rev)
		counts[row.State]++
	}
	require.Equal(t, want, counts)
	require.Equal(t, "g-7", rows[2007].ProviderID)
	require.Equal(t, message.Canceled, rows[2490].State, "it waited for its second hop")
	require.Equal(t, "two", rows[2490].Account)
	require.Equal(t, message.Unknown, rows[2520].State, "below the watermark, without an outcome")
	require.Equal(t, message.Canceled, rows[2550].State)
	require.Zero(t, rows[2550].Attempts, "above the watermark nothing left")
	require.Equal(t, message.Unknown, rows[2630].State)
	require.Equal(t, "enough", rows[2700].Detail)
	require.Equal(t, message.Sent, rows[1001].State)
	require.Equal(t, message.Unknown, rows[1002].State)
	require.Equal(t, message.Rejected, rows[3499].State)

	t.Run("once it was told the store knows", func(t *testing.T) {
		clear(b.fake.flows)
		again, err := b.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, want, *again.Counts)
		require.Equal(t, rows, all(t, b, starter.ResultQuery{}))
	})
}

func TestWhatNobodyTookOverEndsWithTheBatch(t *testing.T) {
	t.Parallel()
	b, _ := halfway(t)
	h := &teller{t: t, w: b.fake.flow(t, "batch-a"), at: noon}
	h.begins(1)
	h.begins(2)
	h.ends(1, workflows.SegmentResult{V: 1, Lost: true})
	h.ends(2, workflows.SegmentResult{V: 1, Counts: message.Counts{message.Sent: 997, message.Retrying: 3}, Left: 3})
	h.w.terminate(h.tick())
	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	want := message.Counts{message.Failed: 1000, message.Sent: 997, message.Canceled: 3 + 1499, message.Rejected: 1}
	require.Equal(t, want, *st.Counts)
	require.Len(t, all(t, b, starter.ResultQuery{State: "canceled"}), 1502)
	require.Len(t, all(t, b, starter.ResultQuery{State: "failed"}), 1000)
	row, err := b.Message(t.Context(), a, "1001")
	require.NoError(t, err)
	require.Equal(t, message.Canceled, row.State)
	require.Equal(t, 2, row.Attempts)
	require.NotEmpty(t, row.Trail)
}

func TestTheEndIsNotKeptWhileASegmentStillRuns(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	cut := b.child(t, 3, workflows.SegmentInput{V: 1, Dir: o.Large.Dir, Number: 3, Sources: []activities.Source{{Segment: 3}}})
	h := &teller{t: t, w: b.fake.flow(t, "batch-a"), at: noon}
	h.begins(3)
	h.w.terminate(h.tick())
	inner := &teller{t: t, w: cut, at: noon}
	n := inner.attempt(2000, 1, "one")
	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, 1, st.Counts[message.Unknown])
	inner.answer(n, "sent")
	cut.terminate(inner.tick())
	st, err = b.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, 1, st.Counts[message.Sent])
	require.Zero(t, st.Counts[message.Unknown])
	require.Equal(t, 3500, st.Counts.Total())
}
