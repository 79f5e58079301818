package workflows_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/workflows"
)

// late is a report of the message at a position of the segment.
func late(pos int, s message.State) message.Report {
	return message.Report{ID: message.KeyOf("batch-b").MessageID(2000 + pos), State: s, Account: "one", Code: "gone"}
}

func TestReportsMoveTheMessagesOfASegment(t *testing.T) {
	t.Parallel()
	for _, dispatch := range []string{"message", "group"} {
		b := newSegmentBench(t, 4)
		b.lines[3].Due = start.Add(time.Hour).UnixMilli()
		b.at(time.Minute, func() {
			b.report(late(0, message.Delivered), late(1, message.Undelivered), late(7, message.Delivered))
		})
		res, l := b.run(segmentInput(dispatch))
		require.Equal(t, 1, res.Counts[message.Delivered])
		require.Equal(t, 1, res.Counts[message.Undelivered])
		require.Equal(t, 2, res.Counts[message.Sent])
		require.Equal(t, "gone", l.Records[1].Code)
		require.Equal(t, message.EventDelivered, l.Records[0].Trail[1].Event)
	}
}

func TestASegmentAwaitsReports(t *testing.T) {
	t.Parallel()
	for _, dispatch := range []string{"message", "group"} {
		b := newSegmentBench(t, 3)
		b.awaits = time.Hour
		b.at(time.Minute, func() {
			require.Equal(t, 3, b.status().Counts[message.Sending])
			b.report(late(0, message.Delivered), late(1, message.Undelivered))
		})
		b.at(2*time.Minute, func() {
			require.Len(t, b.attempts, map[string]int{"message": 4, "group": 1}[dispatch])
			require.Equal(t, "two", b.attempts[len(b.attempts)-1].account)
		})
		res, l := b.run(segmentInput(dispatch))
		require.Equal(t, 1, res.Counts[message.Delivered])
		require.Equal(t, 2, res.Counts[message.Sent])
		require.Equal(t, start.Add(time.Hour).UnixMilli(), l.Records[2].Finished)
		require.Equal(t, 1, l.Records[1].Hop)
		require.Zero(t, res.Left)
	}
}

func TestReportsThatComeWhileALedgerIsKeptStandInIt(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 2)
	b.env.SetOnActivityStartedListener(func(a *activityInfo, _ ctx, _ values) {
		if a.ActivityType.Name == workflows.KeepName {
			b.env.SignalWorkflow(workflows.SignalReports, workflows.Reports{V: 1, Reports: []message.Report{late(0, message.Delivered)}})
		}
	})
	res, l := b.run(segmentInput("message"))
	require.Equal(t, 1, res.Counts[message.Delivered])
	require.Equal(t, message.Delivered, l.Records[0].State)
	require.Len(t, b.kept, 2)
}

func TestALedgerCarriesTheWaitForReports(t *testing.T) {
	t.Parallel()
	l := message.Ledger{V: 1, Records: []message.Record{
		{State: message.Sending, Await: 99, Sent: 5},
		{},
		{State: message.Sending, Doubt: 7, Kept: &message.Kept{State: message.Undelivered, Hop: 1, At: 3, ProviderID: "p", Code: "c", Detail: "d"}},
	}}
	raw, err := json.Marshal(l)
	require.NoError(t, err)
	var got message.Ledger
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, l, got)
	require.Error(t, json.Unmarshal([]byte(`{"v":1,"n":1,"o":[{"i":1,"s":"delivered"}]}`), &got))
}

func TestWhatAwaitedItsReportWasSentWhenTheStoreLosesItsSegment(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 2)
	b.found = func(int) bool { return false }
	in := segmentInput("message")
	in.State = &workflows.SegmentState{Cancel: true, Ledger: message.Ledger{V: 1, Records: []message.Record{
		{State: message.Sending, Await: start.Add(time.Hour).UnixMilli(), Sent: 5}, {State: message.Retrying, Attempts: 1},
	}}}
	res, l := b.run(in)
	require.Equal(t, 1, res.Counts[message.Sent])
	require.Equal(t, 1, res.Counts[message.Canceled])
	require.Zero(t, l.Records[0].Await)
}
