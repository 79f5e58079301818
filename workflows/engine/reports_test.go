package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

func through(account string) func(*message.Report) {
	return func(p *message.Report) { p.Account = account }
}

func of(providerID string) func(*message.Report) {
	return func(p *message.Report) { p.ProviderID = providerID }
}

// awaiting is a batch of n messages with two hops that waits an hour for reports.
func awaiting(n int, change ...func(*message.Batch)) contract.Input {
	return flowtest.Batch(n, append([]func(*message.Batch){func(m *message.Batch) {
		m.AwaitReports = time.Hour.Milliseconds()
		m.Hops = [][]message.Hop{{{Account: "one"}, {Account: "two"}}}
		m.Policies["two"] = m.Policies["one"]
	}}, change...)...)
}

// held adds a message that keeps the batch open for two hours.
func held(m *message.Batch) {
	m.Messages = append(m.Messages, message.Message{To: "+15559999999", Due: flowtest.Start.Add(2 * time.Hour).UnixMilli()})
}

func TestReportsMoveSentMessages(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	var before message.Status
	b.At(time.Minute, func() {
		before = b.Status()
		b.Report(flowtest.Says(0, message.Delivered), flowtest.Says(1, message.Undelivered))
	})
	b.At(2*time.Minute, func() {
		s := b.Status()
		require.Equal(t, 1, s.Counts[message.Delivered])
		require.Equal(t, 1, s.Counts[message.Undelivered])
		require.Equal(t, 1, s.Counts[message.Sent])
		require.Greater(t, s.Rev, before.Rev)
		b.Consistent(s, 4)
	})
	in := flowtest.Batch(3, held)
	res := b.Run(in)
	require.Equal(t, message.Delivered, res.Rows[0].State)
	require.Equal(t, "p-0", res.Rows[0].ProviderID)
	require.Empty(t, res.Rows[0].Code)
	require.Greater(t, res.Rows[0].Rev, before.Rev)
	require.Equal(t, message.Undelivered, res.Rows[1].State)
	require.Equal(t, "gone", res.Rows[1].Code)
	require.Equal(t, message.Sent, res.Rows[2].State)
	require.Equal(t, []message.Event{message.EventSent, message.EventDelivered}, flowtest.Events(res, 0))
	require.Equal(t, []message.Event{message.EventSent, message.EventUndelivered}, flowtest.Events(res, 1))
}

func TestTheFirstReportStands(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() { b.Report(flowtest.Says(0, message.Undelivered), flowtest.Says(0, message.Delivered)) })
	var rev int64
	b.At(2*time.Minute, func() {
		rev = b.Status().Rev
		b.Report(flowtest.Says(0, message.Undelivered), flowtest.Says(0, message.Delivered), flowtest.Says(1, message.Sent))
	})
	b.At(3*time.Minute, func() { require.Equal(t, rev, b.Status().Rev) })
	res := b.Run(flowtest.Batch(2, held))
	require.Equal(t, message.Undelivered, res.Rows[0].State)
	require.Equal(t, message.Sent, res.Rows[1].State)
	require.Len(t, res.Trails[0], 2)
}

func TestReportsOfOthersChangeNothing(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() {
		other := flowtest.Says(0, message.Delivered)
		other.ID = message.KeyOf("batch-other").MessageID(0)
		far := flowtest.Says(0, message.Delivered)
		far.ID = message.KeyOf("batch-b").MessageID(77)
		none := flowtest.Says(0, message.Delivered)
		none.ID = "none"
		b.Report(other, far, none, flowtest.Says(0, message.Delivered, through("two")), flowtest.Says(1, message.Delivered))
		b.Env.SignalWorkflow(contract.SignalReports, "no reports")
		b.Env.SignalWorkflow(contract.SignalReports, contract.Reports{V: 2, Reports: []message.Report{flowtest.Says(0, message.Delivered)}})
	})
	res := b.Run(flowtest.Batch(1, held))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, message.Sent, res.Rows[1].State)
	require.Len(t, res.Trails[1], 1)
}

func TestAReportMovesAnUnknownMessage(t *testing.T) {
	t.Parallel()
	for _, state := range []message.State{message.Delivered, message.Undelivered} {
		b := flowtest.NewBench(t)
		b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
			if in.Index == 0 {
				return flowtest.Doubtful
			}
			return flowtest.Takes
		}
		b.At(time.Minute, func() {
			require.Equal(t, 1, b.Status().Counts[message.Unknown])
			b.Report(flowtest.Says(0, state, of("late")))
		})
		res := b.Run(flowtest.Batch(1, held))
		require.Equal(t, state, res.Rows[0].State)
		require.Equal(t, "late", res.Rows[0].ProviderID)
		require.Equal(t, flowtest.Start, *res.Rows[0].SentAt)
	}
}

