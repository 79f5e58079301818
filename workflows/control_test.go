package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// later makes a batch whose first half is due now and whose second half in an hour.
func later(n int) workflows.Input {
	return batch(n, func(m *message.Batch) {
		for i := n / 2; i < n; i++ {
			m.Messages[i].Due = start.Add(time.Hour).UnixMilli()
		}
	})
}

func TestEveryWayOfCancellingEndsWithAnExactResult(t *testing.T) {
	t.Parallel()
	ways := map[string]func(b *bench){
		"as an update": func(b *bench) {
			update(b, workflows.ControlCancel, message.CancelRequest{Reason: "wrong text"}, func(r message.CancelResult, err error) {
				require.NoError(b.t, err)
				require.True(b.t, r.Confirmed)
				require.Equal(b.t, message.CancelCounts{Canceled: 5, Sent: 5}, r.Counts)
				require.Len(b.t, r.Canceled, 5)
			})
		},
		"as a signal": func(b *bench) {
			b.env.SignalWorkflow(workflows.ControlCancel, message.CancelRequest{Reason: "wrong text"})
		},
		"as a signal without argument": func(b *bench) { b.env.SignalWorkflow(workflows.ControlCancel, nil) },
		"through temporal":             func(b *bench) { b.env.CancelWorkflow() },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.at(time.Minute, func() { way(b) })
			res := b.run(later(10))
			require.Equal(t, message.BatchCanceled, res.Status.State)
			require.Equal(t, 5, res.Status.Counts[message.Sent])
			require.Equal(t, 5, res.Status.Counts[message.Canceled])
			for i := 5; i < 10; i++ {
				require.Equal(t, "canceled", res.Rows[i].Code)
				require.Zero(t, b.tries[i])
			}
			require.WithinDuration(t, start.Add(time.Minute), *res.Status.FinishedAt, 2*time.Second)
		})
	}
}

func TestCancellingSingleMessagesLeavesTheBatchCompleted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() {
		update(b, workflows.ControlCancel, message.CancelRequest{Messages: []string{id(1), id(7), id(8), id(7)}}, func(r message.CancelResult, err error) {
			require.NoError(t, err)
			require.Equal(t, []string{id(7), id(8)}, r.Canceled)
			require.Equal(t, []string{id(1)}, r.Sent)
			require.Empty(t, r.InFlight)
		})
		update(b, workflows.ControlCancel, message.CancelRequest{Messages: []string{}}, func(r message.CancelResult, err error) {
			require.NoError(t, err)
			require.Zero(t, r.Counts, "an empty list is none of the batch")
		})
		update(b, workflows.ControlCancel, message.CancelRequest{Messages: []string{id(9), "no-such"}}, func(_ message.CancelResult, err error) {
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.Equal(t, workflows.ErrNoMessageType, app.Type())
		})
	})
	res := b.run(later(10))
	require.Equal(t, message.BatchCompleted, res.Status.State)
	require.Equal(t, 2, res.Status.Counts[message.Canceled])
	require.Equal(t, 8, res.Status.Counts[message.Sent], "a refused cancel does nothing")
}

func TestACanceledMessageInDoubtIsFollowedToItsEndWithoutAnotherAttempt(t *testing.T) {
	t.Parallel()
	verdicts := map[string]struct {
		verdict string
		state   message.State
	}{
		"found":       {activities.VerdictFound, message.Sent},
		"absent":      {activities.VerdictAbsent, message.Canceled},
		"cannot tell": {activities.VerdictCannotTell, message.Unknown},
		"no answer":   {activities.VerdictLater, message.Unknown},
	}
	for name, v := range verdicts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.send = func(activities.SendInput, int) answer { return doubtful }
			b.ask = func(activities.ReconcileInput, int) activities.ReconcileResult {
				return activities.ReconcileResult{Verdict: v.verdict}
			}
			b.at(time.Second, func() {
				before := b.status().Rev
				update(b, workflows.ControlCancel, message.CancelRequest{}, func(r message.CancelResult, err error) {
					require.NoError(t, err)
					require.Equal(t, []string{id(0)}, r.InFlight)
					require.Equal(t, message.BatchCanceling, b.status().State)
					require.Greater(t, b.status().Rev, before, "whoever follows the batch hears of it")
				})
			})
			res := b.run(batch(1, func(m *message.Batch) { m.Policies["one"] = resend(m.Policies["one"]) }))
			require.Equal(t, v.state, res.Rows[0].State)
			require.Equal(t, message.BatchCanceled, res.Status.State)
			require.Equal(t, 1, b.tries[0])
		})
	}
}

