package workflows_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

func TestEveryMessageIsSentOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := 0
	b.env.SetOnActivityCompletedListener(func(*activityInfo, value, error) {
		b.consistent(b.status(), 1000)
		asked++
	})
	res := b.run(batch(1000))
	require.Equal(t, 1000, res.Status.Counts[message.Sent])
	require.Equal(t, message.BatchCompleted, res.Status.State)
	require.Len(t, b.attempts, 1000)
	require.Equal(t, 1000, asked)
	for i, row := range res.Rows {
		require.Equal(t, 1, b.tries[i])
		require.Equal(t, id(i), row.ID)
		require.Equal(t, "p-"+strconv.Itoa(i), row.ProviderID)
		require.Equal(t, 1, row.Attempts)
		require.Equal(t, "one", row.Account)
	}
}

func TestNoMoreAttemptsAreUnderWayThanAllowed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	under, most := 0, 0
	b.env.SetOnActivityStartedListener(func(*activityInfo, ctx, values) {
		under++
		most = max(most, under)
	})
	b.env.SetOnActivityCompletedListener(func(*activityInfo, value, error) { under-- })
	b.run(batch(300, func(m *message.Batch) { m.InFlight = 7 }))
	require.LessOrEqual(t, most, 7)
	require.Positive(t, most)
}

func TestMessagesLeaveInDueOrderAndNeverEarly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	timers, armed := 0, 0
	b.env.SetOnTimerScheduledListener(func(string, time.Duration) { timers++; armed++ })
	b.env.SetOnTimerFiredListener(func(string) { armed-- })
	b.env.SetOnTimerCanceledListener(func(string) { armed-- })
	in := batch(60, func(m *message.Batch) {
		for i := range m.Messages {
			m.Messages[i].Due = start.Add(time.Duration((i*37)%60) * 10 * time.Second).UnixMilli()
		}
	})
	b.at(time.Second, func() { require.Equal(t, 1, armed, "one timer serves all due times") })
	res := b.run(in)
	require.Equal(t, 60, res.Status.Counts[message.Sent])
	for k, a := range b.attempts {
		due := time.UnixMilli(in.Batch.Messages[a.index].Due)
		require.False(t, a.at.Before(due), "message %d left at %s, due %s", a.index, a.at, due)
		require.LessOrEqual(t, a.at.Sub(due), 2*time.Second)
		if k > 0 {
			require.False(t, a.at.Before(b.attempts[k-1].at))
		}
	}
	require.LessOrEqual(t, timers, 61)
}

func TestAScheduleOf35DaysHoldsAndAnswersQueriesAllTheWhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	due := start.Add(35 * 24 * time.Hour)
	b.at(34*24*time.Hour, func() {
		s := b.status()
		require.Equal(t, message.BatchScheduled, s.State)
		require.Equal(t, 3, s.Counts[message.Scheduled])
		require.True(t, s.NextDueAt.Equal(due))
		require.Empty(t, b.attempts)
	})
	res := b.run(batch(3, func(m *message.Batch) { m.SendAfter = due.UnixMilli() }))
	require.Equal(t, 3, res.Status.Counts[message.Sent])
	for _, a := range b.attempts {
		require.False(t, a.at.Before(due))
	}
}

func TestAMessageThatFailedValidationIsRejectedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	res := b.run(batch(3, func(m *message.Batch) {
		m.Messages[1].Route = -1
		m.Messages[1].Problems.Add(1, "messages[1].to", message.CodeRequired, "expected a recipient")
	}))
	require.Equal(t, message.Rejected, res.Rows[1].State)
	require.Equal(t, message.CodeRequired, res.Rows[1].Code)
	require.Contains(t, res.Rows[1].Detail, "messages[1].to")
	require.Equal(t, 2, res.Status.Counts[message.Sent])
	require.Zero(t, b.tries[1])
}

func TestABatchWithoutMessagesCompletes(t *testing.T) {
	t.Parallel()
	res := newBench(t).run(batch(0))
	require.Equal(t, message.BatchCompleted, res.Status.State)
}

func TestValidityThatEndedBeforeTheDueTimeNeedsNoAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	res := b.run(batch(2, func(m *message.Batch) {
		m.Messages[0].Due = start.Add(-time.Hour).UnixMilli()
		m.Messages[0].TTL = time.Minute.Milliseconds()
	}))
	require.Equal(t, message.Expired, res.Rows[0].State)
	require.Zero(t, res.Rows[0].Attempts)
	require.Zero(t, b.tries[0])
	require.Equal(t, message.Sent, res.Rows[1].State)
}

