package callback_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/callback"
	"volley/internal/message"
)

func TestAnEventHasTheSameIDHoweverOftenItIsWritten(t *testing.T) {
	t.Parallel()
	st, row := batchStatus(message.BatchRunning), messageRow(message.Sent, "", "")
	later := st
	later.AsOf, later.Rev = st.AsOf.Add(time.Hour), 99
	require.Equal(t, callback.MessageEvent(st, row), withBatch(callback.MessageEvent(later, row), st))
	require.Equal(t, callback.BatchEvent(st, callback.TypePaused, 2).ID, callback.BatchEvent(later, callback.TypePaused, 2).ID)
	require.Equal(t, callback.MessagesEvent(st, []message.Row{row}).ID, callback.MessagesEvent(later, []message.Row{row}).ID)
}

func withBatch(e callback.Event, st message.Status) callback.Event {
	e.Batch = st
	return e
}

func TestDifferentEventsHaveDifferentIDs(t *testing.T) {
	t.Parallel()
	st, row := batchStatus(message.BatchRunning), messageRow(message.Sent, "", "")
	changed, other, again, tenant := row, row, st, st
	changed.Rev++
	other.Index++
	again.CreatedAt = again.CreatedAt.Add(time.Second)
	tenant.Tenant = "other"
	ids := map[string]bool{}
	all := []callback.Event{
		callback.MessageEvent(st, row), callback.MessageEvent(st, changed), callback.MessageEvent(st, other),
		callback.MessageEvent(again, row), callback.MessageEvent(tenant, row), callback.MessagesEvent(st, []message.Row{row}),
		callback.MessagesEvent(st, []message.Row{row, other}),
		callback.BatchEvent(st, callback.TypePaused, 1), callback.BatchEvent(st, callback.TypePaused, 3), callback.BatchEvent(st, callback.TypeResumed, 1),
	}
	for _, e := range all {
		ids[e.ID] = true
		require.NotContains(t, e.ID, ".", "the signature is over id, time and body with dots between")
	}
	require.Len(t, ids, len(all))
}

func TestAChangeOfStateHasAType(t *testing.T) {
	t.Parallel()
	for want, c := range map[string][2]message.BatchState{
		"batch.started":   {message.BatchScheduled, message.BatchRunning},
		"batch.paused":    {message.BatchRunning, message.BatchPaused},
		"batch.resumed":   {message.BatchPaused, message.BatchRunning},
		"batch.canceling": {message.BatchPaused, message.BatchCanceling},
		"batch.canceled":  {message.BatchCanceling, message.BatchCanceled},
		"batch.completed": {message.BatchPaused, message.BatchCompleted},
		"batch.failed":    {message.BatchRunning, message.BatchFailed},
	} {
		require.Equal(t, want, callback.TypeOf(c[0], c[1]))
	}
}

func TestAFormatHasOnlyTheEventsOfItsProvider(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string][3]bool{ // volley, sinch, bird
		"batch.started": {true, true, false}, "batch.paused": {true, false, false}, "batch.completed": {true, true, false},
		"batch.canceled": {true, true, false}, "message.sent": {true, true, true}, "message.unknown": {true, true, true},
	} {
		require.Equal(t, want, [3]bool{callback.Has("volley", typ), callback.Has("sinch", typ), callback.Has("bird", typ)}, typ)
	}
	require.Equal(t, 100, callback.RowsOf("volley", 1_001))
	require.Equal(t, 1, callback.RowsOf("volley", 1_000))
	require.Equal(t, 1, callback.RowsOf("sinch", 5_000))
}
