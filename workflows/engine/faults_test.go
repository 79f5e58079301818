package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// TestUnderEveryMixOfAnswersAndControlsTheCountsAddUp runs batches against
// providers and operators that do anything at any time.
func TestUnderEveryMixOfAnswersAndControlsTheCountsAddUp(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 7))
			n := 1 + rnd.IntN(60)
			in := randomBatch(rnd, n)
			resend := seed%4 == 3 // what nobody can tell of is sent again
			if resend {
				for name, p := range in.Batch.Policies {
					p.OnUnknown = message.Resend
					in.Batch.Policies[name] = p
				}
			}
			b := flowtest.NewBench(t)
			accepted := make([]int, n)    // requests that a provider took, by message
			through := make([]string, n)  // the account that it went through
			canceled := map[string]bool{} // what cancels have called canceled
			kinds := []flowtest.Answer{flowtest.Takes, flowtest.Takes, flowtest.Takes, flowtest.Takes, flowtest.Throttled, flowtest.Unavailable, flowtest.Rejects, flowtest.Doubtful, {Kind: contract.KindNotStarted}}
			b.Send = func(s contract.SendInput, _ int) flowtest.Answer {
				require.False(t, canceled[flowtest.ID(s.Index)], "a request left for a message that was canceled")
				a := kinds[rnd.IntN(len(kinds))]
				if a.Kind == contract.KindSent || a.Kind == "ambiguous" && rnd.IntN(2) == 0 {
					require.Contains(t, []string{"", s.Account}, through[s.Index], "message %d went out through two accounts", s.Index)
					accepted[s.Index]++
					through[s.Index] = s.Account
				}
				return a
			}
			b.Ask = func(q contract.ReconcileInput, _ int) contract.ReconcileResult {
				switch r := rnd.IntN(4); {
				case r == 0:
					return contract.ReconcileResult{Verdict: contract.VerdictLater}
				case r == 1:
					return contract.ReconcileResult{Verdict: contract.VerdictCannotTell}
				case accepted[q.Send.Index] > 0:
					return contract.ReconcileResult{Verdict: contract.VerdictFound}
				}
				return contract.ReconcileResult{Verdict: contract.VerdictAbsent}
			}
			b.Env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { b.Consistent(b.Status(), n) })
			for range rnd.IntN(8) {
				b.At(time.Duration(1+rnd.IntN(3_600_000))*time.Millisecond, func() { control(b, rnd, n, canceled) })
			}
			b.At(48*time.Hour, func() { b.Env.SignalWorkflow(contract.ControlResume, nil) })

			res := b.Run(in)
			for i, row := range res.Rows {
				require.True(t, resend || accepted[i] <= 1, "message %d was taken twice, trail %v", i, flowtest.Events(res, i))
				switch row.State {
				case message.Sent:
					require.Positive(t, accepted[i])
				case message.Unknown:
				default:
					require.Zero(t, accepted[i], "message %d was taken and is %s", i, row.State)
				}
				require.Equal(t, canceled[row.ID] || row.State == message.Canceled, row.State == message.Canceled)
			}
		})
	}
}

func randomBatch(rnd *rand.Rand, n int) contract.Input {
	return flowtest.Batch(n, func(m *message.Batch) {
		m.InFlight = 1 + rnd.IntN(20)
		m.Hops = append(m.Hops, []message.Hop{{Account: "two"}, {Account: "one"}})
		m.Policies["two"] = message.Policy{Reconciles: rnd.IntN(2) == 0, Settle: 1000, Attempts: rnd.IntN(4)}
		for i := range m.Messages {
			x := &m.Messages[i]
			x.Due = flowtest.Start.Add(time.Duration(rnd.IntN(7200)-600) * time.Second).UnixMilli()
			x.TTL = int64(1+rnd.IntN(5400)) * 1000
			x.Route = rnd.IntN(2)
			if rnd.IntN(10) == 0 {
				x.Route = -1
				x.Problems.Add(i, "x", message.CodeFormat, "bad")
			}
		}
	})
}

func control(b *flowtest.Bench, rnd *rand.Rand, n int, canceled map[string]bool) {
	if b.Env.IsWorkflowCompleted() {
		return
	}
	switch rnd.IntN(6) {
	case 0:
		flowtest.Update(b, contract.ControlPause, nil, func(message.PauseResult, error) {})
	case 1:
		b.Env.SignalWorkflow(contract.ControlResume, nil)
	case 2:
		flowtest.Update(b, contract.ControlReschedule, message.RescheduleRequest{SendAfter: fmt.Sprintf("%ds", rnd.IntN(4000))},
			func(message.RescheduleResult, error) {})
	case 3, 4:
		q := message.CancelRequest{}
		if rnd.IntN(3) > 0 {
			for range 1 + rnd.IntN(10) {
				q.Messages = append(q.Messages, flowtest.ID(rnd.IntN(n)))
			}
		}
		flowtest.Update(b, contract.ControlCancel, q, func(r message.CancelResult, err error) {
			require.NoError(b.T, err)
			all := slices.Concat(r.Canceled, r.Sent, r.InFlight, r.Ended)
			unique := slices.Compact(slices.Sorted(slices.Values(all)))
			require.Len(b.T, unique, len(all), "the sets overlap")
			if len(q.Messages) == 0 {
				require.Len(b.T, all, n)
			} else {
				require.Equal(b.T, slices.Compact(slices.Sorted(slices.Values(q.Messages))), unique)
			}
			for _, id := range r.Canceled {
				canceled[id] = true
			}
		})
	case 5:
		b.Env.CancelWorkflow()
	}
}
