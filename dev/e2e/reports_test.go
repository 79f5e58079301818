package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// TestReportsMoveMessages awaits reports, of which one comes that a message was
// delivered and one that another was not, and then reports after the end.
func TestReportsMoveMessages(t *testing.T) {
	t.Parallel()
	l := shared
	r := l.request(t, "telling>hook", "Hi ${name}", notes(t, 4))
	r.Batch.AwaitReports = (15 * time.Second).Milliseconds()
	_, err := l.starter.Start(t.Context(), r)
	require.NoError(t, err)
	wid := starter.WorkflowID(r.Ref)
	says := func(index int, state message.State, account string) message.Report {
		return message.Report{ID: message.KeyOf(wid).MessageID(index), State: state, Account: account, Code: "gone"}
	}
	l.until(t, r.Ref, func(s message.Status) bool { return l.arrived(t) == 4 && s.Counts[message.Sending] == 4 })
	out, err := l.starter.Report(t.Context(), []message.Report{
		says(0, message.Delivered, "telling"), says(1, message.Undelivered, "telling"), says(0, message.Undelivered, "telling"), {ID: "none"},
	})
	require.NoError(t, err)
	require.Equal(t, starter.ReportOutcome{Accepted: 3, Foreign: 1}, out)
	status, rows := l.wait(t, r.Ref)
	require.Equal(t, message.BatchCompleted, status.State)
	require.Equal(t, 1, status.Counts[message.Delivered])
	require.Equal(t, 3, status.Counts[message.Sent])
	for _, row := range rows {
		require.Equal(t, row.Index == 1, row.Account == "hook")
		require.Equal(t, row.Index == 0, row.State == message.Delivered)
	}

	reporter := l.starter.NewReporter()
	defer reporter.Close()
	for range 2 {
		_, err = reporter.Add(t.Context(), []message.Report{says(1, message.Undelivered, "hook"), says(2, message.Delivered, "telling")})
		require.NoError(t, err)
	}
	l.until(t, r.Ref, func(s message.Status) bool {
		return s.Counts[message.Delivered] == 2 && s.Counts[message.Undelivered] == 1 && s.Counts.Total() == 4 && s.Rev > status.Rev
	})
	page, err := l.starter.Messages(t.Context(), r.Ref, message.PageQuery{Since: status.Rev})
	require.NoError(t, err)
	require.Len(t, page.Messages, 2)
	row, err := l.starter.Message(t.Context(), r.Ref, "1")
	require.NoError(t, err)
	require.Equal(t, message.Undelivered, row.State)
	var events []message.Event
	for _, step := range row.Trail {
		events = append(events, step.Event)
	}
	require.Equal(t, []message.Event{message.EventSent, message.EventUndelivered, message.EventSent, message.EventUndelivered}, events)

	require.Eventually(t, func() bool {
		d, err := l.client.DescribeWorkflowExecution(t.Context(), contract.ReportsID(wid), "")
		return err == nil && d.GetWorkflowExecutionInfo().GetCloseTime() != nil
	}, time.Minute, 50*time.Millisecond)
	if mode == "" {
		l.replay(t, "reports", wid)
		l.replay(t, "reports-kept", contract.ReportsID(wid))
		return
	}
	l.replayLarge(t, mode+".reports", mode+".reports", wid)
}