func TestAReportEndsADoubt(t *testing.T) {
	t.Parallel()
	for _, state := range []message.State{message.Delivered, message.Undelivered} {
		b := flowtest.NewBench(t)
		b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Doubtful }
		b.At(time.Second, func() { b.Report(flowtest.Says(0, state)) })
		res := b.Run(flowtest.Batch(1))
		require.Equal(t, state, res.Rows[0].State)
		require.Empty(t, b.Asks)
		require.Len(t, b.Attempts, 1)
	}
}

func TestThatASecondAttemptWasNotDeliveredIsNotBelievedOfTheFirst(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Doubtful }
	b.Ask = func(_ contract.ReconcileInput, n int) contract.ReconcileResult {
		if n == 1 {
			return contract.ReconcileResult{Verdict: contract.VerdictAbsent}
		}
		return contract.ReconcileResult{Verdict: contract.VerdictFound, ProviderID: "second"}
	}
	b.At(9*time.Second, func() {
		require.Len(t, b.Attempts, 2)
		b.Report(flowtest.Says(0, message.Undelivered, of("first")))
	})
	res := b.Run(flowtest.Batch(1))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, "second", res.Rows[0].ProviderID)
}

func TestAReportThatOutranTheAnswerIsKept(t *testing.T) {
	t.Parallel()
	for _, state := range []message.State{message.Delivered, message.Undelivered} {
		b := flowtest.NewBench(t)
		b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Answer{Hang: 10 * time.Second} }
		b.At(time.Second, func() { b.Report(flowtest.Says(0, state)) })
		b.At(2*time.Second, func() { require.Equal(t, 1, b.Status().Counts[message.Sending]) })
		res := b.Run(flowtest.Batch(1))
		require.Equal(t, state, res.Rows[0].State)
		require.Equal(t, message.EventSent, res.Trails[0][0].Event)
		require.Len(t, res.Trails[0], 2)
	}
}

func TestThatAMessageWasDeliveredEndsItsRetries(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer {
		return flowtest.Answer{Kind: "throttled", After: time.Hour}
	}
	b.At(time.Minute, func() { b.Report(flowtest.Says(0, message.Undelivered)) })
	b.At(2*time.Minute, func() {
		require.Equal(t, 1, b.Status().Counts[message.Retrying])
		b.Report(flowtest.Says(0, message.Delivered))
	})
	res := b.Run(flowtest.Batch(1))
	require.Equal(t, message.Delivered, res.Rows[0].State)
	require.Equal(t, flowtest.Start.Add(2*time.Minute), *res.Rows[0].FinishedAt)
	require.Len(t, b.Attempts, 1)
}

func TestThatAMessageWasDeliveredBeatsWhatItsAttemptReports(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"throttled", "unavailable", "rejected", "ambiguous", contract.KindNotStarted, contract.KindExpired, contract.KindSent} {
		b := flowtest.NewBench(t)
		b.Send = func(contract.SendInput, int) flowtest.Answer {
			return flowtest.Answer{Kind: kind, Hang: 10 * time.Second}
		}
		b.At(time.Second, func() { b.Report(flowtest.Says(0, message.Delivered), flowtest.Says(0, message.Undelivered)) })
		res := b.Run(awaiting(1))
		require.Equal(t, message.Delivered, res.Rows[0].State, kind)
		require.Len(t, b.Attempts, 1)
		require.Empty(t, b.Asks)
	}
}

func TestASentMessageAwaitsItsReport(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() {
		s := b.Status()
		require.Equal(t, 3, s.Counts[message.Sending])
		require.Nil(t, s.NextDueAt)
		b.Report(flowtest.Says(0, message.Delivered), flowtest.Says(1, message.Undelivered))
	})
	b.At(2*time.Minute, func() {
		s := b.Status()
		require.Equal(t, 1, s.Counts[message.Delivered])
		require.Equal(t, 2, s.Counts[message.Sending])
		require.Equal(t, "two", b.Attempts[3].Account)
	})
	res := b.Run(awaiting(3))
	require.Equal(t, message.Delivered, res.Rows[0].State)
	require.Equal(t, message.Sent, res.Rows[1].State)
	require.Equal(t, "two", res.Rows[1].Account)
	require.Equal(t, []message.Event{message.EventSent, message.EventUndelivered, message.EventSent}, flowtest.Events(res, 1))
	require.Equal(t, message.Sent, res.Rows[2].State)
	require.Equal(t, flowtest.Start.Add(time.Hour), *res.Rows[2].FinishedAt)
	require.Equal(t, flowtest.Start, *res.Rows[2].SentAt)
	require.Len(t, b.Attempts, 4)
}

func TestTheLastHopEndsUndelivered(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() { b.Report(flowtest.Says(0, message.Undelivered)) })
	b.At(2*time.Minute, func() {
		b.Report(flowtest.Says(0, message.Undelivered), flowtest.Says(0, message.Undelivered, through("two")))
	})
	res := b.Run(awaiting(1))
	require.Equal(t, message.Undelivered, res.Rows[0].State)
	require.Equal(t, "gone", res.Rows[0].Code)
	require.Equal(t, flowtest.Start.Add(2*time.Minute), *res.Rows[0].FinishedAt)
	require.Len(t, b.Attempts, 2)
}

