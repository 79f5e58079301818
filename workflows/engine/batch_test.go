package engine_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
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

func TestEveryMessageIsSentOnce(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	asked := 0
	b.Env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) {
		b.Consistent(b.Status(), 1000)
		asked++
	})
	res := b.Run(flowtest.Batch(1000))
	require.Equal(t, 1000, res.Status.Counts[message.Sent])
	require.Equal(t, message.BatchCompleted, res.Status.State)
	require.Len(t, b.Attempts, 1000)
	require.Equal(t, 1000, asked)
	for i, row := range res.Rows {
		require.Equal(t, 1, b.Tries[i])
		require.Equal(t, flowtest.ID(i), row.ID)
		require.Equal(t, "p-"+strconv.Itoa(i), row.ProviderID)
		require.Equal(t, 1, row.Attempts)
		require.Equal(t, "one", row.Account)
	}
}

func TestNoMoreAttemptsAreUnderWayThanAllowed(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	under, most := 0, 0
	b.Env.SetOnActivityStartedListener(func(*activity.Info, context.Context, converter.EncodedValues) {
		under++
		most = max(most, under)
	})
	b.Env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { under-- })
	b.Run(flowtest.Batch(300, func(m *message.Batch) { m.InFlight = 7 }))
	require.LessOrEqual(t, most, 7)
	require.Positive(t, most)
}

func TestMessagesLeaveInDueOrderAndNeverEarly(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	timers, armed := 0, 0
	b.Env.SetOnTimerScheduledListener(func(string, time.Duration) { timers++; armed++ })
	b.Env.SetOnTimerFiredListener(func(string) { armed-- })
	b.Env.SetOnTimerCanceledListener(func(string) { armed-- })
	in := flowtest.Batch(60, func(m *message.Batch) {
		for i := range m.Messages {
			m.Messages[i].Due = flowtest.Start.Add(time.Duration((i*37)%60) * 10 * time.Second).UnixMilli()
		}
	})
	b.At(time.Second, func() { require.Equal(t, 1, armed, "one timer serves all due times") })
	res := b.Run(in)
	require.Equal(t, 60, res.Status.Counts[message.Sent])
	for k, a := range b.Attempts {
		due := time.UnixMilli(in.Batch.Messages[a.Index].Due)
		require.False(t, a.At.Before(due), "message %d left at %s, due %s", a.Index, a.At, due)
		require.LessOrEqual(t, a.At.Sub(due), 2*time.Second)
		if k > 0 {
			require.False(t, a.At.Before(b.Attempts[k-1].At))
		}
	}
	require.LessOrEqual(t, timers, 61)
}

func TestAScheduleOf35DaysHoldsAndAnswersQueriesAllTheWhile(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	due := flowtest.Start.Add(35 * 24 * time.Hour)
	b.At(34*24*time.Hour, func() {
		s := b.Status()
		require.Equal(t, message.BatchScheduled, s.State)
		require.Equal(t, 3, s.Counts[message.Scheduled])
		require.True(t, s.NextDueAt.Equal(due))
		require.Empty(t, b.Attempts)
	})
	res := b.Run(flowtest.Batch(3, func(m *message.Batch) { m.SendAfter = due.UnixMilli() }))
	require.Equal(t, 3, res.Status.Counts[message.Sent])
	for _, a := range b.Attempts {
		require.False(t, a.At.Before(due))
	}
}

func TestAMessageThatFailedValidationIsRejectedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	res := b.Run(flowtest.Batch(3, func(m *message.Batch) {
		m.Messages[1].Route = -1
		m.Messages[1].Problems.Add(1, "messages[1].to", message.CodeRequired, "expected a recipient")
	}))
	require.Equal(t, message.Rejected, res.Rows[1].State)
	require.Equal(t, message.CodeRequired, res.Rows[1].Code)
	require.Contains(t, res.Rows[1].Detail, "messages[1].to")
	require.Equal(t, 2, res.Status.Counts[message.Sent])
	require.Zero(t, b.Tries[1])
}

func TestABatchWithoutMessagesCompletes(t *testing.T) {
	t.Parallel()
	res := flowtest.NewBench(t).Run(flowtest.Batch(0))
	require.Equal(t, message.BatchCompleted, res.Status.State)
}

func TestValidityThatEndedBeforeTheDueTimeNeedsNoAttempt(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	res := b.Run(flowtest.Batch(2, func(m *message.Batch) {
		m.Messages[0].Due = flowtest.Start.Add(-time.Hour).UnixMilli()
		m.Messages[0].TTL = time.Minute.Milliseconds()
	}))
	require.Equal(t, message.Expired, res.Rows[0].State)
	require.Zero(t, res.Rows[0].Attempts)
	require.Zero(t, b.Tries[0])
	require.Equal(t, message.Sent, res.Rows[1].State)
}

