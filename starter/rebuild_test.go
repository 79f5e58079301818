package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows"
)

func TestATerminatedBatchThatAwaitsReportsIsToldFromItsHistory(t *testing.T) {
	t.Parallel()
	undelivered := workflows.Reports{V: 1, Reports: []message.Report{tells(0, message.Undelivered, "one")}}
	for name, tt := range map[string]struct {
		tell  func(*teller)
		state message.State
		hop   string
	}{
		"awaiting its report": {func(h *teller) { h.answer(h.attempt(0, 1, "one"), "sent") }, message.Sent, "one"},
		"on its way through the next hop": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "sent")
			h.signal("reports", undelivered)
			h.attempt(0, 2, "two")
		}, message.Unknown, "two"},
		"sent through the next hop": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "sent")
			h.signal("reports", undelivered)
			h.answer(h.attempt(0, 2, "two"), "sent")
		}, message.Sent, "two"},
		"before the next hop": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "sent")
			h.signal("reports", undelivered)
		}, message.Undelivered, "one"},
		"canceled while it awaits": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "sent")
			h.signal("cancel", nil)
		}, message.Sent, "one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := newStarter(t, starter.Options{})
			r := request("a", 3)
			r.Batch.AwaitReports = time.Hour.Milliseconds()
			start(t, s, r)
			h := &teller{t: t, w: f.flow(t, "batch-a"), at: noon}
			tt.tell(h)
			h.w.terminate(h.tick())
			row, err := s.Message(t.Context(), a, "0")
			require.NoError(t, err)
			require.Equal(t, tt.state, row.State)
			require.Equal(t, tt.hop, row.Account)
			st, err := s.Status(t.Context(), a)
			require.NoError(t, err)
			require.Equal(t, 3, st.Counts.Total())
		})
	}
}

