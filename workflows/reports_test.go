package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// says is a report of the message at i.
func says(i int, s message.State, change ...func(*message.Report)) message.Report {
	p := message.Report{ID: id(i), State: s, Account: "one"}
	if s == message.Undelivered {
		p.Code, p.Detail = "gone", "the handset is off"
	}
	for _, f := range change {
		f(&p)
	}
	return p
}

func through(account string) func(*message.Report) {
	return func(p *message.Report) { p.Account = account }
}

func of(providerID string) func(*message.Report) {
	return func(p *message.Report) { p.ProviderID = providerID }
}

// report signals reports.
func (b *bench) report(reports ...message.Report) {
	b.env.SignalWorkflow(workflows.SignalReports, workflows.Reports{V: 1, Reports: reports})
}

// awaiting is a batch of n messages with two hops that waits an hour for reports.
func awaiting(n int, change ...func(*message.Batch)) workflows.Input {
	return batch(n, append([]func(*message.Batch){func(m *message.Batch) {
		m.AwaitReports = time.Hour.Milliseconds()
		m.Hops = [][]message.Hop{{{Account: "one"}, {Account: "two"}}}
		m.Policies["two"] = m.Policies["one"]
	}}, change...)...)
}

// held adds a message that keeps the batch open for two hours.
func held(m *message.Batch) {
	m.Messages = append(m.Messages, message.Message{To: "+15559999999", Due: start.Add(2 * time.Hour).UnixMilli()})
}

func TestReportsMoveSentMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var before message.Status
	b.at(time.Minute, func() {
		before = b.status()
		b.report(says(0, message.Delivered), says(1, message.Undelivered))
	})
	b.at(2*time.Minute, func() {
		s := b.status()
		require.Equal(t, 1, s.Counts[message.Delivered])
		require.Equal(t, 1, s.Counts[message.Undelivered])
		require.Equal(t, 1, s.Counts[message.Sent])
		require.Greater(t, s.Rev, before.Rev)
		b.consistent(s, 4)
	})
	in := batch(3, held)
	res := b.run(in)
	require.Equal(t, message.Delivered, res.Rows[0].State)
	require.Equal(t, "p-0", res.Rows[0].ProviderID)
	require.Empty(t, res.Rows[0].Code)
	require.Greater(t, res.Rows[0].Rev, before.Rev)
	require.Equal(t, message.Undelivered, res.Rows[1].State)
	require.Equal(t, "gone", res.Rows[1].Code)
	require.Equal(t, message.Sent, res.Rows[2].State)
	require.Equal(t, []message.Event{message.EventSent, message.EventDelivered}, events(res, 0))
	require.Equal(t, []message.Event{message.EventSent, message.EventUndelivered}, events(res, 1))
}

func TestTheFirstReportStands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() { b.report(says(0, message.Undelivered), says(0, message.Delivered)) })
	var rev int64
	b.at(2*time.Minute, func() {
		rev = b.status().Rev
		b.report(says(0, message.Undelivered), says(0, message.Delivered), says(1, message.Sent))
	})
	b.at(3*time.Minute, func() { require.Equal(t, rev, b.status().Rev) })
	res := b.run(batch(2, held))
	require.Equal(t, message.Undelivered, res.Rows[0].State)
	require.Equal(t, message.Sent, res.Rows[1].State)
	require.Len(t, res.Trails[0], 2)
}

func TestReportsOfOthersChangeNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() {
		other := says(0, message.Delivered)
		other.ID = message.KeyOf("batch-other").MessageID(0)
		far := says(0, message.Delivered)
		far.ID = message.KeyOf("batch-b").MessageID(77)
		none := says(0, message.Delivered)
		none.ID = "none"
		b.report(other, far, none, says(0, message.Delivered, through("two")), says(1, message.Delivered))
		b.env.SignalWorkflow(workflows.SignalReports, "no reports")
		b.env.SignalWorkflow(workflows.SignalReports, workflows.Reports{V: 2, Reports: []message.Report{says(0, message.Delivered)}})
	})
	res := b.run(batch(1, held))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, message.Sent, res.Rows[1].State)
	require.Len(t, res.Trails[1], 1)
}

func TestAReportMovesAnUnknownMessage(t *testing.T) {
	t.Parallel()
	for _, state := range []message.State{message.Delivered, message.Undelivered} {
		b := newBench(t)
		b.send = func(in activities.SendInput, _ int) answer {
			if in.Index == 0 {
				return doubtful
			}
			return takes
		}
		b.at(time.Minute, func() {
			require.Equal(t, 1, b.status().Counts[message.Unknown])
			b.report(says(0, state, of("late")))
		})
		res := b.run(batch(1, held))
		require.Equal(t, state, res.Rows[0].State)
		require.Equal(t, "late", res.Rows[0].ProviderID)
		require.Equal(t, start, *res.Rows[0].SentAt)
	}
}