func TestAWaitingMessageExpiresWhenItsValidityEnds(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer {
		return flowtest.Answer{Kind: "throttled", After: time.Hour}
	}
	res := b.Run(flowtest.Batch(1, func(m *message.Batch) { m.TTL = (10 * time.Minute).Milliseconds() }))
	require.Equal(t, message.Expired, res.Rows[0].State)
	require.WithinDuration(t, flowtest.Start.Add(10*time.Minute), *res.Rows[0].FinishedAt, time.Second)
	require.Equal(t, []message.Event{message.EventThrottled, message.EventExpired}, flowtest.Events(res, 0))
}

func TestRetriesBackOffAndHonourRetryAfter(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(_ contract.SendInput, n int) flowtest.Answer {
		switch n {
		case 1, 2:
			return flowtest.Unavailable
		case 3:
			return flowtest.Answer{Kind: "throttled", Code: "http_429", After: time.Minute}
		}
		return flowtest.Takes
	}
	res := b.Run(flowtest.Batch(1))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, 4, res.Rows[0].Attempts)
	gap := func(k int) time.Duration { return b.Attempts[k].At.Sub(b.Attempts[k-1].At) }
	require.GreaterOrEqual(t, gap(1), 800*time.Millisecond)
	require.GreaterOrEqual(t, gap(2), 1600*time.Millisecond)
	require.GreaterOrEqual(t, gap(3), time.Minute)
	require.Less(t, gap(3), 62*time.Second)
	require.Equal(t, []message.Event{"unavailable", "unavailable", "throttled", "sent"}, flowtest.Events(res, 0))
}

func TestAttemptsThatAreUsedUpFailTheMessage(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Throttled }
	res := b.Run(flowtest.Batch(1, func(m *message.Batch) {
		p := m.Policies["one"]
		p.Attempts = 3
		m.Policies["one"] = p
	}))
	require.Equal(t, message.Failed, res.Rows[0].State)
	require.Equal(t, "http_429", res.Rows[0].Code)
	require.Equal(t, 3, b.Tries[0])
}

func TestAHopThatRefusesForGoodHandsOver(t *testing.T) {
	t.Parallel()
	two := func(m *message.Batch) {
		m.Hops[0] = append(m.Hops[0], message.Hop{Account: "two"})
		m.Policies["two"] = message.Policy{Provider: "webhook"}
	}
	b := flowtest.NewBench(t)
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		if in.Account == "one" || in.Index == 1 {
			return flowtest.Rejects
		}
		return flowtest.Takes
	}
	res := b.Run(flowtest.Batch(2, two))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, "two", res.Rows[0].Account)
	require.Equal(t, message.Failed, res.Rows[1].State)
	require.Equal(t, 2, res.Rows[1].Attempts)
	require.Equal(t, []message.Event{"rejected", "sent"}, flowtest.Events(res, 0))

	b = flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Doubtful }
	res = b.Run(flowtest.Batch(1, two))
	require.Equal(t, message.Unknown, res.Rows[0].State, "a doubtful message never fails over")
	require.Equal(t, 1, b.Tries[0])
}

func TestABreakerHoldsBackAnAccountThatIsDown(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	up := flowtest.Start.Add(2 * time.Minute)
	told := map[bool]int{}
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		told[in.Breaker]++
		require.False(t, in.Probe, "nothing is held")
		if b.Env.Now().Before(up) {
			return flowtest.Unavailable
		}
		return flowtest.Takes
	}
	res := b.Run(flowtest.Batch(200, func(m *message.Batch) { m.InFlight = 10 }))
	require.Positive(t, told[true], "a probe says that it is one")
	require.LessOrEqual(t, told[true], 12)
	require.Equal(t, 200, res.Status.Counts[message.Sent])
	var before int
	for _, a := range b.Attempts {
		if a.At.Before(up) {
			before++
		}
	}
	require.GreaterOrEqual(t, before, 20)
	require.LessOrEqual(t, before, 20+10+12, "once open, one probe leaves per interval")
	last := b.Attempts[len(b.Attempts)-1].At
	require.Less(t, last.Sub(up), time.Minute, "the account is used again soon after it is back")
}

