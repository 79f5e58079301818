package workflows_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
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
			b := newBench(t)
			accepted := make([]int, n)    // requests that the provider took, by message
			canceled := map[string]bool{} // what cancels have called canceled
			kinds := []answer{takes, takes, takes, takes, throttled, unavailable, rejects, doubtful, {kind: activities.KindNotStarted}}
			b.send = func(s activities.SendInput, _ int) answer {
				require.False(t, canceled[id(s.Index)], "a request left for a message that was canceled")
				a := kinds[rnd.IntN(len(kinds))]
				if a.kind == activities.KindSent || a.kind == "ambiguous" && rnd.IntN(2) == 0 {
					accepted[s.Index]++
				}
				return a
			}
			b.ask = func(q activities.ReconcileInput, _ int) activities.ReconcileResult {
				switch r := rnd.IntN(4); {
				case r == 0:
					return activities.ReconcileResult{Verdict: activities.VerdictLater}
				case r == 1:
					return activities.ReconcileResult{Verdict: activities.VerdictCannotTell}
				case accepted[q.Send.Index] > 0:
					return activities.ReconcileResult{Verdict: activities.VerdictFound}
				}
				return activities.ReconcileResult{Verdict: activities.VerdictAbsent}
			}
			b.env.SetOnActivityCompletedListener(func(*activityInfo, value, error) { b.consistent(b.status(), n) })
			for range rnd.IntN(8) {
				b.at(time.Duration(1+rnd.IntN(3_600_000))*time.Millisecond, func() { control(b, rnd, n, canceled) })
			}
			b.at(48*time.Hour, func() { b.env.SignalWorkflow(workflows.ControlResume, nil) })

			res := b.run(in)
			for i, row := range res.Rows {
				require.LessOrEqual(t, accepted[i], 1, "message %d was taken twice, trail %v", i, events(res, i))
				switch row.State {
				case message.Sent:
					require.Equal(t, 1, accepted[i])
				case message.Unknown:
				default:
					require.Zero(t, accepted[i], "message %d was taken and is %s", i, row.State)
				}
				require.Equal(t, canceled[row.ID] || row.State == message.Canceled, row.State == message.Canceled)
			}
		})
	}
}

func randomBatch(rnd *rand.Rand, n int) workflows.Input {
	return batch(n, func(m *message.Batch) {
		m.InFlight = 1 + rnd.IntN(20)
		m.Hops = append(m.Hops, []message.Hop{{Account: "two"}, {Account: "one"}})
		m.Policies["two"] = message.Policy{Reconciles: rnd.IntN(2) == 0, Settle: 1000, Attempts: rnd.IntN(4)}
		for i := range m.Messages {
			x := &m.Messages[i]
			x.Due = start.Add(time.Duration(rnd.IntN(7200)-600) * time.Second).UnixMilli()
			x.TTL = int64(1+rnd.IntN(5400)) * 1000
			x.Route = rnd.IntN(2)
			if rnd.IntN(10) == 0 {
				x.Route = -1
				x.Problems.Add(i, "x", message.CodeFormat, "bad")
			}
		}
	})
}

func control(b *bench, rnd *rand.Rand, n int, canceled map[string]bool) {
	if b.env.IsWorkflowCompleted() {
		return
	}
	switch rnd.IntN(6) {
	case 0:
		update(b, workflows.ControlPause, nil, func(message.PauseResult, error) {})
	case 1:
		b.env.SignalWorkflow(workflows.ControlResume, nil)
	case 2:
		update(b, workflows.ControlReschedule, message.RescheduleRequest{SendAfter: fmt.Sprintf("%ds", rnd.IntN(4000))},
			func(message.RescheduleResult, error) {})
	case 3, 4:
		q := message.CancelRequest{}
		if rnd.IntN(3) > 0 {
			for range 1 + rnd.IntN(10) {
				q.Messages = append(q.Messages, id(rnd.IntN(n)))
			}
		}
		update(b, workflows.ControlCancel, q, func(r message.CancelResult, err error) {
			require.NoError(b.t, err)
			all := slices.Concat(r.Canceled, r.Sent, r.InFlight, r.Ended)
			unique := slices.Compact(slices.Sorted(slices.Values(all)))
			require.Len(b.t, unique, len(all), "the sets overlap")
			if len(q.Messages) == 0 {
				require.Len(b.t, all, n)
			} else {
				require.Equal(b.t, slices.Compact(slices.Sorted(slices.Values(q.Messages))), unique)
			}
			for _, id := range r.Canceled {
				canceled[id] = true
			}
		})
	case 5:
		b.env.CancelWorkflow()
	}
}
