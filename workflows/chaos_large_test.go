package workflows_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows"
	"volley/workflows/contract"
)

// largeChaos is a large batch with its real segments, over a server, a store, providers
// and operators that do anything at any time. Message i lies in segment i/size+1.
type largeChaos struct {
	*flowtest.Bench
	*server
	t        *testing.T
	env      *testsuite.TestWorkflowEnvironment
	rnd      *rand.Rand
	n, size  int
	lines    message.MessageMetas
	head     message.Batch
	ledgers  map[int]message.Ledger
	kept     []message.Result
	accepted []int
	canceled map[int]bool // of which a cancel said so
	opens    int
	named    map[int]int64 // when messages were canceled by name, by index
	asks     int
}

// perform does the work of an activity that has begun.
func (c *largeChaos) perform(ctx, asked workflow.Context, _ string, in any) (any, error) {
	switch in := in.(type) {
	case contract.SendInput:
		return c.onSend(ctx, in)
	case contract.GroupInput:
		return c.onGroup(ctx, asked, in)
	case contract.ReconcileInput:
		return c.onAsk(ctx, in)
	case contract.OpenInput:
		return c.onOpen()
	case contract.LoadInput:
		return c.onLoad(in)
	case contract.KeepInput:
		return nil, c.onKeep(ctx, in)
	case contract.ControlSegmentsInput:
		return c.onControl(ctx, in)
	case contract.CancelMessagesInput:
		return c.onCancelMessages(ctx, in)
	case contract.CloseInput:
		c.kept = append(c.kept, in.Result)
		return nil, nil
	}
	return nil, fmt.Errorf("nobody does %T", in)
}

// leave sends a message, which its provider takes or not.
func (c *largeChaos) leave(ctx workflow.Context, i int) contract.SendResult {
	assert.False(c.t, c.canceled[i], "message %d leaves though it was canceled", i)
	kinds := []string{"sent", "sent", "sent", "throttled", "unavailable", "rejected", "ambiguous", "not_started"}
	res := contract.SendResult{V: 1, Kind: kinds[c.rnd.IntN(len(kinds))], At: workflow.Now(ctx).UnixMilli(), Code: "x"}
	if res.Kind == "throttled" {
		res.RetryAfter = int64(c.rnd.IntN(300_000))
	}
	if res.Kind == "sent" || res.Kind == "ambiguous" && c.rnd.IntN(2) == 0 {
		c.accepted[i]++
		res.ProviderID = fmt.Sprintf("p-%d", i)
	}
	return res
}

func (c *largeChaos) onSend(ctx workflow.Context, in contract.SendInput) (contract.SendResult, error) {
	if workflow.Now(ctx).UnixMilli() >= in.Expires {
		return contract.SendResult{V: 1, Kind: contract.KindExpired, At: workflow.Now(ctx).UnixMilli()}, nil
	}
	res := c.leave(ctx, in.Index)
	c.pass(ctx, 4*time.Second)
	return res, c.lost(40)
}

// onGroup sends messages one after the other until it hears that it is to stop.
func (c *largeChaos) onGroup(ctx, asked workflow.Context, in contract.GroupInput) (contract.GroupResult, error) {
	res := contract.GroupResult{V: 1}
	stop := false
	for _, p := range in.Positions() {
		l := c.lines[(in.Segment-1)*c.size+p]
		if in.Due > 0 {
			l.Due = in.Due
		}
		now := workflow.Now(ctx).UnixMilli()
		switch {
		case stop:
			res.Outcomes = append(res.Outcomes, contract.SendResult{V: 1, Kind: contract.KindNotStarted, At: now})
			continue
		case now >= l.Due+l.TTL:
			res.Outcomes = append(res.Outcomes, contract.SendResult{V: 1, Kind: contract.KindExpired, At: now})
			continue
		}
		res.Outcomes = append(res.Outcomes, c.leave(ctx, l.Index))
		if c.rnd.IntN(3) == 0 {
			c.pass(ctx, 2*time.Second)
		}
		stop = asked.Err() != nil && c.rnd.IntN(3) > 0 // it hears so with its next heartbeat
	}
	c.pass(ctx, 2*time.Second)
	return res, c.lost(40)
}

