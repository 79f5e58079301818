package engine_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// later makes a batch whose first half is due now and whose second half in an hour.
func later(n int) contract.Input {
	return flowtest.Batch(n, func(m *message.Batch) {
		for i := n / 2; i < n; i++ {
			m.Messages[i].Due = flowtest.Start.Add(time.Hour).UnixMilli()
		}
	})
}

func TestACancelThatCouldMeanMoreThanItSaysIsNotObeyed(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"messages":null}`, `{"messages":["0"],"messages":null}`, `{"reason":"a","Reason":"b"}`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.At(time.Minute, func() {
				b.Env.SignalWorkflow(contract.ControlCancel, json.RawMessage(body))
				flowtest.Update(b, contract.ControlCancel, json.RawMessage(body), func(_ message.CancelResult, err error) {
					var wrong *temporal.ApplicationError
					require.ErrorAs(b.T, err, &wrong)
					require.Equal(b.T, contract.ErrInputType, wrong.Type())
				})
			})
			require.Equal(t, 10, b.Run(later(10)).Status.Counts[message.Sent])
		})
	}
}

func TestEveryWayOfCancellingEndsWithAnExactResult(t *testing.T) {
	t.Parallel()
	ways := map[string]func(b *flowtest.Bench){
		"as an update": func(b *flowtest.Bench) {
			flowtest.Update(b, contract.ControlCancel, message.CancelRequest{Reason: "wrong text"}, func(r message.CancelResult, err error) {
				require.NoError(b.T, err)
				require.True(b.T, r.Confirmed)
				require.Equal(b.T, message.CancelCounts{Canceled: 5, Sent: 5}, r.Counts)
				require.Len(b.T, r.Canceled, 5)
			})
		},
		"as a signal": func(b *flowtest.Bench) {
			b.Env.SignalWorkflow(contract.ControlCancel, message.CancelRequest{Reason: "wrong text"})
		},
		"as a signal without argument": func(b *flowtest.Bench) { b.Env.SignalWorkflow(contract.ControlCancel, nil) },
		"through temporal":             func(b *flowtest.Bench) { b.Env.CancelWorkflow() },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.At(time.Minute, func() { way(b) })
			res := b.Run(later(10))
			require.Equal(t, message.BatchCanceled, res.Status.State)
			require.Equal(t, 5, res.Status.Counts[message.Sent])
			require.Equal(t, 5, res.Status.Counts[message.Canceled])
			for i := 5; i < 10; i++ {
				require.Equal(t, "canceled", res.Rows[i].Code)
				require.Zero(t, b.Tries[i])
			}
			require.WithinDuration(t, flowtest.Start.Add(time.Minute), *res.Status.FinishedAt, 2*time.Second)
		})
	}
}

func TestCancellingSingleMessagesLeavesTheBatchCompleted(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() {
		flowtest.Update(b, contract.ControlCancel, message.CancelRequest{Messages: []string{flowtest.ID(1), flowtest.ID(7), flowtest.ID(8), flowtest.ID(7)}}, func(r message.CancelResult, err error) {
			require.NoError(t, err)
			require.Equal(t, []string{flowtest.ID(7), flowtest.ID(8)}, r.Canceled)
			require.Equal(t, []string{flowtest.ID(1)}, r.Sent)
			require.Empty(t, r.InFlight)
		})
		flowtest.Update(b, contract.ControlCancel, message.CancelRequest{Messages: []string{}}, func(r message.CancelResult, err error) {
			require.NoError(t, err)
			require.Zero(t, r.Counts, "an empty list is none of the batch")
		})
		flowtest.Update(b, contract.ControlCancel, message.CancelRequest{Messages: []string{flowtest.ID(9), "no-such"}}, func(_ message.CancelResult, err error) {
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.Equal(t, contract.ErrNoMessageType, app.Type())
		})
	})
	res := b.Run(later(10))
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
		"found":       {contract.VerdictFound, message.Sent},
		"absent":      {contract.VerdictAbsent, message.Canceled},
		"cannot tell": {contract.VerdictCannotTell, message.Unknown},
		"no answer":   {contract.VerdictLater, message.Unknown},
	}
	for name, v := range verdicts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Doubtful }
			b.Ask = func(contract.ReconcileInput, int) contract.ReconcileResult {
				return contract.ReconcileResult{Verdict: v.verdict}
			}
			b.At(time.Second, func() {
				before := b.Status().Rev
				flowtest.Update(b, contract.ControlCancel, message.CancelRequest{}, func(r message.CancelResult, err error) {
					require.NoError(t, err)
					require.Equal(t, []string{flowtest.ID(0)}, r.InFlight)
					require.Equal(t, message.BatchCanceling, b.Status().State)
					require.Greater(t, b.Status().Rev, before, "whoever follows the batch hears of it")
				})
			})
			res := b.Run(flowtest.Batch(1, func(m *message.Batch) { m.Policies["one"] = resend(m.Policies["one"]) }))
			require.Equal(t, v.state, res.Rows[0].State)
			require.Equal(t, message.BatchCanceled, res.Status.State)
			require.Equal(t, 1, b.Tries[0])
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
		"found is sent":           {contract.VerdictFound, message.Hold, message.Sent, 1, []message.Event{"ambiguous", "found"}},
		"absent is tried again":   {contract.VerdictAbsent, message.Hold, message.Sent, 2, []message.Event{"ambiguous", "absent", "sent"}},
		"cannot tell under hold":  {contract.VerdictCannotTell, message.Hold, message.Unknown, 1, []message.Event{"ambiguous"}},
		"cannot tell, and resend": {contract.VerdictCannotTell, message.Resend, message.Sent, 2, []message.Event{"ambiguous", "sent"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.Send = func(_ contract.SendInput, n int) flowtest.Answer {
				if n == 1 {
					return flowtest.Doubtful
				}
				return flowtest.Takes
			}
			b.Ask = func(contract.ReconcileInput, int) contract.ReconcileResult {
				return contract.ReconcileResult{Verdict: c.verdict, ProviderID: "found-1"}
			}
			res := b.Run(flowtest.Batch(1, func(m *message.Batch) {
				p := m.Policies["one"]
				p.OnUnknown = c.policy
				m.Policies["one"] = p
			}))
			require.Equal(t, c.state, res.Rows[0].State)
			require.Equal(t, c.tries, b.Tries[0])
			require.Equal(t, c.events, flowtest.Events(res, 0))
			require.GreaterOrEqual(t, b.Asks[0].At.Sub(b.Attempts[0].At), 5*time.Second, "it settles first")
		})
	}
}

func TestAnUnansweredQuestionIsAskedUntilValidityEnds(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Doubtful }
	b.Ask = func(_ contract.ReconcileInput, n int) contract.ReconcileResult {
		if n < 30 {
			return contract.ReconcileResult{Verdict: contract.VerdictLater, Code: "http_503"}
		}
		return contract.ReconcileResult{Verdict: contract.VerdictFound}
	}
	res := b.Run(flowtest.Batch(1))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, 30, b.Asked[0])
}

func TestAPausedBatchSendsNothingAndGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() {
		flowtest.Update(b, contract.ControlPause, nil, func(r message.PauseResult, err error) {
			require.NoError(t, err)
			require.Empty(t, r.InFlight)
		})
	})
	b.At(2*time.Hour, func() {
		s := b.Status()
		require.Equal(t, message.BatchPaused, s.State)
		require.Equal(t, 4, s.Counts[message.Accepted], "due, and waiting for the resume")
		require.Equal(t, 1, s.Counts[message.Expired], "validity runs on while paused")
		flowtest.Update(b, contract.ControlResume, nil, func(_ message.ResumeResult, err error) { require.NoError(t, err) })
	})
	in := later(10)
	in.Batch.Messages[9].TTL = (30 * time.Minute).Milliseconds()
	res := b.Run(in)
	require.Equal(t, 9, res.Status.Counts[message.Sent])
	for _, a := range b.Attempts {
		if a.Index >= 5 {
			require.False(t, a.At.Before(flowtest.Start.Add(2*time.Hour)))
		}
	}
}

func TestPauseAndResumeAsSignals(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() { b.Env.SignalWorkflow(contract.ControlPause, nil) })
	b.At(3*time.Hour, func() {
		require.Equal(t, message.BatchPaused, b.Status().State)
		b.Env.SignalWorkflow(contract.ControlResume, nil)
	})
	res := b.Run(later(4))
	require.Equal(t, 4, res.Status.Counts[message.Sent])
	require.Equal(t, message.BatchCompleted, res.Status.State)
}

func TestRescheduleMovesWhatHasNoAttemptAndKeepsItsValidity(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	to := flowtest.Start.Add(5 * time.Hour)
	b.At(time.Minute, func() {
		flowtest.Update(b, contract.ControlReschedule, message.RescheduleRequest{SendAfter: to.Format(time.RFC3339)}, func(r message.RescheduleResult, err error) {
			require.NoError(t, err)
			require.Equal(t, message.RescheduleResult{Batch: "b", Rescheduled: 5, Unchanged: 5}, r)
		})
		for _, bad := range []string{"", "tomorrow", "9000h", "-10m"} {
			flowtest.Update(b, contract.ControlReschedule, message.RescheduleRequest{SendAfter: bad}, func(_ message.RescheduleResult, err error) {
				var app *temporal.ApplicationError
				require.ErrorAs(t, err, &app)
				require.Equal(t, contract.ErrInputType, app.Type())
			})
		}
	})
	b.At(2*time.Minute, func() { require.True(t, b.Status().SendAfter.Equal(to)) })
	in := later(10)
	in.Batch.Messages[9].TTL = (30 * time.Minute).Milliseconds()
	res := b.Run(in)
	require.Equal(t, 10, res.Status.Counts[message.Sent])
	require.True(t, res.Rows[9].ExpiresAt.Equal(to.Add(30*time.Minute)))
	for _, a := range b.Attempts {
		if a.Index >= 5 {
			require.WithinDuration(t, to, a.At, 2*time.Second)
		}
	}
}

// queued is an attempt that nobody takes from its queue before the batch wants it back.
var queued = flowtest.Answer{Hang: 24 * time.Hour}

func TestRescheduleTakesBackWhatIsQueued(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"as an update", "as a signal"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.Send = func(in contract.SendInput, n int) flowtest.Answer {
				switch {
				case in.Index == 0:
					return flowtest.Takes
				case in.Index == 1 && n == 1:
					return flowtest.Throttled // its next attempt is no first one
				case n == 1:
					return queued
				}
				return flowtest.Takes
			}
			to := flowtest.Start.Add(5 * time.Hour)
			q := message.RescheduleRequest{SendAfter: to.Format(time.RFC3339)}
			b.At(500*time.Millisecond, func() {
				if way == "as a signal" {
					b.Env.SignalWorkflow(contract.ControlReschedule, q)
					return
				}
				flowtest.Update(b, contract.ControlReschedule, q, func(r message.RescheduleResult, err error) {
					require.NoError(t, err)
					require.Equal(t, message.RescheduleResult{Batch: "b", Rescheduled: 8, Unchanged: 2}, r)
				})
			})
			b.At(time.Minute, func() {
				require.Equal(t, 8, b.Status().Counts[message.Scheduled])
				require.Equal(t, 2, b.Status().Counts[message.Sent])
			})
			res := b.Run(flowtest.Batch(10))
			require.Equal(t, 10, res.Status.Counts[message.Sent])
			for i, row := range res.Rows[2:] {
				require.WithinDuration(t, to, *row.SentAt, time.Second, "message %d", i+2)
				require.True(t, row.DueAt.Equal(to))
				require.True(t, row.ExpiresAt.Equal(to.Add(message.DefaultTTL)))
				require.Equal(t, 1, row.Attempts)
			}
		})
	}
}

func TestRescheduleToAnEarlierTimeWakesTheBatch(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() { b.Env.SignalWorkflow(contract.ControlReschedule, message.RescheduleRequest{SendAfter: "30s"}) })
	res := b.Run(later(10))
	require.WithinDuration(t, flowtest.Start.Add(90*time.Second), *res.Status.FinishedAt, 2*time.Second)
}

func TestARescheduleMayWriteDays(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"as an update", "as a signal"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			q := message.RescheduleRequest{SendAfter: "3d12h"}
			to := flowtest.Start.Add(time.Minute + 84*time.Hour)
			b.At(time.Minute, func() {
				if way == "as an update" {
					flowtest.Update(b, contract.ControlReschedule, q, func(r message.RescheduleResult, err error) {
						require.NoError(t, err)
						require.Equal(t, 5, r.Rescheduled)
					})
					return
				}
				b.Env.SignalWorkflow(contract.ControlReschedule, q)
			})
			res := b.Run(later(10))
			require.WithinDuration(t, to, *res.Status.FinishedAt, 2*time.Second)
		})
	}
}

func TestQueriesPageFilterAndFindMessages(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() {
		page := func(q message.PageQuery) message.Page {
			v, err := b.Env.QueryWorkflow(contract.QueryMessages, q)
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
		require.Empty(t, page(message.PageQuery{Since: b.Status().Rev}).Messages)
		_, err := b.Env.QueryWorkflow(contract.QueryMessages, message.PageQuery{State: "gone"})
		require.ErrorContains(t, err, "gone")
		var app *temporal.ApplicationError
		_, err = b.Env.QueryWorkflow(contract.QueryMessages, message.PageQuery{Cursor: "99999"})
		require.ErrorAs(t, err, &app)
		require.Equal(t, contract.ErrInputType, app.Type())
		for _, name := range []any{"2", 2, flowtest.ID(2)} {
			v, err := b.Env.QueryWorkflow(contract.QueryMessage, name)
			require.NoError(t, err)
			var row message.Row
			require.NoError(t, v.Get(&row))
			require.Equal(t, 2, row.Index)
			require.Len(t, row.Trail, 1)
			require.Equal(t, "one", row.Trail[0].Account)
		}
		for _, name := range []any{"10", -1, "00000000-0000-8000-8000-000000000000", "x"} {
			_, err := b.Env.QueryWorkflow(contract.QueryMessage, name)
			require.Error(t, err)
		}
	})
	b.Run(later(10))
}

func TestALongHistoryContinuesAsNewWithAllThatIsKnown(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(in contract.SendInput, n int) flowtest.Answer {
		if in.Index == 0 && n < 3 {
			return flowtest.Answer{Kind: "throttled", Code: "slow down", After: 10 * time.Minute}
		}
		return flowtest.Takes
	}
	b.At(time.Minute, func() {
		flowtest.Update(b, contract.ControlCancel, message.CancelRequest{Messages: []string{flowtest.ID(9)}}, func(_ message.CancelResult, err error) { require.NoError(t, err) })
		b.Env.SetCurrentHistoryLength(9_000)
	})
	b.At(30*time.Second, func() { b.Env.SignalWorkflow(contract.ControlPause, nil) })
	in := later(10)
	b.Env.ExecuteWorkflow(contract.SendBatchName, in)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, b.Env.GetWorkflowError(), &again)

	var carried contract.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &carried))
	require.True(t, carried.State.Paused)
	next := flowtest.NewBench(t)
	next.Env.SetStartTime(b.Env.Now())
	next.At(2*time.Hour, func() {
		require.Equal(t, message.BatchPaused, next.Status().State)
		next.Env.SignalWorkflow(contract.ControlResume, nil)
	})
	res := next.Run(carried)
	require.Equal(t, 9, res.Status.Counts[message.Sent])
	require.Equal(t, message.Canceled, res.Rows[9].State)
	require.Equal(t, []message.Event{"throttled", "sent"}, flowtest.Events(res, 0), "the trail goes over")
	require.Equal(t, 2, res.Rows[0].Attempts)
	require.Greater(t, res.Status.Rev, carried.State.Rev)
	for _, a := range next.Attempts {
		require.Zero(t, b.Tries[a.Index]-map[bool]int{true: 1}[a.Index == 0], "message %d went out in both runs", a.Index)
	}
}

func TestAControlInTheTaskThatHandsOverComesFirst(t *testing.T) {
	t.Parallel()
	signals := map[string]func(b *flowtest.Bench){
		"cancel":   func(b *flowtest.Bench) { b.Env.SignalWorkflow(contract.ControlCancel, nil) },
		"temporal": func(b *flowtest.Bench) { b.Env.CancelWorkflow() },
		"pause":    func(b *flowtest.Bench) { b.Env.SignalWorkflow(contract.ControlPause, nil) },
		"pause and resume": func(b *flowtest.Bench) {
			b.Env.SignalWorkflow(contract.ControlResume, nil)
			b.Env.SignalWorkflow(contract.ControlPause, nil)
		},
		"reschedule": func(b *flowtest.Bench) {
			b.Env.SignalWorkflow(contract.ControlReschedule, message.RescheduleRequest{SendAfter: "2h"})
		},
	}
	for name, signal := range signals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.At(0, func() { signal(b) }) // before the first task: both are in it
			b.At(time.Hour, func() {
				require.Empty(t, b.Attempts)
				b.Env.SignalWorkflow(contract.ControlResume, nil)
			})
			res := b.Run(flowtest.Batch(60))
			for i, row := range res.Rows {
				require.LessOrEqual(t, b.Tries[i], 1)
				require.Equal(t, row.State == message.Sent, b.Tries[i] == 1)
			}
		})
	}
}

func TestASignalThatMakesNoSenseChangesNothing(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.At(time.Minute, func() {
		b.Env.SignalWorkflow(contract.ControlCancel, "because")
		b.Env.SignalWorkflow(contract.ControlCancel, []int{1})
		b.Env.SignalWorkflow(contract.ControlReschedule, "soon")
		b.Env.SignalWorkflow(contract.ControlPause, "whatever is sent is ignored")
	})
	b.At(2*time.Hour, func() {
		require.Equal(t, message.BatchPaused, b.Status().State)
		b.Env.SignalWorkflow(contract.ControlCancel, message.CancelRequest{Messages: []string{"7", "99", "x"}})
		b.Env.SignalWorkflow(contract.ControlResume, 5)
	})
	res := b.Run(later(10))
	require.Equal(t, message.Canceled, res.Rows[7].State, "a message may be named by its index")
	require.Equal(t, 9, res.Status.Counts[message.Sent])
}

func TestAPauseAndAResumeThatWereRecordedKeepTheirOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pause, resume int64
		paused        bool
	}{
		"the pause was later":  {pause: 20, resume: 10, paused: true},
		"the resume was later": {pause: 10, resume: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.At(time.Second, func() {
				b.Env.SignalWorkflow(contract.ControlPause, message.PauseRequest{At: c.pause})
				b.Env.SignalWorkflow(contract.ControlResume, message.PauseRequest{At: c.resume})
			})
			b.At(2*time.Second, func() { require.Equal(t, c.paused, b.Status().State == message.BatchPaused) })
			b.At(3*time.Second, func() { b.Env.SignalWorkflow(contract.ControlCancel, message.CancelRequest{}) })
			b.Run(flowtest.Batch(1, func(m *message.Batch) { m.SendAfter = flowtest.Start.Add(time.Hour).UnixMilli() }))
		})
	}
}
