package e2e_test

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	history "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	sdk "go.temporal.io/sdk/worker"

	"volley/internal/message"
	"volley/starter"
	"volley/worker"
)

var update = flag.Bool("update", false, "store the histories of these batches for the replay test of package workflows")

// scenario is a batch whose history is worth keeping: every way to an end, and
// every control on the way.
type scenario struct {
	account string
	notes   func(all []note) []note
	during  func(t *testing.T, l *lab, ref starter.Ref)
	want    message.BatchState
}

func TestHistoriesOfEveryPathReplay(t *testing.T) {
	t.Parallel()
	for name, s := range scenarios() {
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
			l.replay(t, mode+"."+name, starter.WorkflowID(ref))
			for n := 1; n <= l.children(t, starter.WorkflowID(ref)); n++ {
				l.replay(t, fmt.Sprintf("%s.%s~%d", mode, name, n), fmt.Sprintf("%s~%04d", starter.WorkflowID(ref), n))
			}
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
		"paused-and-resumed":        {account: "idle", during: pauseAndResume, want: message.BatchCanceled},
		"rescheduled": {notes: waits, during: func(t *testing.T, l *lab, ref starter.Ref) {
			l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
			res, err := l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "2s"})
			require.NoError(t, err)
			require.Equal(t, 3, res.Rescheduled)
		}},
		"continued-as-new": {notes: waits, during: manyUpdates},
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

// inFlight cancels while one request is under way and one is in doubt.
func inFlight(t *testing.T, l *lab, ref starter.Ref) {
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 2 && s.Counts[message.Sending] == 2 })
	res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
	require.NoError(t, err)
	require.Equal(t, 2, res.Counts.InFlight)
}

func single(t *testing.T, l *lab, ref starter.Ref) {
	key := message.KeyOf(starter.WorkflowID(ref))
	for _, ids := range [][]string{{key.MessageID(0), key.MessageID(1)}, {key.MessageID(2), key.MessageID(3)}} {
		_, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Messages: ids})
		require.NoError(t, err)
	}
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

// manyUpdates makes the run as long as one may be; the batch goes on in another.
func manyUpdates(t *testing.T, l *lab, ref starter.Ref) {
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1 })
	first, err := l.client.DescribeWorkflowExecution(t.Context(), starter.WorkflowID(ref), "")
	require.NoError(t, err)
	for range 760 {
		_, err := l.starter.Pause(t.Context(), ref)
		require.NoError(t, err)
		_, err = l.starter.Resume(t.Context(), ref)
		require.NoError(t, err)
	}
	now, err := l.client.DescribeWorkflowExecution(t.Context(), starter.WorkflowID(ref), "")
	require.NoError(t, err)
	require.NotEqual(t, first.GetWorkflowExecutionInfo().GetExecution().GetRunId(), now.GetWorkflowExecutionInfo().GetExecution().GetRunId())
	_, err = l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "1s"})
	require.NoError(t, err)
}

// children is how many workflows a large batch has started.
func (l *lab) children(t *testing.T, workflowID string) (n int) {
	t.Helper()
	for _, run := range l.runs(t, workflowID) {
		for _, e := range run.GetEvents() {
			if e.GetChildWorkflowExecutionStartedEventAttributes() != nil {
				n++
			}
		}
	}
	return n
}

// replay replays each run of a batch and, with -update, stores it.
func (l *lab) replay(t *testing.T, name, workflowID string) {
	t.Helper()
	runs := l.runs(t, workflowID)
	for i, run := range runs {
		// A replay writes into the history that it is given, so a copy comes first.
		doc, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(run)
		require.NoError(t, err)
		r := sdk.NewWorkflowReplayer()
		worker.RegisterWorkflows(r)
		require.NoError(t, r.ReplayWorkflowHistory(nil, run))
		if *update {
			file := name
			if len(runs) > 1 {
				file = fmt.Sprintf("%s.%d", name, i+1)
			}
			save(t, file, doc)
		}
	}
}

// save writes a history for the replay test of package workflows.
func save(t *testing.T, name string, doc []byte) {
	t.Helper()
	host, err := os.Hostname()
	require.NoError(t, err)
	doc = bytes.ReplaceAll(doc, []byte("@"+host), []byte("@host"))
	path := filepath.Join("..", "..", "workflows", "testdata", "histories", name+".json.gz")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	f, err := os.Create(path)
	require.NoError(t, err)
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	require.NoError(t, err)
	_, err = z.Write(doc)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())
}

// runs are the histories of a batch, from its first run to its last.
func (l *lab) runs(t *testing.T, workflowID string) []*history.History {
	t.Helper()
	var all []*history.History
	run := ""
	for {
		h := &history.History{}
		it := l.client.GetWorkflowHistory(t.Context(), workflowID, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for it.HasNext() {
			e, err := it.Next()
			require.NoError(t, err)
			h.Events = append(h.Events, e)
		}
		all = append([]*history.History{h}, all...)
		run = h.Events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
		if run == "" {
			return all
		}
	}
}