func (c *largeChaos) onAsk(ctx workflow.Context, in contract.ReconcileInput) (contract.ReconcileResult, error) {
	c.pass(ctx, 3*time.Second)
	res := contract.ReconcileResult{V: 1, At: workflow.Now(ctx).UnixMilli(), Verdict: contract.VerdictAbsent}
	if c.accepted[in.Send.Index] > 0 {
		res.Verdict = contract.VerdictFound
	}
	if c.rnd.IntN(4) == 0 {
		res.Verdict = contract.VerdictLater
	}
	return res, c.lost(40)
}

func newLargeChaos(t *testing.T, seed uint64) *largeChaos {
	rnd := rand.New(rand.NewPCG(seed, 23))
	n := 1 + rnd.IntN(300)
	var suite testsuite.WorkflowTestSuite
	env := flowtest.NewEnv(&suite)
	c := &largeChaos{
		Bench: &flowtest.Bench{T: t, Env: env}, server: &server{t: t, env: env, rnd: rnd}, env: env, t: t, rnd: rnd,
		n: n, size: max(n/(1+rnd.IntN(40)), 1), lines: make(message.MessageMetas, n), head: flowtest.Batch(0).Batch,
		ledgers: map[int]message.Ledger{}, accepted: make([]int, n), canceled: map[int]bool{}, named: map[int]int64{}, opens: rnd.IntN(5),
	}
	c.work = c.perform
	longest := map[string]time.Duration{
		contract.SendName: 4 * time.Second, contract.GroupName: 20 * time.Second, contract.ReconcileName: 3 * time.Second,
	}
	c.waits = func(name string) time.Duration { return c.upTo(longest[name]) }
	c.head.Policies = map[string]message.Policy{"one": {
		Reconciles: true, Settle: int64(rnd.IntN(6000)), Attempts: rnd.IntN(6), Group: rnd.IntN(20), RetryInitial: int64(rnd.IntN(120_000)),
	}}
	due := flowtest.Start.UnixMilli()
	for i := range c.lines {
		if rnd.IntN(10) == 0 {
			due += int64(rnd.IntN(60_000))
		}
		c.lines[i] = message.MessageMeta{
			Index: i, Due: due, TTL: int64(60+rnd.IntN(5400)) * 1000,
		}
		if rnd.IntN(10) == 0 {
			c.lines[i].Code = "required"
		}
	}
	c.env.SetTestTimeout(2 * time.Minute)
	c.env.SetStartTime(flowtest.Start)
	c.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{c.server}})
	c.env.RegisterWorkflowWithOptions(workflows.SendBatch, workflow.RegisterOptions{Name: contract.SendBatchName})
	c.env.RegisterWorkflowWithOptions(workflows.SendSegment, workflow.RegisterOptions{Name: contract.SendSegmentName})
	return c
}

// control asks something of the batch.
func (c *largeChaos) control() {
	if c.env.IsWorkflowCompleted() {
		return
	}
	rnd := c.rnd
	var q message.CancelRequest
	if rnd.IntN(4) > 0 {
		for range 1 + rnd.IntN(20) {
			q.Messages = append(q.Messages, flowtest.ID(rnd.IntN(c.n)))
		}
	}
	switch rnd.IntN(10) {
	case 0:
		flowtest.Update(c.Bench, contract.ControlPause, nil, func(message.PauseResult, error) {})
	case 1:
		c.env.SignalWorkflow(contract.ControlPause, nil)
	case 2, 3:
		c.env.SignalWorkflow(contract.ControlResume, nil)
	case 4:
		flowtest.Update(c.Bench, contract.ControlReschedule, message.RescheduleRequest{SendAfter: strconv.Itoa(rnd.IntN(2000)) + "s"},
			func(r message.RescheduleResult, err error) {
				if err == nil {
					assert.Equal(c.t, c.n, r.Rescheduled+r.Unchanged)
				}
			})
	case 5:
		c.env.SignalWorkflow(contract.ControlCancel, message.CancelRequest{Messages: append(q.Messages, flowtest.ID(0))})
	case 6:
		if q.Messages == nil && rnd.IntN(3) == 0 {
			c.env.CancelWorkflow()
		}
	default:
		if q.Messages == nil && rnd.IntN(2) == 0 {
			return
		}
		flowtest.Update(c.Bench, contract.ControlCancel, q, func(r message.CancelResult, err error) { c.answered(q, r, err) })
	}
}