func resend(p message.Policy) message.Policy {
	p.OnUnknown = message.Resend
	return p
}

func TestADoubtfulMessageIsAskedForBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		verdict string
		policy  message.OnUnknown
		state   message.State
		tries   int
		events  []message.Event
	}{
		"found is sent":           {activities.VerdictFound, message.Hold, message.Sent, 1, []message.Event{"ambiguous", "found"}},
		"absent is tried again":   {activities.VerdictAbsent, message.Hold, message.Sent, 2, []message.Event{"ambiguous", "absent", "sent"}},
		"cannot tell under hold":  {activities.VerdictCannotTell, message.Hold, message.Unknown, 1, []message.Event{"ambiguous"}},
		"cannot tell, and resend": {activities.VerdictCannotTell, message.Resend, message.Sent, 2, []message.Event{"ambiguous", "sent"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.send = func(_ activities.SendInput, n int) answer {
				if n == 1 {
					return doubtful
				}
				return takes
			}
			b.ask = func(activities.ReconcileInput, int) activities.ReconcileResult {
				return activities.ReconcileResult{Verdict: c.verdict, ProviderID: "found-1"}
			}
			res := b.run(batch(1, func(m *message.Batch) {
				p := m.Policies["one"]
				p.OnUnknown = c.policy
				m.Policies["one"] = p
			}))
			require.Equal(t, c.state, res.Rows[0].State)
			require.Equal(t, c.tries, b.tries[0])
			require.Equal(t, c.events, events(res, 0))
			require.GreaterOrEqual(t, b.asks[0].at.Sub(b.attempts[0].at), 5*time.Second, "it settles first")
		})
	}
}

func TestAnUnansweredQuestionIsAskedUntilValidityEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(activities.SendInput, int) answer { return doubtful }
	b.ask = func(_ activities.ReconcileInput, n int) activities.ReconcileResult {
		if n < 30 {
			return activities.ReconcileResult{Verdict: activities.VerdictLater, Code: "http_503"}
		}
		return activities.ReconcileResult{Verdict: activities.VerdictFound}
	}
	res := b.run(batch(1))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, 30, b.asked[0])
}

func TestAPausedBatchSendsNothingAndGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() {
		update(b, workflows.ControlPause, nil, func(r message.PauseResult, err error) {
			require.NoError(t, err)
			require.Empty(t, r.InFlight)
		})
	})
	b.at(2*time.Hour, func() {
		s := b.status()
		require.Equal(t, message.BatchPaused, s.State)
		require.Equal(t, 4, s.Counts[message.Accepted], "due, and waiting for the resume")
		require.Equal(t, 1, s.Counts[message.Expired], "validity runs on while paused")
		update(b, workflows.ControlResume, nil, func(_ message.ResumeResult, err error) { require.NoError(t, err) })
	})
	in := later(10)
	in.Batch.Messages[9].TTL = (30 * time.Minute).Milliseconds()
	res := b.run(in)
	require.Equal(t, 9, res.Status.Counts[message.Sent])
	for _, a := range b.attempts {
		if a.index >= 5 {
			require.False(t, a.at.Before(start.Add(2*time.Hour)))
		}
	}
}