func TestATerminatedBatchIsToldFromItsHistory(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		tell  func(*teller)
		state message.State
		check func(*testing.T, message.Row)
	}{
		"never begun": {func(*teller) {}, message.Canceled, nil},
		"an attempt under way": {func(h *teller) { h.attempt(0, 1, "one") }, message.Unknown, func(t *testing.T, r message.Row) {
			require.Equal(t, 1, r.Attempts)
			require.Equal(t, "one", r.Account)
		}},
		"sent": {func(h *teller) { h.answer(h.attempt(0, 1, "one"), "sent") }, message.Sent, func(t *testing.T, r message.Row) {
			require.Equal(t, "p", r.ProviderID)
			require.NotNil(t, r.SentAt)
			require.Len(t, r.Trail, 1)
		}},
		"to be retried": {func(h *teller) { h.answer(h.attempt(0, 1, "one"), "throttled") }, message.Canceled, nil},
		"a retry under way": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "unavailable")
			h.attempt(0, 2, "one")
		}, message.Unknown, func(t *testing.T, r message.Row) { require.Equal(t, 2, r.Attempts) }},
		"refused with another hop left": {func(h *teller) { h.answer(h.attempt(0, 1, "one"), "rejected") }, message.Canceled, func(t *testing.T, r message.Row) {
			require.Equal(t, "two", r.Account)
		}},
		"refused on the last hop": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "unauthorized")
			h.answer(h.attempt(0, 2, "two"), "invalid")
		}, message.Failed, func(t *testing.T, r message.Row) {
			require.Equal(t, "c", r.Code)
			require.Equal(t, "two", r.Account)
			require.Equal(t, "one", r.Trail[0].Account)
			require.Equal(t, "two", r.Trail[1].Account)
		}},
		"ambiguous": {func(h *teller) { h.answer(h.attempt(0, 1, "one"), "ambiguous") }, message.Unknown, nil},
		"a question under way": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "ambiguous")
			h.question(0)
		}, message.Unknown, nil},
		"a question that was not answered": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "ambiguous")
			h.verdict(h.question(0), "later")
			h.failed(h.question(0))
		}, message.Unknown, nil},
		"found": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "ambiguous")
			h.verdict(h.question(0), "found")
		}, message.Sent, func(t *testing.T, r message.Row) { require.Equal(t, "q", r.ProviderID) }},
		"absent": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "ambiguous")
			h.verdict(h.question(0), "absent")
		}, message.Canceled, nil},
		"timed out before it began": {func(h *teller) { h.timedOut(h.attempt(0, 1, "one"), 0) }, message.Canceled, func(t *testing.T, r message.Row) {
			require.Zero(t, r.Attempts)
		}},
		"timed out after it began":  {func(h *teller) { h.timedOut(h.attempt(0, 1, "one"), 7) }, message.Unknown, nil},
		"failed":                    {func(h *teller) { h.failed(h.attempt(0, 1, "one")) }, message.Unknown, nil},
		"withdrawn before it began": {func(h *teller) { h.canceled(h.attempt(0, 1, "one"), 0) }, message.Canceled, nil},
		"withdrawn after it began":  {func(h *teller) { h.canceled(h.attempt(0, 1, "one"), 7) }, message.Unknown, nil},
		"not started":               {func(h *teller) { h.answer(h.attempt(0, 1, "one"), "not_started") }, message.Canceled, nil},
		"expired in the activity":   {func(h *teller) { h.answer(h.attempt(0, 1, "one"), "expired") }, message.Expired, nil},
		"expired before the end":    {func(h *teller) { h.at = h.at.Add(48 * time.Hour) }, message.Expired, nil},
		"canceled by a signal before it would have expired": {func(h *teller) {
			h.signal("cancel", nil)
			h.at = h.at.Add(48 * time.Hour)
		}, message.Canceled, func(t *testing.T, r message.Row) {
			require.Equal(t, noon.Add(time.Second), *r.FinishedAt)
		}},
		"canceled by an update": {func(h *teller) {
			h.update("cancel", message.CancelRequest{Reason: "why", Messages: []string{message.KeyOf("batch-a").MessageID(0)}})
			h.at = h.at.Add(48 * time.Hour)
		}, message.Canceled, func(t *testing.T, r message.Row) { require.Equal(t, "why", r.Detail) }},
		"another one canceled": {func(h *teller) {
			h.update("cancel", message.CancelRequest{Messages: []string{message.KeyOf("batch-a").MessageID(1)}})
			h.at = h.at.Add(48 * time.Hour)
		}, message.Expired, func(t *testing.T, r message.Row) { require.Equal(t, noon.Add(36*time.Hour), *r.FinishedAt) }},
		"canceled while an attempt was under way": {func(h *teller) {
			id := h.attempt(0, 1, "one")
			h.signal("cancel", message.CancelRequest{Reason: "why"})
			h.answer(id, "unavailable")
			h.at = h.at.Add(48 * time.Hour)
		}, message.Canceled, func(t *testing.T, r message.Row) { require.Equal(t, "why", r.Detail) }},
		"canceled while an attempt was under way that was sent": {func(h *teller) {
			id := h.attempt(0, 1, "one")
			h.signal("cancel", nil)
			h.answer(id, "sent")
		}, message.Sent, nil},
		"canceled and withdrawn": {func(h *teller) {
			id := h.attempt(0, 1, "one")
			h.signal("cancel", nil)
			h.canceled(id, 0)
		}, message.Canceled, nil},
		"canceled and refused with a hop left": {func(h *teller) {
			id := h.attempt(0, 1, "one")
			h.signal("cancel", nil)
			h.answer(id, "rejected")
		}, message.Canceled, func(t *testing.T, r message.Row) { require.Equal(t, "one", r.Account) }},
		"rescheduled past its first validity": {func(h *teller) {
			h.update("reschedule", message.RescheduleRequest{SendAfter: "24h"})
			h.at = h.at.Add(48 * time.Hour)
		}, message.Canceled, func(t *testing.T, r message.Row) {
			require.Equal(t, noon.Add(24*time.Hour+time.Second), *r.DueAt)
			require.Equal(t, 36*time.Hour, r.ExpiresAt.Sub(*r.DueAt))
		}},
		"rescheduled by a signal to a time": {func(h *teller) {
			h.signal("reschedule", message.RescheduleRequest{SendAfter: noon.Add(time.Hour).Format(time.RFC3339)})
		}, message.Canceled, func(t *testing.T, r message.Row) { require.Equal(t, noon.Add(time.Hour), *r.DueAt) }},
		"rescheduled by a signal that makes no sense": {func(h *teller) {
			h.signal("reschedule", message.RescheduleRequest{SendAfter: "soon"})
		}, message.Canceled, func(t *testing.T, r message.Row) { require.Equal(t, noon, *r.DueAt) }},
		"sent and delivered": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "sent")
			h.signal("reports", workflows.Reports{V: 1, Reports: []message.Report{
				tells(0, message.Delivered, "one"), tells(0, message.Undelivered, "one"), tells(99, message.Delivered, "one"), {ID: "none"},
			}})
		}, message.Delivered, func(t *testing.T, r message.Row) {
			require.Empty(t, r.Code)
			require.Equal(t, message.EventDelivered, r.Trail[1].Event)
		}},
		"reported before the answer that never came": {func(h *teller) {
			h.attempt(0, 1, "one")
			h.signal("reports", workflows.Reports{V: 1, Reports: []message.Report{tells(0, message.Undelivered, "one")}})
		}, message.Undelivered, func(t *testing.T, r message.Row) { require.Equal(t, "gone", r.Code) }},
		"delivered after all": {func(h *teller) {
			id := h.attempt(0, 1, "one")
			h.signal("reports", workflows.Reports{V: 1, Reports: []message.Report{tells(0, message.Delivered, "one")}})
			h.answer(id, "throttled")
		}, message.Delivered, nil},
		"delivered in doubt": {func(h *teller) {
			h.answer(h.attempt(0, 1, "one"), "ambiguous")
			h.signal("reports", workflows.Reports{V: 1, Reports: []message.Report{tells(0, message.Delivered, "one")}})
		}, message.Delivered, nil},
		"an attempt of no message": {func(h *teller) { h.answer(h.attempt(99, 1, "one"), "sent") }, message.Canceled, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := newStarter(t, starter.Options{})
			start(t, s, request("a", 3))
			w := f.flow(t, "batch-a")
			h := &teller{t: t, w: w, at: noon}
			tt.tell(h)
			w.terminate(h.tick())

			st, err := s.Status(t.Context(), a)
			require.NoError(t, err)
			require.Equal(t, message.BatchFailed, st.State)
			require.Equal(t, 3, st.Total)
			require.Equal(t, 3, st.Counts.Total(), "the counts add up")
			require.Zero(t, st.Counts.Open())
			require.Equal(t, 1, st.Counts[message.Rejected])
			require.Equal(t, h.at, *st.FinishedAt)

			row, err := s.Message(t.Context(), a, "0")
			require.NoError(t, err)
			require.Equal(t, tt.state, row.State)
			require.NotNil(t, row.FinishedAt)
			require.LessOrEqual(t, row.Rev, st.Rev)
			if tt.check != nil {
				tt.check(t, row)
			}
			waited, err := s.Wait(t.Context(), a)
			require.NoError(t, err)
			require.Equal(t, st, waited)
		})
	}
}