// answered holds the answer of a cancel to what it promises.
func (c *largeChaos) answered(q message.CancelRequest, r message.CancelResult, err error) {
	if err != nil {
		assert.ErrorContains(c.t, err, "store")
		return
	}
	all := slices.Concat(r.Canceled, r.Sent, r.InFlight, r.Ended)
	unique := slices.Compact(slices.Sorted(slices.Values(all)))
	assert.Len(c.t, unique, len(all), "the sets overlap")
	switch {
	case q.Messages != nil:
		assert.Equal(c.t, slices.Compact(slices.Sorted(slices.Values(q.Messages))), unique)
	case len(all) > 0:
		assert.Len(c.t, all, c.n)
	default:
		assert.Equal(c.t, c.n, r.Counts.Canceled+r.Counts.Sent+r.Counts.InFlight+r.Counts.Ended)
	}
	for _, name := range r.Canceled {
		_, i, _ := message.ParseID(name)
		assert.Zero(c.t, c.accepted[i], "message %d was taken and canceled", i)
		c.canceled[i] = true
	}
	for _, name := range r.Sent {
		_, i, _ := message.ParseID(name)
		assert.Equal(c.t, 1, c.accepted[i], "message %d is said to be sent", i)
	}
}

// TestUnderChaosALargeBatchAddsUp tries the seeds from CHAOS_FROM to CHAOS_TO, or the
// first forty.
func TestUnderChaosALargeBatchAddsUp(t *testing.T) {
	t.Parallel()
	for s := seed("CHAOS_FROM", 0); s < seed("CHAOS_TO", 40); s++ {
		t.Run(strconv.Itoa(s), func(t *testing.T) {
			t.Parallel()
			newLargeChaos(t, uint64(s)).all()
		})
	}
}

func (c *largeChaos) all() {
	b := c.Bench
	b.Env.SetOnTimerFiredListener(func(string) { b.Consistent(b.Status(), c.n) })
	in := flowtest.Batch(0)
	in.Batch.Dispatch = []string{"group", ""}[c.rnd.IntN(2)]
	in.Large = &contract.LargeInput{Dir: "default/2026-11-20/b~00000000", Total: c.n}
	for _, l := range c.lines {
		if l.Code != "" {
			in.Large.Rejected++
		}
	}
	span := []int{3_600_000, 300_000, 60_000}[c.rnd.IntN(3)]
	for range c.rnd.IntN(20) {
		b.At(time.Duration(1+c.rnd.IntN(span))*time.Millisecond, c.control)
	}
	b.At(48*time.Hour, func() { b.Env.SignalWorkflow(contract.ControlResume, nil) })
	c.execute(contract.SendBatchName, in)
	require.True(c.t, b.Env.IsWorkflowCompleted(), "the batch hangs")
	require.NoError(c.t, b.Env.GetWorkflowError())
	var res message.Result
	require.NoError(c.t, b.Env.GetWorkflowResult(&res))
	require.Less(c.t, b.Env.Now(), flowtest.Start.Add(100*time.Hour))
	require.Equal(c.t, []message.Result{res}, c.kept)

	var counts message.Counts
	for i := range c.lines {
		rec, ok := c.record(res.Large, i)
		require.True(c.t, ok)
		require.True(c.t, rec.State.Final(), "message %d ended as %s", i, rec.State)
		counts[rec.State]++
		require.LessOrEqual(c.t, c.accepted[i], 1, "message %d was taken twice: %v", i, rec.Trail)
		switch rec.State {
		case message.Sent:
			require.Equal(c.t, 1, c.accepted[i])
		case message.Unknown:
		default:
			require.Zero(c.t, c.accepted[i], "message %d was taken and is %s: %v", i, rec.State, rec.Trail)
		}
		if rec.State == message.Expired && rec.Attempts == 0 {
			require.LessOrEqual(c.t, rec.Finished-rec.Expires, time.Minute.Milliseconds(), "message %d expires late: %v", i, rec.Trail)
		}
		if c.canceled[i] {
			require.Equal(c.t, message.Canceled, rec.State, "message %d: %v", i, rec.Trail)
		}
	}
	require.Equal(c.t, counts, *res.Status.Counts, "the ledgers say the same")
}
