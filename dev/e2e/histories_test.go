package e2e_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

var corpus = flag.String("release", "", "store the histories of these batches as those of a `release` such as v0.2.0, for the replay test of package workflows")

// scenario is a batch whose history is worth keeping: every way to an end, and
// every control on the way.
type scenario struct {
	account string
	notes   func(all []note) []note
	during  func(t *testing.T, l *lab, ref starter.Ref)
	want    message.BatchState
	// large means that it says something of large batches only.
	large bool
}

// kept are the scenarios whose histories are stored of large batches too; in the
// others a segment does what a small batch does.
var kept = map[string]bool{
	"sent": true, "rejected-failed-expired": true, "doubtful": true, "breaker": true, "stragglers": true,
	"canceled-by-update": true, "canceled-in-flight": true, "canceled-single": true,
	"paused-and-resumed": true, "rescheduled": true, "continued-as-new": mode == segments,
	"unknown": true, "undelivered": true, "canceled-by-name": true, "unclear-signal": true,
}

func TestHistoriesOfEveryPathReplay(t *testing.T) {
	t.Parallel()
	for name, s := range scenarios() {
		if s.large && mode == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := shared
			account, all := s.account, notes(t, 4)
			if account == "" {
				account = "hook"
			}
			if s.notes != nil {
				all = s.notes(all)
			}
			ref := l.start(t, l.starter, account, all)
			if s.during != nil {
				s.during(t, l, ref)
			}
			status, rows := l.wait(t, ref)
			if s.want == "" {
				s.want = message.BatchCompleted
			}
			require.Equal(t, s.want, status.State)
			l.agree(t, rows)
			if mode == "" {
				l.replay(t, name, starter.WorkflowID(ref))
				return
			}
			own, parts := "", ""
			if kept[name] {
				own, parts = mode+"."+name, mode+"."+name
			}
			if name == "continued-as-new" { // which only a segment does
				own = ""
			}
			l.replayLarge(t, own, parts, starter.WorkflowID(ref))
		})
	}
}

func scenarios() map[string]scenario {
	steer := func(marks ...string) func([]note) []note {
		return func(all []note) []note {
			for i, m := range marks {
				all[i].To += m
			}
			return all
		}
	}
	scheduled := func(all []note) []note {
		for i := range all {
			all[i].SendAfter = fmt.Sprintf("%ds", 2*i)
		}
		return all
	}
	waits := func(all []note) []note {
		for i := range all[1:] {
			all[i+1].SendAfter = "1h"
		}
		return all
	}
	return map[string]scenario{
		"sent":  {},
		"empty": {notes: func([]note) []note { return nil }},
		"rejected-failed-expired": {notes: func(all []note) []note {
			all[0].Params = nil
			all[1].To += "+reject"
			all[2].SendAfter, all[2].TTL = "2020-01-01T00:00:00Z", "1h"
			all[3].To, all[3].TTL = all[3].To+"+down", "3s"
			return all
		}},
		"retried":     {notes: steer("+flaky", "+limit", "", "+slow")},
		"doubtful":    {notes: steer("+drop", "+lost", "+drop")},
		"unknown":     {account: "blind", notes: steer("+drop", "+lost", "+drop")},
		"undelivered": {account: "telling", notes: waits, during: undelivered},
		"failed-over": {account: "locked>hook", notes: steer("", "+reject", "+drop")},
		"scheduled":   {notes: scheduled},
		"breaker": {account: "fragile", notes: func(all []note) []note {
			for i := range 30 {
				all = append(all, note{To: fmt.Sprintf("%s-down-%d+down", all[0].To, i), Params: all[0].Params, TTL: "6s"})
			}
			return all
		}},
		"canceled-by-update":        {account: "idle", during: cancel(message.CancelRequest{Reason: "wrong"}), want: message.BatchCanceled},
		"canceled-by-signal":        {notes: waits, during: signal, want: message.BatchCanceled},
		"canceled-through-temporal": {notes: waits, during: throughTemporal, want: message.BatchCanceled},
		"canceled-in-flight":        {account: "other", notes: steer("+slow", "+drop"), during: inFlight, want: message.BatchCanceled},
		"canceled-single":           {notes: waits, during: single},
		"canceled-by-name":          {notes: waits, during: byName},
		"paused-and-resumed":        {account: "idle", during: pauseAndResume, want: message.BatchCanceled},
		"unclear-signal":            {notes: waits, during: unclear},
		"rescheduled": {notes: waits, during: func(t *testing.T, l *lab, ref starter.Ref) {
			l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
			res, err := l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "2s"})
			require.NoError(t, err)
			require.Equal(t, 3, res.Rescheduled)
		}},
		"continued-as-new": {notes: waits, during: manyUpdates},
		"stragglers":       {account: "patient", notes: steer("", "+down", "+down"), during: stragglers, want: message.BatchCanceled, large: true},
	}
}