// A provider that is down for an hour costs no message, few attempts, and gets no more at
// once than ever when it is back.
func TestAProviderThatIsDownForAnHourLosesAndFloodsNothing(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	up := flowtest.Start.Add(time.Hour)
	b.Send = func(contract.SendInput, int) flowtest.Answer {
		if b.Env.Now().Before(up) {
			return flowtest.Unavailable
		}
		return flowtest.Answer{Hang: time.Second}
	}
	res := b.Run(flowtest.Batch(200, func(m *message.Batch) { m.InFlight, m.TTL = 10, (36 * time.Hour).Milliseconds() }))
	require.Equal(t, 200, res.Status.Counts[message.Sent])
	before := 0
	var after []time.Time
	for _, a := range b.Attempts {
		if a.At.Before(up) {
			before++
			continue
		}
		after = append(after, a.At)
	}
	for i := 10; i < len(after); i++ {
		require.GreaterOrEqual(t, after[i].Sub(after[i-10]), time.Second, "no more at once than in_flight allows")
	}
	require.LessOrEqual(t, before, 20+10+5+120, "a probe every 30 s")
	require.Less(t, b.Attempts[len(b.Attempts)-1].At.Sub(up), 2*time.Minute, "the account is used again soon after it is back")
}

func TestAnAccountWithoutWorkersDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		if in.Account == "ghost" {
			return flowtest.Answer{Hang: time.Hour}
		}
		return flowtest.Takes
	}
	b.At(10*time.Minute, func() { require.Equal(t, 100, b.Status().Counts[message.Sent]) })
	res := b.Run(flowtest.Batch(200, func(m *message.Batch) {
		m.Hops = append(m.Hops, []message.Hop{{Account: "ghost"}})
		m.Policies["ghost"] = message.Policy{}
		for i := range 100 {
			m.Messages[i].Route = 1
		}
	}))
	require.Equal(t, 200, res.Status.Counts[message.Sent])
}

func TestAnAttemptForWhichTooLittleTimeWasLeftIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Answer{Kind: contract.KindNotStarted} }
	res := b.Run(flowtest.Batch(5, func(m *message.Batch) { m.TTL = time.Minute.Milliseconds() }))
	require.Equal(t, 5, res.Status.Counts[message.Expired])
	require.Less(t, len(b.Attempts), 5*70)
	for _, row := range res.Rows {
		require.Zero(t, row.Attempts, "no request was made")
	}
}

func TestAMessageExpiresInTimeHoweverItCameToWait(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		if in.Index == 0 {
			return flowtest.Answer{Kind: "throttled", After: 10 * time.Minute}
		}
		return flowtest.Takes
	}
	res := b.Run(flowtest.Batch(2, func(m *message.Batch) {
		m.Messages[0].TTL = (30 * time.Second).Milliseconds()
		m.Messages[1].Due = flowtest.Start.Add(5 * time.Minute).UnixMilli()
	}))
	require.Equal(t, message.Expired, res.Rows[0].State)
	require.WithinDuration(t, flowtest.Start.Add(30*time.Second), *res.Rows[0].FinishedAt, time.Second)
}

func TestALargeTemplateIsHandedOverInSmallerParts(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	under, most := 0, 0
	b.Env.SetOnActivityStartedListener(func(*activity.Info, context.Context, converter.EncodedValues) {
		under++
		most = max(most, under)
	})
	b.Env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { under-- })
	res := b.Run(flowtest.Batch(50, func(m *message.Batch) {
		m.Template.Body = []byte(`{"text":"` + strings.Repeat("x", 200<<10) + `"}`)
		m.InFlight = 100
	}))
	require.Equal(t, 50, res.Status.Counts[message.Sent])
	require.LessOrEqual(t, most, 10, "what one task hands over must stay below 4 MB")
	require.Greater(t, most, 1)
}

func TestABatchThatIsAllDueAtOnceEndsItsRunInTime(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer {
		if len(b.Attempts) == 10 {
			b.Env.SetCurrentHistorySize(20 << 20)
		}
		return flowtest.Answer{Hang: 100 * time.Millisecond}
	}
	b.Env.ExecuteWorkflow(contract.SendBatchName, flowtest.Batch(1000, func(m *message.Batch) { m.InFlight = 2 }))
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, b.Env.GetWorkflowError(), &again)
	require.Less(t, len(b.Attempts), 15)
}

func TestAStalledAccountHoldsUpNoOtherHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ inFlight, accounts int }{{48, 2}, {48, 25}, {48, 40}, {2, 2}, {3, 2}, {20, 11}} {
		t.Run(fmt.Sprintf("%d of %d", c.inFlight, c.accounts), func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			var last time.Time
			b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
				if in.Account == "a00" {
					return flowtest.Answer{Hang: 24 * time.Hour}
				}
				last = b.Env.Now()
				return flowtest.Answer{Hang: 200 * time.Millisecond}
			}
			res := b.Run(flowtest.Batch(300, func(m *message.Batch) {
				m.InFlight, m.TTL = c.inFlight, (100 * 24 * time.Hour).Milliseconds()
				m.Hops, m.Policies = nil, map[string]message.Policy{}
				for a := range c.accounts {
					name := fmt.Sprintf("a%02d", a)
					m.Policies[name] = message.Policy{}
					m.Hops = append(m.Hops, []message.Hop{{Account: name}})
				}
				for i := 100; i < 300; i++ {
					m.Messages[i].Route = i % c.accounts
				}
			}))
			require.Equal(t, 300, res.Status.Counts[message.Sent])
			require.Less(t, last.Sub(flowtest.Start), 10*time.Minute)
		})
	}
}