func TestATerminatedRunGoesOnFromWhatTheRunBeforeHandedOver(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	r := request("a", 7)
	start(t, s, r)
	w := f.flow(t, "batch-a")
	ms := noon.UnixMilli()
	rec := func(state message.State, doubt int64) message.Record {
		return message.Record{State: state, Due: ms, Expires: ms + 3_600_000, Doubt: doubt, Attempts: 1, Rev: 40}
	}
	state := &workflows.State{
		Rev: 900, Started: ms, SendAt: ms + 1000,
		Records: []message.Record{
			rec(message.Sent, 0), rec(message.Scheduled, 0), rec(message.Sending, ms), rec(message.Retrying, 0),
			rec(message.Canceled, 0),
			{State: message.Accepted, Due: ms, Expires: ms + 1},
			rec(message.Rejected, 0),
		},
		Trails: message.Trails{{{At: ms, Attempt: 1, Event: message.EventSent}}},
	}
	in := workflows.Input{V: 1, Batch: *r.Batch, State: state}
	in.Batch.ID, in.Batch.Tenant = "a", "default"
	w.events[0].GetWorkflowExecutionStartedEventAttributes().Input = payloads(t, in)
	w.terminate(noon.Add(time.Minute))

	st, err := s.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, message.Counts{
		message.Sent: 1, message.Canceled: 3, message.Unknown: 1, message.Expired: 1, message.Rejected: 1,
	}, *st.Counts)
	require.Greater(t, st.Rev, int64(900), "a watcher sees the end as a change")
	require.Equal(t, ms+1000, st.SendAfter.UnixMilli())
	page, err := s.Messages(t.Context(), a, message.PageQuery{Since: 900})
	require.NoError(t, err)
	require.Len(t, page.Messages, 4)
	row, err := s.Message(t.Context(), a, "0")
	require.NoError(t, err)
	require.Len(t, row.Trail, 1)
}

func TestAttemptsThatAreUsedUpEndAMessage(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	r := request("a", 1)
	r.Batch.Hops = [][]message.Hop{{{Account: "one"}}}
	r.Batch.Policies["one"] = message.Policy{Attempts: 2}
	start(t, s, r)
	w := f.flow(t, "batch-a")
	h := &teller{t: t, w: w, at: noon}
	h.answer(h.attempt(0, 1, "one"), "throttled")
	h.answer(h.attempt(0, 2, "one"), "unavailable")
	w.terminate(h.tick())
	st, err := s.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, message.Counts{message.Failed: 1}, *st.Counts)
}

func TestCancelOfATerminatedBatchTellsWhatIsKnown(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 2))
	w := f.flow(t, "batch-a")
	h := &teller{t: t, w: w, at: noon}
	h.answer(h.attempt(1, 1, "one"), "sent")
	w.terminate(h.tick())
	got, err := s.Cancel(t.Context(), a, message.CancelRequest{})
	require.NoError(t, err)
	require.Equal(t, message.CancelCounts{Sent: 1, Ended: 1}, got.Counts)
}