func cancel(q message.CancelRequest) func(*testing.T, *lab, starter.Ref) {
	return func(t *testing.T, l *lab, ref starter.Ref) {
		l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sending]+s.Counts[message.Sent] > 0 })
		_, err := l.starter.Cancel(t.Context(), ref, q)
		require.NoError(t, err)
	}
}

// signal cancels as the stock CLI does, without an argument.
func signal(t *testing.T, l *lab, ref starter.Ref) {
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
	require.NoError(t, l.client.SignalWorkflow(t.Context(), starter.WorkflowID(ref), "", "cancel", nil))
}

func throughTemporal(t *testing.T, l *lab, ref starter.Ref) {
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
	require.NoError(t, l.client.CancelWorkflow(t.Context(), starter.WorkflowID(ref), ""))
}

// inFlight cancels while one request is under way and one is in doubt. Of a group
// nothing is known before it ends.
func inFlight(t *testing.T, l *lab, ref starter.Ref) {
	sending := 2
	if mode == groups {
		sending = 4
	}
	l.until(t, ref, func(s message.Status) bool {
		return l.arrived(t) == 4 && s.Counts[message.Sent] == 4-sending && s.Counts[message.Sending] == sending
	})
	res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
	require.NoError(t, err)
	require.Equal(t, sending, res.Counts.InFlight)
}

// stragglers cancels what waits for another attempt.
func stragglers(t *testing.T, l *lab, ref starter.Ref) {
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 2 && s.Counts[message.Retrying] == 2 })
	_, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
	require.NoError(t, err)
}

func single(t *testing.T, l *lab, ref starter.Ref) {
	key := message.KeyOf(starter.WorkflowID(ref))
	for _, ids := range [][]string{{key.MessageID(0), key.MessageID(1)}, {key.MessageID(2), key.MessageID(3)}} {
		_, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Messages: ids})
		require.NoError(t, err)
	}
}

// byName cancels messages by a signal, which a large batch brings to their segments.
func byName(t *testing.T, l *lab, ref starter.Ref) {
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
	q := message.CancelRequest{Messages: []string{"1", "2", "3"}}
	require.NoError(t, l.client.SignalWorkflow(t.Context(), starter.WorkflowID(ref), "", contract.ControlCancel, q))
}

// unclear asks for a cancel that could mean something else, which is ignored.
func unclear(t *testing.T, l *lab, ref starter.Ref) {
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
	require.NoError(t, l.client.SignalWorkflow(t.Context(), starter.WorkflowID(ref), "", contract.ControlCancel, json.RawMessage(`{"messages":null}`)))
	_, err := l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "1s"})
	require.NoError(t, err)
}

// undelivered reports one that has left, and lets the others go.
func undelivered(t *testing.T, l *lab, ref starter.Ref) {
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
	id := message.KeyOf(starter.WorkflowID(ref)).MessageID(0)
	_, err := l.starter.Report(t.Context(), []message.Report{{ID: id, State: message.Undelivered, Account: "telling", Code: "gone"}})
	require.NoError(t, err)
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Undelivered] == 1 })
	_, err = l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "1s"})
	require.NoError(t, err)
}

func pauseAndResume(t *testing.T, l *lab, ref starter.Ref) {
	sending := func(s message.Status) bool { return s.Counts[message.Sending] == 4 }
	l.until(t, ref, sending)
	_, err := l.starter.Pause(t.Context(), ref)
	require.NoError(t, err)
	_, err = l.starter.Resume(t.Context(), ref)
	require.NoError(t, err)
	l.until(t, ref, sending)
	require.NoError(t, l.client.SignalWorkflow(t.Context(), starter.WorkflowID(ref), "", "pause", nil))
	l.until(t, ref, func(s message.Status) bool { return s.State == message.BatchPaused })
	_, err = l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
	require.NoError(t, err)
}