func TestAReportEndsADoubt(t *testing.T) {
	t.Parallel()
	for _, state := range []message.State{message.Delivered, message.Undelivered} {
		b := newBench(t)
		b.send = func(activities.SendInput, int) answer { return doubtful }
		b.at(time.Second, func() { b.report(says(0, state)) })
		res := b.run(batch(1))
		require.Equal(t, state, res.Rows[0].State)
		require.Empty(t, b.asks)
		require.Len(t, b.attempts, 1)
	}
}

func TestThatASecondAttemptWasNotDeliveredIsNotBelievedOfTheFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(activities.SendInput, int) answer { return doubtful }
	b.ask = func(_ activities.ReconcileInput, n int) activities.ReconcileResult {
		if n == 1 {
			return activities.ReconcileResult{Verdict: activities.VerdictAbsent}
		}
		return activities.ReconcileResult{Verdict: activities.VerdictFound, ProviderID: "second"}
	}
	b.at(9*time.Second, func() {
		require.Len(t, b.attempts, 2)
		b.report(says(0, message.Undelivered, of("first")))
	})
	res := b.run(batch(1))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, "second", res.Rows[0].ProviderID)
}

func TestAReportThatOutranTheAnswerIsKept(t *testing.T) {
	t.Parallel()
	for _, state := range []message.State{message.Delivered, message.Undelivered} {
		b := newBench(t)
		b.send = func(activities.SendInput, int) answer { return answer{hang: 10 * time.Second} }
		b.at(time.Second, func() { b.report(says(0, state)) })
		b.at(2*time.Second, func() { require.Equal(t, 1, b.status().Counts[message.Sending]) })
		res := b.run(batch(1))
		require.Equal(t, state, res.Rows[0].State)
		require.Equal(t, message.EventSent, res.Trails[0][0].Event)
		require.Len(t, res.Trails[0], 2)
	}
}

func TestThatAMessageWasDeliveredEndsItsRetries(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(activities.SendInput, int) answer { return answer{kind: "throttled", after: time.Hour} }
	b.at(time.Minute, func() { b.report(says(0, message.Undelivered)) })
	b.at(2*time.Minute, func() {
		require.Equal(t, 1, b.status().Counts[message.Retrying])
		b.report(says(0, message.Delivered))
	})
	res := b.run(batch(1))
	require.Equal(t, message.Delivered, res.Rows[0].State)
	require.Equal(t, start.Add(2*time.Minute), *res.Rows[0].FinishedAt)
	require.Len(t, b.attempts, 1)
}

func TestThatAMessageWasDeliveredBeatsWhatItsAttemptReports(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"throttled", "unavailable", "rejected", "ambiguous", activities.KindNotStarted, activities.KindExpired, activities.KindSent} {
		b := newBench(t)
		b.send = func(activities.SendInput, int) answer { return answer{kind: kind, hang: 10 * time.Second} }
		b.at(time.Second, func() { b.report(says(0, message.Delivered), says(0, message.Undelivered)) })
		res := b.run(awaiting(1))
		require.Equal(t, message.Delivered, res.Rows[0].State, kind)
		require.Len(t, b.attempts, 1)
		require.Empty(t, b.asks)
	}
}

func TestASentMessageAwaitsItsReport(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() {
		s := b.status()
		require.Equal(t, 3, s.Counts[message.Sending])
		require.Nil(t, s.NextDueAt)
		b.report(says(0, message.Delivered), says(1, message.Undelivered))
	})
	b.at(2*time.Minute, func() {
		s := b.status()
		require.Equal(t, 1, s.Counts[message.Delivered])
		require.Equal(t, 2, s.Counts[message.Sending])
		require.Equal(t, "two", b.attempts[3].account)
	})
	res := b.run(awaiting(3))
	require.Equal(t, message.Delivered, res.Rows[0].State)
	require.Equal(t, message.Sent, res.Rows[1].State)
	require.Equal(t, "two", res.Rows[1].Account)
	require.Equal(t, []message.Event{message.EventSent, message.EventUndelivered, message.EventSent}, events(res, 1))
	require.Equal(t, message.Sent, res.Rows[2].State)
	require.Equal(t, start.Add(time.Hour), *res.Rows[2].FinishedAt)
	require.Equal(t, start, *res.Rows[2].SentAt)
	require.Len(t, b.attempts, 4)
}

func TestTheLastHopEndsUndelivered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() { b.report(says(0, message.Undelivered)) })
	b.at(2*time.Minute, func() {
		b.report(says(0, message.Undelivered), says(0, message.Undelivered, through("two")))
	})
	res := b.run(awaiting(1))
	require.Equal(t, message.Undelivered, res.Rows[0].State)
	require.Equal(t, "gone", res.Rows[0].Code)
	require.Equal(t, start.Add(2*time.Minute), *res.Rows[0].FinishedAt)
	require.Len(t, b.attempts, 2)
}

