package workflows_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows"
	"volley/workflows/contract"
)

// control asks something of the batch.
func (c *chaos) control() {
	b := c.b
	if b.Env.IsWorkflowCompleted() {
		return
	}
	rnd := c.rnd
	q := message.CancelRequest{}
	some := func() {
		for range 1 + rnd.IntN(10) {
			q.Messages = append(q.Messages, flowtest.ID(rnd.IntN(c.n)))
		}
	}
	switch rnd.IntN(13) {
	case 0, 1:
		flowtest.Update(b, contract.ControlPause, nil, func(_ message.PauseResult, err error) {
			if err == nil {
				c.paused = b.Status().State == message.BatchPaused
			}
		})
	case 2, 3:
		c.paused = false
		b.Env.SignalWorkflow(contract.ControlResume, nil)
	case 4:
		flowtest.Update(b, contract.ControlReschedule, message.RescheduleRequest{SendAfter: fmt.Sprintf("%ds", rnd.IntN(4000))},
			func(message.RescheduleResult, error) {})
	case 5:
		b.Env.SignalWorkflow(contract.ControlReschedule, message.RescheduleRequest{SendAfter: fmt.Sprintf("%ds", rnd.IntN(4000))})
	case 6, 7:
		if rnd.IntN(4) > 0 {
			some()
		}
		flowtest.Update(b, contract.ControlCancel, q, func(r message.CancelResult, err error) {
			require.NoError(b.T, err)
			all := slices.Concat(r.Canceled, r.Sent, r.InFlight, r.Ended)
			unique := slices.Compact(slices.Sorted(slices.Values(all)))
			require.Len(b.T, unique, len(all), "the sets overlap")
			if len(q.Messages) == 0 {
				require.Len(b.T, all, c.n)
			} else {
				require.Equal(b.T, slices.Compact(slices.Sorted(slices.Values(q.Messages))), unique)
			}
			c.answered(r.Canceled, r.InFlight)
		})
	case 8:
		some()
		b.Env.SignalWorkflow(contract.ControlCancel, q)
	case 9:
		if rnd.IntN(4) == 0 {
			b.Env.CancelWorkflow()
		}
	case 10:
		b.Env.SignalWorkflow(contract.ControlPause, nil)
	default:
		b.Env.SetCurrentHistoryLength(9_000)
	}
}

// TestUnderChaosEveryMessageEndsOnceOverAllRuns tries the seeds from CHAOS_FROM to
// CHAOS_TO, or the first sixty.
func TestUnderChaosEveryMessageEndsOnceOverAllRuns(t *testing.T) {
	t.Parallel()
	from, to := seed("CHAOS_FROM", 0), seed("CHAOS_TO", 60)
	for s := from; s < to; s++ {
		t.Run(strconv.Itoa(s), func(t *testing.T) {
			t.Parallel()
			chaosSeed(t, uint64(s))
		})
	}
}

func chaosSeed(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 11))
	n := 1 + rnd.IntN(120)
	accounts := 1 + rnd.IntN(6)
	c := newChaos(t, rnd, n)
	in := flowtest.Batch(n, func(m *message.Batch) {
		m.InFlight = []int{1, 2, 3, 5, 20, 48}[rnd.IntN(6)]
		m.Hops, m.Policies = nil, map[string]message.Policy{}
		for a := range accounts {
			name := fmt.Sprintf("a%d", a)
			p := message.Policy{Reconciles: rnd.IntN(3) > 0, Settle: int64(rnd.IntN(6000)), Attempts: rnd.IntN(6)}
			m.Policies[name] = p
			c.outage(name)
		}
		for range 1 + rnd.IntN(4) {
			m.Hops = append(m.Hops, c.way(accounts, 3))
		}
		same := rnd.IntN(3) == 0
		for i := range m.Messages {
			x := &m.Messages[i]
			if !same {
				x.Due = flowtest.Start.Add(time.Duration(rnd.IntN(7200)-600) * time.Second).UnixMilli()
			}
			x.TTL = int64(1+rnd.IntN(5400)) * 1000
			x.Route = rnd.IntN(len(m.Hops))
			if rnd.IntN(10) == 0 {
				x.Route = -1
				x.Problems.Add(i, "x", message.CodeFormat, "bad")
			}
		}
	})
	if rnd.IntN(2) == 0 {
		in.Batch.AwaitReports = int64(1+rnd.IntN(3600)) * 1000
	}
	c.post = newPost(c, in)
	var when []time.Duration
	for range rnd.IntN(14) {
		span := 3_600_000
		if rnd.IntN(2) == 0 {
			span = 120_000
		}
		when = append(when, time.Duration(1+rnd.IntN(span))*time.Millisecond)
	}
	slices.Sort(when)
	now := flowtest.Start
	for runs := 0; ; runs++ {
		b := c.bench()
		b.Env.RegisterWorkflowWithOptions(workflows.SendBatch, workflow.RegisterOptions{Name: contract.SendBatchName})
		b.Env.SetStartTime(now)
		c.post.goesOn(b)
		for _, d := range when {
			if left := flowtest.Start.Add(d).Sub(now); left > 0 {
				b.At(left, c.control)
			}
		}
		b.At(max(flowtest.Start.Add(48*time.Hour).Sub(now), time.Minute), func() {
			c.paused = false
			b.Env.SignalWorkflow(contract.ControlResume, nil)
		})
		c.execute(contract.SendBatchName, in)
		require.True(t, b.Env.IsWorkflowCompleted(), "the batch hangs")
		var again *workflow.ContinueAsNewError
		if errors.As(b.Env.GetWorkflowError(), &again) {
			var carried contract.Input
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &carried))
			for i, f := range c.futures {
				require.True(t, f.IsReady(), "message %d is under way at continue-as-new", i)
			}
			in = carried
			now = b.Env.Now()
			continue
		}
		res := b.Result(n)
		require.Less(t, b.Env.Now(), flowtest.Start.Add(100*time.Hour), "it took too long")
		c.post.forgotten(b.Env.Now())
		for i, row := range res.Rows {
			c.post.judge(i, row, flowtest.Events(res, i))
			if c.canceled[row.ID] {
				require.Equal(t, message.Canceled, row.State)
			}
		}
		return
	}
}