func TestPauseAndResumeAsSignals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() { b.env.SignalWorkflow(workflows.ControlPause, nil) })
	b.at(3*time.Hour, func() {
		require.Equal(t, message.BatchPaused, b.status().State)
		b.env.SignalWorkflow(workflows.ControlResume, nil)
	})
	res := b.run(later(4))
	require.Equal(t, 4, res.Status.Counts[message.Sent])
	require.Equal(t, message.BatchCompleted, res.Status.State)
}

func TestRescheduleMovesWhatHasNoAttemptAndKeepsItsValidity(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	to := start.Add(5 * time.Hour)
	b.at(time.Minute, func() {
		update(b, workflows.ControlReschedule, message.RescheduleRequest{SendAfter: to.Format(time.RFC3339)}, func(r message.RescheduleResult, err error) {
			require.NoError(t, err)
			require.Equal(t, message.RescheduleResult{Batch: "b", Rescheduled: 5, Unchanged: 5}, r)
		})
		for _, bad := range []string{"", "tomorrow", "9000h", "-10m"} {
			update(b, workflows.ControlReschedule, message.RescheduleRequest{SendAfter: bad}, func(_ message.RescheduleResult, err error) {
				var app *temporal.ApplicationError
				require.ErrorAs(t, err, &app)
				require.Equal(t, workflows.ErrInputType, app.Type())
			})
		}
	})
	b.at(2*time.Minute, func() { require.True(t, b.status().SendAfter.Equal(to)) })
	in := later(10)
	in.Batch.Messages[9].TTL = (30 * time.Minute).Milliseconds()
	res := b.run(in)
	require.Equal(t, 10, res.Status.Counts[message.Sent])
	require.True(t, res.Rows[9].ExpiresAt.Equal(to.Add(30*time.Minute)))
	for _, a := range b.attempts {
		if a.index >= 5 {
			require.WithinDuration(t, to, a.at, 2*time.Second)
		}
	}
}

func TestRescheduleToAnEarlierTimeWakesTheBatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() { b.env.SignalWorkflow(workflows.ControlReschedule, message.RescheduleRequest{SendAfter: "30s"}) })
	res := b.run(later(10))
	require.WithinDuration(t, start.Add(90*time.Second), *res.Status.FinishedAt, 2*time.Second)
}

func TestQueriesPageFilterAndFindMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() {
		page := func(q message.PageQuery) message.Page {
			v, err := b.env.QueryWorkflow(workflows.QueryMessages, q)
			require.NoError(t, err)
			var p message.Page
			require.NoError(t, v.Get(&p))
			return p
		}
		first := page(message.PageQuery{Limit: 7})
		require.Len(t, first.Messages, 7)
		rest := page(message.PageQuery{Limit: 7, Cursor: first.Next})
		require.Len(t, rest.Messages, 3)
		require.Empty(t, rest.Next)
		require.Len(t, page(message.PageQuery{State: "scheduled"}).Messages, 5)
		require.Empty(t, page(message.PageQuery{Since: b.status().Rev}).Messages)
		_, err := b.env.QueryWorkflow(workflows.QueryMessages, message.PageQuery{State: "gone"})
		require.ErrorContains(t, err, "gone")
		var app *temporal.ApplicationError
		_, err = b.env.QueryWorkflow(workflows.QueryMessages, message.PageQuery{Cursor: "99999"})
		require.ErrorAs(t, err, &app)
		require.Equal(t, workflows.ErrInputType, app.Type())
		for _, name := range []any{"2", 2, id(2)} {
			v, err := b.env.QueryWorkflow(workflows.QueryMessage, name)
			require.NoError(t, err)
			var row message.Row
			require.NoError(t, v.Get(&row))
			require.Equal(t, 2, row.Index)
			require.Len(t, row.Trail, 1)
			require.Equal(t, "one", row.Trail[0].Account)
		}
		for _, name := range []any{"10", -1, "00000000-0000-8000-8000-000000000000", "x"} {
			_, err := b.env.QueryWorkflow(workflows.QueryMessage, name)
			require.Error(t, err)
		}
	})
	b.run(later(10))
}

