package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

func guarded(m *message.Batch) { m.Guard = true }

func TestABatchThatIsMostlyRefusedPausesItself(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		if in.Index%4 == 0 {
			return flowtest.Rejects
		}
		return flowtest.Takes
	}
	b.At(time.Minute, func() {
		st := b.Status()
		require.Equal(t, message.BatchPaused, st.State)
		require.Equal(t, message.HeldByGuard, st.Held.By)
		require.Contains(t, st.Held.Reason, "http_404")
		require.InDelta(t, 200, st.Total-st.Counts.Open(), 60)
		b.Env.SignalWorkflow(contract.ControlResume, nil)
	})
	res := b.Run(flowtest.Batch(1000, guarded))
	require.Equal(t, 250, res.Status.Counts[message.Failed], "once somebody has resumed it, it goes on to its end")
	require.Equal(t, 750, res.Status.Counts[message.Sent])
}

func TestABatchThatExpiredWhileItHeldItselfIsNotHeldAnyMore(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Send = func(contract.SendInput, int) flowtest.Answer { return flowtest.Rejects }
	res := b.Run(flowtest.Batch(1000, guarded))
	require.NotZero(t, res.Status.Counts[message.Expired])
	require.Nil(t, res.Status.Held, "there is nothing left to resume")
}

func TestTheGuardLetsPass(t *testing.T) {
	t.Parallel()
	rejects := func(every int, code func(i int) string) func(contract.SendInput, int) flowtest.Answer {
		return func(in contract.SendInput, _ int) flowtest.Answer {
			if in.Index%every != 0 {
				return flowtest.Takes
			}
			answer := flowtest.Rejects
			answer.Code = code(in.Index)
			return answer
		}
	}
	same := func(int) string { return "http_404" }
	for name, c := range map[string]struct {
		n      int
		send   func(contract.SendInput, int) flowtest.Answer
		change func(*message.Batch)
	}{
		"a small batch":          {199, rejects(1, same), guarded},
		"a part that is small":   {1000, rejects(6, same), guarded},
		"refusals of many kinds": {1000, rejects(2, func(i int) string { return string(rune('a' + i/2%4)) }), guarded},
		"one that has no guard":  {1000, rejects(1, same), func(*message.Batch) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := flowtest.NewBench(t)
			b.Send = c.send
			b.Env.SetTestTimeout(time.Minute)
			res := b.Run(flowtest.Batch(c.n, c.change))
			require.Equal(t, c.n, res.Status.Counts[message.Failed]+res.Status.Counts[message.Sent])
			require.Less(t, res.Status.FinishedAt.Sub(flowtest.Start), time.Hour)
		})
	}
}
