package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// Outcomes of a worker on which an account is held by hand, and of one that holds itself.
var (
	byHand = flowtest.Answer{
		Kind: contract.KindNotStarted, Code: message.CodeHeld, After: time.Minute,
		Held: message.Holding{By: message.HeldByPerson, Reason: "rotation", Since: flowtest.Start.UnixMilli(), Key: "k", Account: true},
	}
	byItself = flowtest.Answer{
		Kind: "unauthorized", Code: "http_401",
		Held: message.Holding{By: message.HeldByAccount, Reason: "credentials", Since: flowtest.Start.UnixMilli(), Key: "a", Account: true},
	}
)

func TestHeldMessagesWaitWithoutAttempts(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	held := true
	b.Send = func(contract.SendInput, int) flowtest.Answer {
		if held {
			return byHand
		}
		return flowtest.Takes
	}
	b.Await = func(in contract.AwaitReleaseInput, _ int) contract.AwaitReleaseResult {
		require.Equal(t, "k", in.Held.Key)
		return contract.AwaitReleaseResult{Released: !held}
	}
	b.At(time.Hour, func() {
		st := b.Status()
		b.Consistent(st, 300)
		require.Equal(t, 300, st.Counts[message.Accepted])
		require.Equal(t, &message.HoldView{By: "person", Reason: "rotation", Since: flowtest.Start}, st.Held)
		require.LessOrEqual(t, len(b.Attempts), 48, "only those that were handed over before anybody knew")
		require.LessOrEqual(t, b.Awaits, 41)
		v, err := b.Env.QueryWorkflow(contract.QueryMessages, message.PageQuery{State: "accepted", Limit: 500})
		require.NoError(t, err)
		var page message.Page
		require.NoError(t, v.Get(&page))
		require.Len(t, page.Messages, 300)
		for _, row := range page.Messages {
			require.Equal(t, message.CodeHeld, row.Code)
			require.Equal(t, "rotation", row.Detail)
			require.Zero(t, row.Attempts)
		}
		held = false
	})
	res := b.Run(flowtest.Batch(300))
	require.Equal(t, 300, res.Status.Counts[message.Sent])
	require.Nil(t, res.Status.Held)
	for _, row := range res.Rows {
		require.Equal(t, 1, row.Attempts)
		require.Empty(t, row.Code)
	}
}

func TestHeldMessagesExpireWhenTheyMust(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer { return byHand }
	b.Await = func(contract.AwaitReleaseInput, int) contract.AwaitReleaseResult {
		return contract.AwaitReleaseResult{}
	}
	res := b.Run(flowtest.Batch(100, func(m *message.Batch) { m.TTL = (10 * time.Minute).Milliseconds() }))
	require.Equal(t, 100, res.Status.Counts[message.Expired])
	require.WithinDuration(t, flowtest.Start.Add(10*time.Minute), *res.Status.FinishedAt, time.Second)
}

func TestAHeldAccountIsPassedByWhereThereIsAnother(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]flowtest.Answer{"by hand": byHand, "by itself": byItself} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
				if in.Account == "one" {
					return answer
				}
				return flowtest.Takes
			}
			b.Await = func(contract.AwaitReleaseInput, int) contract.AwaitReleaseResult {
				return contract.AwaitReleaseResult{}
			}
			res := b.Run(flowtest.Batch(200, twoAccounts))
			require.Equal(t, 200, res.Status.Counts[message.Sent])
			first := 0
			for _, a := range b.Attempts {
				if a.Account == "one" {
					first++
				}
			}
			require.LessOrEqual(t, first, 48)
			for _, row := range res.Rows {
				require.Equal(t, "two", row.Account)
			}
		})
	}
}

func twoAccounts(m *message.Batch) {
	m.Hops = [][]message.Hop{{{Account: "one"}, {Account: "two"}}}
	m.Policies["two"] = message.Policy{Provider: "webhook"}
}