func TestALongHistoryContinuesAsNewWithAllThatIsKnown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(in activities.SendInput, n int) answer {
		if in.Index == 0 && n < 3 {
			return answer{kind: "throttled", code: "slow down", after: 10 * time.Minute}
		}
		return takes
	}
	b.at(time.Minute, func() {
		update(b, workflows.ControlCancel, message.CancelRequest{Messages: []string{id(9)}}, func(_ message.CancelResult, err error) { require.NoError(t, err) })
		b.env.SetCurrentHistoryLength(9_000)
	})
	b.at(30*time.Second, func() { b.env.SignalWorkflow(workflows.ControlPause, nil) })
	in := later(10)
	b.env.ExecuteWorkflow(workflows.SendBatchName, in)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, b.env.GetWorkflowError(), &again)

	var carried workflows.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &carried))
	require.True(t, carried.State.Paused)
	next := newBench(t)
	next.env.SetStartTime(b.env.Now())
	next.at(2*time.Hour, func() {
		require.Equal(t, message.BatchPaused, next.status().State)
		next.env.SignalWorkflow(workflows.ControlResume, nil)
	})
	res := next.run(carried)
	require.Equal(t, 9, res.Status.Counts[message.Sent])
	require.Equal(t, message.Canceled, res.Rows[9].State)
	require.Equal(t, []message.Event{"throttled", "sent"}, events(res, 0), "the trail goes over")
	require.Equal(t, 2, res.Rows[0].Attempts)
	require.Greater(t, res.Status.Rev, carried.State.Rev)
	for _, a := range next.attempts {
		require.Zero(t, b.tries[a.index]-map[bool]int{true: 1}[a.index == 0], "message %d went out in both runs", a.index)
	}
}

func TestAControlInTheTaskThatHandsOverComesFirst(t *testing.T) {
	t.Parallel()
	signals := map[string]func(b *bench){
		"cancel":   func(b *bench) { b.env.SignalWorkflow(workflows.ControlCancel, nil) },
		"temporal": func(b *bench) { b.env.CancelWorkflow() },
		"pause":    func(b *bench) { b.env.SignalWorkflow(workflows.ControlPause, nil) },
		"pause and resume": func(b *bench) {
			b.env.SignalWorkflow(workflows.ControlResume, nil)
			b.env.SignalWorkflow(workflows.ControlPause, nil)
		},
		"reschedule": func(b *bench) {
			b.env.SignalWorkflow(workflows.ControlReschedule, message.RescheduleRequest{SendAfter: "2h"})
		},
	}
	for name, signal := range signals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.at(0, func() { signal(b) }) // before the first task: both are in it
			b.at(time.Hour, func() {
				require.Empty(t, b.attempts)
				b.env.SignalWorkflow(workflows.ControlResume, nil)
			})
			res := b.run(batch(60))
			for i, row := range res.Rows {
				require.LessOrEqual(t, b.tries[i], 1)
				require.Equal(t, row.State == message.Sent, b.tries[i] == 1)
			}
		})
	}
}

func TestASignalThatMakesNoSenseChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, func() {
		b.env.SignalWorkflow(workflows.ControlCancel, "because")
		b.env.SignalWorkflow(workflows.ControlCancel, []int{1})
		b.env.SignalWorkflow(workflows.ControlReschedule, "soon")
		b.env.SignalWorkflow(workflows.ControlPause, "whatever is sent is ignored")
	})
	b.at(2*time.Hour, func() {
		require.Equal(t, message.BatchPaused, b.status().State)
		b.env.SignalWorkflow(workflows.ControlCancel, message.CancelRequest{Messages: []string{"7", "99", "x"}})
		b.env.SignalWorkflow(workflows.ControlResume, 5)
	})
	res := b.run(later(10))
	require.Equal(t, message.Canceled, res.Rows[7].State, "a message may be named by its index")
	require.Equal(t, 9, res.Status.Counts[message.Sent])
}