func TestALateReportOfAnEarlierHop(t *testing.T) {
	t.Parallel()
	for state, want := range map[message.State]message.State{message.Delivered: message.Delivered, message.Undelivered: message.Sent} {
		b := flowtest.NewBench(t)
		b.At(time.Minute, func() { b.Report(flowtest.Says(0, message.Undelivered)) })
		b.At(2*time.Minute, func() { b.Report(flowtest.Says(0, state)) })
		res := b.Run(awaiting(1))
		require.Equal(t, want, res.Rows[0].State)
	}
}

func TestNothingTakesTheNextHopAfterItsValidity(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(31*time.Minute, func() { b.Report(flowtest.Says(0, message.Undelivered)) })
	res := b.Run(awaiting(1, func(m *message.Batch) { m.TTL = (30 * time.Minute).Milliseconds() }))
	require.Equal(t, message.Undelivered, res.Rows[0].State)
	require.Len(t, b.Attempts, 1)
}

func TestACancelLeavesWhatAwaitsItsReportInFlight(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() {
		flowtest.Update(b, contract.ControlCancel, message.CancelRequest{}, func(r message.CancelResult, err error) {
			require.NoError(t, err)
			require.Equal(t, []string{flowtest.ID(0), flowtest.ID(1)}, r.InFlight)
		})
	})
	b.At(2*time.Minute, func() { b.Report(flowtest.Says(0, message.Undelivered)) })
	res := b.Run(awaiting(2))
	require.Equal(t, message.BatchCanceled, res.Status.State)
	require.Equal(t, message.Undelivered, res.Rows[0].State)
	require.Equal(t, message.Sent, res.Rows[1].State)
	require.Empty(t, res.Rows[1].Code)
	require.Len(t, b.Attempts, 2)
}

func TestAPauseDoesNotStopTheWaitForReports(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() { b.Env.SignalWorkflow(contract.ControlPause, nil) })
	b.At(2*time.Minute, func() { b.Report(flowtest.Says(0, message.Undelivered)) })
	b.At(90*time.Minute, func() {
		s := b.Status()
		require.Equal(t, 1, s.Counts[message.Retrying])
		require.Equal(t, 1, s.Counts[message.Sent])
		require.Len(t, b.Attempts, 2)
		b.Env.SignalWorkflow(contract.ControlResume, nil)
	})
	res := b.Run(awaiting(2))
	require.Len(t, b.Attempts, 3)
	require.Equal(t, message.Sent, res.Rows[0].State)
}

func TestAwaitingHoldsNoPlaceInThePool(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Run(awaiting(20, func(m *message.Batch) { m.InFlight = 1 }))
	require.Len(t, b.Attempts, 20)
	require.Equal(t, flowtest.Start, b.Attempts[19].At.UTC())
}

func TestNothingIsAwaitedOfAnAccountWithoutReports(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	res := b.Run(awaiting(1, func(m *message.Batch) {
		p := m.Policies["one"]
		p.NoReports = true
		m.Policies["one"] = p
	}))
	require.Equal(t, flowtest.Start, *res.Rows[0].FinishedAt)
}

func TestReportsThatCameWithTheEndAreNotLost(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) {
		b.At(0, func() { b.Report(flowtest.Says(0, message.Delivered)) })
	})
	b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Answer{Hang: time.Second} }
	b.At(time.Second, func() { b.Report(flowtest.Says(0, message.Delivered)) })
	res := b.Run(flowtest.Batch(1))
	require.Equal(t, message.Delivered, res.Rows[0].State)
}

func TestTheWaitForReportsGoesOnInTheNextRun(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		if in.Index == 1 {
			return flowtest.Doubtful
		}
		return flowtest.Takes
	}
	b.Ask = func(contract.ReconcileInput, int) contract.ReconcileResult {
		return contract.ReconcileResult{Verdict: contract.VerdictLater}
	}
	b.At(30*time.Second, func() { b.Env.SetCurrentHistoryLength(9_000) })
	b.At(31*time.Second, func() { b.Env.SignalWorkflow(contract.ControlResume, nil) })
	b.Env.ExecuteWorkflow(contract.SendBatchName, awaiting(2))
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, b.Env.GetWorkflowError(), &again)
	var in contract.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	require.Equal(t, flowtest.Start.Add(time.Hour).UnixMilli(), in.State.Records[0].Await)

	next := flowtest.NewBench(t)
	next.Env.SetStartTime(b.Env.Now())
	next.Ask = b.Ask
	next.At(time.Minute, func() { next.Report(flowtest.Says(1, message.Delivered)) })
	next.Env.ExecuteWorkflow(contract.SendBatchName, in)
	res := next.Result(2)
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, flowtest.Start.Add(time.Hour), *res.Rows[0].FinishedAt)
	require.Equal(t, message.Delivered, res.Rows[1].State)
	require.Empty(t, next.Attempts)
}