// manyUpdates makes the run as long as one may be; the batch goes on in another. Of
// a large batch it is the segment's, since its own never does.
func manyUpdates(t *testing.T, l *lab, ref starter.Ref) {
	id := starter.WorkflowID(ref)
	if mode != "" {
		id += "~0001"
	}
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
	for range 760 {
		_, err := l.starter.Pause(t.Context(), ref)
		require.NoError(t, err)
		_, err = l.starter.Resume(t.Context(), ref)
		require.NoError(t, err)
	}
	require.Greater(t, len(l.runs(t, id)), 1)
	_, err := l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "1s"})
	require.NoError(t, err)
}

// record replays a batch and its segments, and stores them under a name of the mode.
func (l *lab) record(t *testing.T, name string, ref starter.Ref) {
	t.Helper()
	if mode != "" {
		name = mode + "." + name
	}
	l.replayLarge(t, name, name, starter.WorkflowID(ref))
}

func TestHistoriesOfARedriveReplay(t *testing.T) {
	t.Parallel()
	l := inMode(t)
	l.serve(t)
	all := notes(t, 4)
	all[0].To, all[1].To = all[0].To+"+reject", all[1].To+"+reject"
	ref := l.large(t, dueIn(all, 2, "1h"))
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Failed] == 2 })
	again, err := l.starter.Redrive(t.Context(), ref, starter.RedriveQuery{States: []string{"failed"}})
	require.NoError(t, err)
	l.wait(t, starter.Ref{ID: again.ID})
	l.reschedule(t, ref, "0s")
	l.wait(t, ref)
	l.record(t, "redriven", starter.Ref{ID: again.ID})
	if mode == "" {
		l.replay(t, "redriven~hold", contract.RedriveID(starter.WorkflowID(ref), 1))
	}
}

func TestHistoriesOfAHoldReplay(t *testing.T) {
	t.Parallel()
	l := inMode(t)
	l.serve(t)
	free := l.held(t, "rotation")
	ref := l.large(t, notes(t, 4))
	l.until(t, ref, func(s message.Status) bool { return s.Held != nil && s.Held.By == "person" })
	free()
	status, _ := l.wait(t, ref)
	require.Equal(t, 4, status.Counts[message.Sent])
	l.record(t, "held", ref)
	if mode == "" {
		l.replay(t, "held~holds", contract.HoldsID(queueOf(t)))
	}
}

func TestHistoriesOfASegmentThatOthersEndReplay(t *testing.T) {
	t.Parallel()
	if mode == "" {
		return // it has none
	}
	l := inMode(t)
	l.serve(t)
	ref := l.large(t, dueIn(notes(t, 4), 1, "1h"))
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
	l.terminate(t, starter.WorkflowID(ref)+"~0001")
	status, _ := l.wait(t, ref)
	require.Equal(t, 3, status.Counts[message.Failed])
	l.record(t, "closed-out", ref)
}

func TestHistoriesOfASuppressedMessageReplay(t *testing.T) {
	t.Parallel()
	l := inMode(t)
	x, all := l.suppresses(t), notes(t, 4)
	_, err := x.Suppress(t.Context(), []index.Suppression{{Tenant: "default", Recipient: all[1].To}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.suppressions.Len() == 1 }, busy, 10*time.Millisecond)
	l.serve(t)
	ref := l.large(t, all)
	status, rows := l.wait(t, ref)
	require.Equal(t, message.Counts{message.Sent: 3, message.Rejected: 1}, *status.Counts)
	l.agree(t, rows)
	l.record(t, "suppressed", ref)
}

// A control that is brought to a segment after a later one is not done: what the batch was
// asked for last counts.
func TestHistoriesOfOvertakenControlsReplay(t *testing.T) {
	t.Parallel()
	if mode == "" {
		return // nobody brings it its controls
	}
	l := inMode(t)
	l.serve(t)
	ref := l.large(t, dueIn(notes(t, 4), 1, "1h"))
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
	_, err := l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "2h"})
	require.NoError(t, err)
	_, err = l.starter.Pause(t.Context(), ref)
	require.NoError(t, err)
	_, err = l.starter.Resume(t.Context(), ref)
	require.NoError(t, err)
	late, err := l.client.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: starter.WorkflowID(ref) + "~0001", UpdateID: contract.RoundID(contract.ControlPause, 1), UpdateName: contract.ControlPause,
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	require.NoError(t, err)
	require.NoError(t, late.Get(t.Context(), nil))
	_, err = l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "0s"})
	require.NoError(t, err)
	status, rows := l.wait(t, ref)
	require.Equal(t, 4, status.Counts[message.Sent], "no segment stands still")
	l.agree(t, rows)
	l.record(t, "overtaken", ref)
}