func TestALateReportOfAnEarlierHop(t *testing.T) {
	t.Parallel()
	for state, want := range map[message.State]message.State{message.Delivered: message.Delivered, message.Undelivered: message.Sent} {
		b := newBench(t)
		b.at(time.Minute, func() { b.report(says(0, message.Undelivered)) })
		b.at(2*time.Minute, func() { b.report(says(0, state)) })
		res := b.run(awaiting(1))
		require.Equal(t, want, res.Rows[0].State)
	}
}

func TestNothingTakesTheNextHopAfterItsValidity(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(31*time.Minute, func() { b.report(says(0, message.Undelivered)) })
	res := b.run(awaiting(1, func(m *message.Batch) { m.TTL = (30 * time.Minute).Milliseconds() }))
	require.Equal(t, message.Undelivered, res.Rows[0].State)
	require.Len(t, b.attempts, 1)
}

func TestACancelLeavesWhatAwaitsItsReportInFlight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() {
		update(b, workflows.ControlCancel, message.CancelRequest{}, func(r message.CancelResult, err error) {
			require.NoError(t, err)
			require.Equal(t, []string{id(0), id(1)}, r.InFlight)
		})
	})
	b.at(2*time.Minute, func() { b.report(says(0, message.Undelivered)) })
	res := b.run(awaiting(2))
	require.Equal(t, message.BatchCanceled, res.Status.State)
	require.Equal(t, message.Undelivered, res.Rows[0].State)
	require.Equal(t, message.Sent, res.Rows[1].State)
	require.Empty(t, res.Rows[1].Code)
	require.Len(t, b.attempts, 2)
}

func TestAPauseDoesNotStopTheWaitForReports(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() { b.env.SignalWorkflow(workflows.ControlPause, nil) })
	b.at(2*time.Minute, func() { b.report(says(0, message.Undelivered)) })
	b.at(90*time.Minute, func() {
		s := b.status()
		require.Equal(t, 1, s.Counts[message.Retrying])
		require.Equal(t, 1, s.Counts[message.Sent])
		require.Len(t, b.attempts, 2)
		b.env.SignalWorkflow(workflows.ControlResume, nil)
	})
	res := b.run(awaiting(2))
	require.Len(t, b.attempts, 3)
	require.Equal(t, message.Sent, res.Rows[0].State)
}

func TestAwaitingHoldsNoPlaceInThePool(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run(awaiting(20, func(m *message.Batch) { m.InFlight = 1 }))
	require.Len(t, b.attempts, 20)
	require.Equal(t, start, b.attempts[19].at.UTC())
}

func TestNothingIsAwaitedOfAnAccountWithoutReports(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	res := b.run(awaiting(1, func(m *message.Batch) {
		p := m.Policies["one"]
		p.NoReports = true
		m.Policies["one"] = p
	}))
	require.Equal(t, start, *res.Rows[0].FinishedAt)
}

func TestReportsThatCameWithTheEndAreNotLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.env.SetOnActivityCompletedListener(func(*activityInfo, value, error) {
		b.at(0, func() { b.report(says(0, message.Delivered)) })
	})
	b.send = func(activities.SendInput, int) answer { return answer{hang: time.Second} }
	b.at(time.Second, func() { b.report(says(0, message.Delivered)) })
	res := b.run(batch(1))
	require.Equal(t, message.Delivered, res.Rows[0].State)
}

func TestTheWaitForReportsGoesOnInTheNextRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(in activities.SendInput, _ int) answer {
		if in.Index == 1 {
			return doubtful
		}
		return takes
	}
	b.ask = func(activities.ReconcileInput, int) activities.ReconcileResult {
		return activities.ReconcileResult{Verdict: activities.VerdictLater}
	}
	b.at(30*time.Second, func() { b.env.SetCurrentHistoryLength(9_000) })
	b.at(31*time.Second, func() { b.env.SignalWorkflow(workflows.ControlResume, nil) })
	b.env.ExecuteWorkflow(workflows.SendBatchName, awaiting(2))
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, b.env.GetWorkflowError(), &again)
	var in workflows.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	require.Equal(t, start.Add(time.Hour).UnixMilli(), in.State.Records[0].Await)

	next := newBench(t)
	next.env.SetStartTime(b.env.Now())
	next.ask = b.ask
	next.at(time.Minute, func() { next.report(says(1, message.Delivered)) })
	next.env.ExecuteWorkflow(workflows.SendBatchName, in)
	res := next.result(2)
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, start.Add(time.Hour), *res.Rows[0].FinishedAt)
	require.Equal(t, message.Delivered, res.Rows[1].State)
	require.Empty(t, next.attempts)
}