func TestAnInputThatTheStarterWouldNotMakeIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*message.Batch){
		"no way":          func(m *message.Batch) { m.Messages[0].Route = -1 },
		"no policy":       func(m *message.Batch) { m.Policies = nil },
		"another version": func(m *message.Batch) { m.V = 99 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.Env.ExecuteWorkflow(contract.SendBatchName, flowtest.Batch(2, spoil))
			require.ErrorContains(t, b.Env.GetWorkflowError(), "not a batch")
		})
	}
}

func TestAnOutageMovesMessagesToTheNextHopOnceAttemptsAreUsedUp(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		if in.Account == "one" {
			return flowtest.Unavailable
		}
		return flowtest.Takes
	}
	res := b.Run(flowtest.Batch(300, func(m *message.Batch) {
		m.TTL = time.Hour.Milliseconds()
		m.Policies["one"] = message.Policy{Attempts: 3}
		m.Policies["two"] = message.Policy{}
		m.Hops = [][]message.Hop{{{Account: "one"}, {Account: "two"}}, {{Account: "one"}}}
		m.Messages[299].Route = 1
	}))
	require.Equal(t, 299, res.Status.Counts[message.Sent])
	require.False(t, res.Rows[299].State.Taken(), "it has no other hop")
	require.Less(t, res.Rows[298].SentAt.Sub(flowtest.Start), 5*time.Minute)
}

func TestTheStatusKnowsWhenTheLastMessageIsDueOrTriedAgain(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	last := flowtest.Start.Add(8 * time.Hour)
	in := flowtest.Batch(3, func(m *message.Batch) {
		m.Messages[1].Due = last.UnixMilli()
	})
	b.Send = func(s contract.SendInput, n int) flowtest.Answer {
		if s.Index == 2 && n == 1 {
			a := flowtest.Throttled
			a.After = 9 * time.Hour
			return a
		}
		return flowtest.Takes
	}
	b.At(time.Minute, func() {
		s := b.Status()
		s.Forecast(0, 0)
		require.Equal(t, flowtest.Start.Add(9*time.Hour).Unix(), s.EstimatedEnd.Unix(), "the retry comes after the last due time")
	})
	b.At(8*time.Hour+time.Minute, func() {
		s := b.Status()
		s.Forecast(0, 0)
		require.Nil(t, s.EstimatedEnd, "the retry may be followed by another")
		require.Equal(t, 1, s.Counts[message.Retrying])
		require.True(t, s.RetryUntil.After(*s.LastDueAt))
	})
	b.Run(in)
}

func TestTheRateIsOfTheLastHalfMinuteWithoutPauses(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	in := flowtest.Batch(121, func(m *message.Batch) {
		for i := range 120 { // one a second
			m.Messages[i].Due = flowtest.Start.Add(time.Duration(i) * time.Second).UnixMilli()
		}
		m.Messages[120].Due = flowtest.Start.Add(time.Hour).UnixMilli()
	})
	at := func(after time.Duration, rate float64) {
		b.At(after, func() {
			s := b.Status()
			s.Forecast(0, 0)
			require.InDelta(t, rate, s.Rate, 0.05, "after %s: %+v", after, *s.Counts)
		})
	}
	at(10*time.Second+500*time.Millisecond, 11/10.5)
	at(50*time.Second+500*time.Millisecond, 1)
	b.At(60*time.Second+100*time.Millisecond, func() { b.Env.SignalWorkflow(contract.ControlPause, nil) })
	at(70*time.Second, 0)
	b.At(80*time.Second+100*time.Millisecond, func() { b.Env.SignalWorkflow(contract.ControlResume, nil) })
	at(85*time.Second+100*time.Millisecond, 25/5.) // those of the pause went at once
	at(115*time.Second+600*time.Millisecond, 1)
	b.Run(in)
}

func TestWhatWaitsIsTold(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	in := flowtest.Batch(3, func(m *message.Batch) {
		m.AwaitReports = time.Hour.Milliseconds()
	})
	b.At(time.Minute, func() {
		s := b.Status()
		require.Equal(t, 3, s.Counts[message.Sending])
		require.Equal(t, 3, s.AwaitingReports)
		require.Equal(t, flowtest.Start.Add(time.Hour).Unix(), s.AwaitUntil.Unix())
		require.Empty(t, s.SendingThrough, "a provider has them")
		s.Forecast(1, 0)
		require.Nil(t, s.EstimatedEnd)
	})
	b.Run(in)
}