func TestATenantThatIsHeldHasNoOtherAccount(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	answer := byHand
	answer.Held.Account = false
	b.Send = func(_ contract.SendInput, n int) flowtest.Answer {
		if n == 1 {
			return answer
		}
		return flowtest.Takes
	}
	res := b.Run(flowtest.Batch(5, twoAccounts))
	require.Equal(t, 5, res.Status.Counts[message.Sent])
	for _, row := range res.Rows {
		require.Equal(t, "one", row.Account)
	}
}

// TestAnExpiredKeyBurnsNothing is F1: an account whose key is refused holds itself; probes
// find out when that is over, and no message ends for it.
func TestAnExpiredKeyBurnsNothing(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	fixed := flowtest.Start.Add(2 * time.Minute)
	probes := 0
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		if in.Probe {
			probes++
		}
		if b.Env.Now().Before(fixed) {
			return byItself
		}
		return flowtest.Takes
	}
	b.Await = func(_ contract.AwaitReleaseInput, n int) contract.AwaitReleaseResult {
		return contract.AwaitReleaseResult{Probe: n%2 == 0}
	}
	b.At(time.Minute, func() {
		st := b.Status()
		require.Equal(t, 900, st.Counts[message.Accepted])
		require.Equal(t, "account", st.Held.By)
	})
	res := b.Run(flowtest.Batch(900, func(m *message.Batch) {
		m.Policies["one"] = message.Policy{Provider: "webhook", Attempts: 1}
	}))
	require.Equal(t, 900, res.Status.Counts[message.Sent])
	require.Positive(t, probes)
	require.LessOrEqual(t, len(b.Attempts), 900+48+probes)
}

func TestARunThatGoesOnKnowsWhatIsHeld(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	in := flowtest.Batch(10)
	records := make([]message.Record, 10)
	for i := range records {
		at := flowtest.Start.UnixMilli()
		records[i] = message.Record{State: message.Accepted, Code: message.CodeHeld, Next: at, Due: at, Expires: at + time.Hour.Milliseconds()}
	}
	in.State = &contract.State{Records: records, Breakers: map[string]contract.Breaker{"one": {Held: byHand.Held}}}
	b.Await = func(contract.AwaitReleaseInput, int) contract.AwaitReleaseResult {
		require.Empty(t, b.Attempts)
		return contract.AwaitReleaseResult{Released: true}
	}
	res := b.Run(in)
	require.Equal(t, 10, res.Status.Counts[message.Sent])
	require.Equal(t, 1, b.Awaits)
	require.Len(t, b.Attempts, 10)
}

// TestAProbeForASuppressedRecipientSaysNothingOfTheAccount has the account held until later,
// and every other message suppressed.
func TestAProbeForASuppressedRecipientSaysNothingOfTheAccount(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	fixed := flowtest.Start.Add(2 * time.Minute)
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		switch {
		case in.Index%2 == 0 && (in.Probe || !b.Env.Now().Before(fixed)):
			return flowtest.Answer{Kind: "rejected", Code: message.CodeSuppressed}
		case b.Env.Now().Before(fixed):
			return byItself
		}
		return flowtest.Takes
	}
	b.Await = func(_ contract.AwaitReleaseInput, n int) contract.AwaitReleaseResult {
		return contract.AwaitReleaseResult{Probe: n%2 == 0}
	}
	b.At(time.Minute, func() {
		st := b.Status()
		require.Zero(t, st.Counts[message.Sent])
		require.Equal(t, "account", st.Held.By)
	})
	res := b.Run(flowtest.Batch(200, func(m *message.Batch) {
		m.Policies["one"] = message.Policy{Provider: "webhook", Attempts: 1}
	}))
	require.Equal(t, 100, res.Status.Counts[message.Sent])
	require.Equal(t, 100, res.Status.Counts[message.Rejected])
	require.Equal(t, message.Reasons{{State: message.Rejected, Code: message.CodeSuppressed, Count: 100}}, res.Status.Reasons)
}