func TestAWaitingMessageExpiresWhenItsValidityEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(activities.SendInput, int) answer { return answer{kind: "throttled", after: time.Hour} }
	res := b.run(batch(1, func(m *message.Batch) { m.TTL = (10 * time.Minute).Milliseconds() }))
	require.Equal(t, message.Expired, res.Rows[0].State)
	require.WithinDuration(t, start.Add(10*time.Minute), *res.Rows[0].FinishedAt, time.Second)
	require.Equal(t, []message.Event{message.EventThrottled, message.EventExpired}, events(res, 0))
}

func TestRetriesBackOffAndHonourRetryAfter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(_ activities.SendInput, n int) answer {
		switch n {
		case 1, 2:
			return unavailable
		case 3:
			return answer{kind: "throttled", code: "http_429", after: time.Minute}
		}
		return takes
	}
	res := b.run(batch(1))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, 4, res.Rows[0].Attempts)
	gap := func(k int) time.Duration { return b.attempts[k].at.Sub(b.attempts[k-1].at) }
	require.GreaterOrEqual(t, gap(1), 800*time.Millisecond)
	require.GreaterOrEqual(t, gap(2), 1600*time.Millisecond)
	require.GreaterOrEqual(t, gap(3), time.Minute)
	require.Less(t, gap(3), 62*time.Second)
	require.Equal(t, []message.Event{"unavailable", "unavailable", "throttled", "sent"}, events(res, 0))
}

func TestAttemptsThatAreUsedUpFailTheMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(activities.SendInput, int) answer { return throttled }
	res := b.run(batch(1, func(m *message.Batch) {
		p := m.Policies["one"]
		p.Attempts = 3
		m.Policies["one"] = p
	}))
	require.Equal(t, message.Failed, res.Rows[0].State)
	require.Equal(t, "http_429", res.Rows[0].Code)
	require.Equal(t, 3, b.tries[0])
}

func TestAHopThatRefusesForGoodHandsOver(t *testing.T) {
	t.Parallel()
	two := func(m *message.Batch) {
		m.Hops[0] = append(m.Hops[0], message.Hop{Account: "two"})
		m.Policies["two"] = message.Policy{Provider: "webhook"}
	}
	b := newBench(t)
	b.send = func(in activities.SendInput, _ int) answer {
		if in.Account == "one" || in.Index == 1 {
			return rejects
		}
		return takes
	}
	res := b.run(batch(2, two))
	require.Equal(t, message.Sent, res.Rows[0].State)
	require.Equal(t, "two", res.Rows[0].Account)
	require.Equal(t, message.Failed, res.Rows[1].State)
	require.Equal(t, 2, res.Rows[1].Attempts)
	require.Equal(t, []message.Event{"rejected", "sent"}, events(res, 0))

	b = newBench(t)
	b.send = func(activities.SendInput, int) answer { return doubtful }
	res = b.run(batch(1, two))
	require.Equal(t, message.Unknown, res.Rows[0].State, "a doubtful message never fails over")
	require.Equal(t, 1, b.tries[0])
}

func TestABreakerHoldsBackAnAccountThatIsDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	up := start.Add(2 * time.Minute)
	b.send = func(activities.SendInput, int) answer {
		if b.env.Now().Before(up) {
			return unavailable
		}
		return takes
	}
	res := b.run(batch(200, func(m *message.Batch) { m.InFlight = 10 }))
	require.Equal(t, 200, res.Status.Counts[message.Sent])
	var before int
	for _, a := range b.attempts {
		if a.at.Before(up) {
			before++
		}
	}
	require.GreaterOrEqual(t, before, 20)
	require.LessOrEqual(t, before, 20+10+12, "once open, one probe leaves per interval")
	last := b.attempts[len(b.attempts)-1].at
	require.Less(t, last.Sub(up), time.Minute, "the account is used again soon after it is back")
}

func TestAnAccountWithoutWorkersDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(in activities.SendInput, _ int) answer {
		if in.Account == "ghost" {
			return answer{hang: time.Hour}
		}
		return takes
	}
	b.at(10*time.Minute, func() { require.Equal(t, 100, b.status().Counts[message.Sent]) })
	res := b.run(batch(200, func(m *message.Batch) {
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
	b := newBench(t)
	b.send = func(activities.SendInput, int) answer { return answer{kind: activities.KindNotStarted} }
	res := b.run(batch(5, func(m *message.Batch) { m.TTL = time.Minute.Milliseconds() }))
	require.Equal(t, 5, res.Status.Counts[message.Expired])
	require.Less(t, len(b.attempts), 5*70)
	for _, row := range res.Rows {
		require.Zero(t, row.Attempts, "no request was made")
	}
}

func TestAMessageExpiresInTimeHoweverItCameToWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(in activities.SendInput, _ int) answer {
		if in.Index == 0 {
			return answer{kind: "throttled", after: 10 * time.Minute}
		}
		return takes
	}
	res := b.run(batch(2, func(m *message.Batch) {
		m.Messages[0].TTL = (30 * time.Second).Milliseconds()
		m.Messages[1].Due = start.Add(5 * time.Minute).UnixMilli()
	}))
	require.Equal(t, message.Expired, res.Rows[0].State)
	require.WithinDuration(t, start.Add(30*time.Second), *res.Rows[0].FinishedAt, time.Second)
}

func TestALargeTemplateIsHandedOverInSmallerParts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	under, most := 0, 0
	b.env.SetOnActivityStartedListener(func(*activityInfo, ctx, values) {
		under++
		most = max(most, under)
	})
	b.env.SetOnActivityCompletedListener(func(*activityInfo, value, error) { under-- })
	res := b.run(batch(50, func(m *message.Batch) {
		m.Template.Body = []byte(`{"text":"` + strings.Repeat("x", 200<<10) + `"}`)
		m.InFlight = 100
	}))
	require.Equal(t, 50, res.Status.Counts[message.Sent])
	require.LessOrEqual(t, most, 10, "what one task hands over must stay below 4 MB")
	require.Greater(t, most, 1)
}

func TestABatchThatIsAllDueAtOnceEndsItsRunInTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(activities.SendInput, int) answer {
		if len(b.attempts) == 10 {
			b.env.SetCurrentHistorySize(20 << 20)
		}
		return answer{hang: 100 * time.Millisecond}
	}
	b.env.ExecuteWorkflow(workflows.SendBatchName, batch(1000, func(m *message.Batch) { m.InFlight = 2 }))
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, b.env.GetWorkflowError(), &again)
	require.Less(t, len(b.attempts), 15)
}

func TestAStalledAccountHoldsUpNoOtherHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ inFlight, accounts int }{{48, 2}, {48, 25}, {48, 40}, {2, 2}, {3, 2}, {20, 11}} {
		t.Run(fmt.Sprintf("%d of %d", c.inFlight, c.accounts), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var last time.Time
			b.send = func(in activities.SendInput, _ int) answer {
				if in.Account == "a00" {
					return answer{hang: 24 * time.Hour}
				}
				last = b.env.Now()
				return answer{hang: 200 * time.Millisecond}
			}
			res := b.run(batch(300, func(m *message.Batch) {
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
			require.Less(t, last.Sub(start), 10*time.Minute)
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
			b := newBench(t)
			b.env.ExecuteWorkflow(workflows.SendBatchName, batch(2, spoil))
			require.ErrorContains(t, b.env.GetWorkflowError(), "not a batch")
		})
	}
}

func TestAnOutageMovesMessagesToTheNextHopOnceAttemptsAreUsedUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.send = func(in activities.SendInput, _ int) answer {
		if in.Account == "one" {
			return unavailable
		}
		return takes
	}
	res := b.run(batch(300, func(m *message.Batch) {
		m.TTL = time.Hour.Milliseconds()
		m.Policies["one"] = message.Policy{Attempts: 3}
		m.Policies["two"] = message.Policy{}
		m.Hops = [][]message.Hop{{{Account: "one"}, {Account: "two"}}, {{Account: "one"}}}
		m.Messages[299].Route = 1
	}))
	require.Equal(t, 299, res.Status.Counts[message.Sent])
	require.False(t, res.Rows[299].State.Taken(), "it has no other hop")
	require.Less(t, res.Rows[298].SentAt.Sub(start), 5*time.Minute)
}
