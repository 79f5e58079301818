package engine_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// late is a report of the message at a position of the segment.
func late(pos int, s message.State) message.Report {
	return message.Report{ID: message.KeyOf("batch-b").MessageID(2000 + pos), State: s, Account: "one", Code: "gone"}
}

func TestReportsMoveTheMessagesOfASegment(t *testing.T) {
	t.Parallel()
	for _, dispatch := range []string{"message", "group"} {
		b := newSegmentBench(t, 4)
		b.lines[3].Due = flowtest.Start.Add(time.Hour).UnixMilli()
		b.At(time.Minute, func() {
			b.Report(late(0, message.Delivered), late(1, message.Undelivered), late(7, message.Delivered))
		})
		res, l := b.run(flowtest.SegmentInput(dispatch))
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
		b.At(time.Minute, func() {
			require.Equal(t, 3, b.Status().Counts[message.Sending])
			b.Report(late(0, message.Delivered), late(1, message.Undelivered))
		})
		b.At(2*time.Minute, func() {
			require.Len(t, b.Attempts, map[string]int{"message": 4, "group": 1}[dispatch])
			require.Equal(t, "two", b.Attempts[len(b.Attempts)-1].Account)
		})
		res, l := b.run(flowtest.SegmentInput(dispatch))
		require.Equal(t, 1, res.Counts[message.Delivered])
		require.Equal(t, 2, res.Counts[message.Sent])
		require.Equal(t, flowtest.Start.Add(time.Hour).UnixMilli(), l.Records[2].Finished)
		require.Equal(t, 1, l.Records[1].Hop)
	}
}

func TestReportsThatComeWhileALedgerIsKeptStandInIt(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 2)
	b.Env.SetOnActivityStartedListener(func(a *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if a.ActivityType.Name == contract.KeepName {
			b.Env.SignalWorkflow(contract.SignalReports, contract.Reports{V: 1, Reports: []message.Report{late(0, message.Delivered)}})
		}
	})
	res, l := b.run(flowtest.SegmentInput("message"))
	require.Equal(t, 1, res.Counts[message.Delivered])
	require.Equal(t, message.Delivered, l.Records[0].State)
	require.Len(t, b.kept, 2)
}

func TestALedgerCarriesTheWaitForReports(t *testing.T) {
	t.Parallel()
	l := message.Ledger{V: 1, Records: []message.Record{
		{State: message.Sending, Await: 99, Sent: 5},
		{},
		{State: message.Sending, Doubt: 7, Early: &message.EarlyReport{State: message.Undelivered, Hop: 1, At: 3, ProviderID: "p", Code: "c", Detail: "d"}},
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
	in := flowtest.SegmentInput("message")
	in.State = &contract.State{Cancel: true, Ledger: message.Ledger{V: 1, Records: []message.Record{
		{State: message.Sending, Await: flowtest.Start.Add(time.Hour).UnixMilli(), Sent: 5},
		{State: message.Retrying, Attempts: 1, Expires: flowtest.Start.Add(time.Hour).UnixMilli()},
	}}}
	res, l := b.run(in)
	require.Equal(t, 1, res.Counts[message.Sent])
	require.Equal(t, 1, res.Counts[message.Canceled])
	require.Zero(t, l.Records[0].Await)
}
