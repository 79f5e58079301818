package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// tells puts a run's ledger together out of its pages.
func tells(b *flowtest.Bench) (all contract.LedgerPage, pages int) {
	for {
		v, err := b.Env.QueryWorkflow(contract.QueryLedger, contract.LedgerQuery{From: len(all.Ledger.Records)})
		require.NoError(b.T, err)
		var page contract.LedgerPage
		require.NoError(b.T, v.Get(&page))
		pages++
		page.Ledger.Records = append(all.Ledger.Records, page.Ledger.Records...)
		page.InFlight = append(all.InFlight, page.InFlight...)
		if all = page; page.Next == 0 {
			return all, pages
		}
		require.Equal(b.T, len(all.Ledger.Records), page.Next)
	}
}

func TestARunTellsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(in contract.SendInput, n int) flowtest.Answer {
		switch {
		case in.Index == 0 && n == 1:
			return flowtest.Throttled
		case in.Index == 1:
			return flowtest.Doubtful
		}
		return flowtest.Answer{Hang: time.Hour}
	}
	b.Ask = func(contract.ReconcileInput, int) contract.ReconcileResult {
		return contract.ReconcileResult{Verdict: contract.VerdictLater}
	}
	started := map[string]string{}
	b.Env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		started[info.ActivityID] = info.ActivityType.Name
	})
	var page contract.LedgerPage
	b.At(30*time.Second, func() { page, _ = tells(b) })
	res := b.Run(flowtest.Batch(4, func(m *message.Batch) { m.Messages[3].Due = flowtest.Start.Add(30 * time.Minute).UnixMilli() }))
	require.Equal(t, []contract.InFlight{
		{ID: "0.2", Spans: [][2]int{{0, 1}}}, {ID: "2.1", Spans: [][2]int{{2, 3}}},
	}, page.InFlight)
	require.Equal(t, message.Sending, page.Ledger.Records[1].State)
	require.NotZero(t, page.Ledger.Records[1].Doubt)
	require.NotZero(t, page.Ledger.Records[1].Asked)
	require.Equal(t, message.Scheduled, page.Ledger.Records[3].State)
	require.Equal(t, flowtest.Start.UnixMilli(), page.Started)

	for id, name := range map[string]string{"0.1": "Send", "0.2": "Send", "1.1": "Send", "1.1?1": "Reconcile", "1.1?2": "Reconcile", "3.1": "Send"} {
		require.Equal(t, name, started[id], id)
	}

	page, _ = tells(b)
	require.Empty(t, page.InFlight)
	require.Equal(t, res.Status.Rev, page.Rev)
	for i := range res.Rows {
		require.Equal(t, res.Rows[i].State, page.Ledger.Records[i].State)
	}
}

func TestALongLedgerIsToldInPagesThatLeaveNothingOut(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(in contract.SendInput, n int) flowtest.Answer {
		if n < 12 {
			return flowtest.Answer{Kind: "throttled", Code: fmt.Sprintf("%03d-%02d", in.Index, n)}
		}
		return flowtest.Takes
	}
	res := b.Run(flowtest.Batch(400))
	page, pages := tells(b)
	require.Equal(t, 2, pages)
	require.Len(t, page.Ledger.Records, 400)
	for i, rec := range page.Ledger.Records {
		require.Equal(t, message.Sent, rec.State)
		require.Equal(t, res.Rows[i].ProviderID, rec.ProviderID)
		require.Len(t, rec.Trail, 12)
		require.Equal(t, fmt.Sprintf("%03d-11", i), rec.Trail[10].Code)
	}
}

func TestASegmentTellsItsGroups(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 250)
	b.policy = message.Policy{Provider: "webhook", Reconciles: true, Group: 100}
	flying := map[string]contract.InFlight{}
	b.Env.SetOnActivityCompletedListener(func(info *activity.Info, _ converter.EncodedValue, _ error) {
		if info.ActivityType.Name == contract.GroupName {
			page, _ := tells(b.Bench)
			for _, f := range page.InFlight {
				flying[f.ID] = f
			}
		}
	})
	_, ledger := b.run(flowtest.SegmentInput("group"))
	require.Equal(t, contract.InFlight{ID: "g2200.1", Spans: [][2]int{{200, 250}}, Group: true}, flying["g2200.1"])
	told, _ := tells(b.Bench)
	require.Equal(t, ledger.Records, told.Ledger.Records)
}
