package workflows_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows"
	"volley/workflows/contract"
)

// segmentChaos is a chaos over all runs of one segment. Line i is message i of the batch.
type segmentChaos struct {
	*chaos
	head   message.Batch
	lines  message.MessageMetas
	ledger message.Ledger // the one that was kept last
	named  message.Cancellations
	fails  int // how often the store does not answer yet
	rev    int64
	loaded bool // the run has read its segment
	// flying are messages that a cancel or a pause found under way, and when.
	flying map[int]time.Time
}

// hear holds what a segment tells to what it promises.
func (c *segmentChaos) hear(g contract.Progress) {
	assert.Equal(c.t, c.n, g.Counts.Total())
	assert.GreaterOrEqual(c.t, g.Rev, c.rev)
	assert.True(c.t, g.FirstMade || g.Held || g.Fault != "")
	assert.Zero(c.t, g.Counts[message.Scheduled]+g.Counts[message.Accepted])
	c.rev = g.Rev
}

// flies notes messages that are said to be under way.
func (c *segmentChaos) flies(inFlight []string) {
	for _, id := range inFlight {
		_, i, _ := message.ParseID(id)
		c.flying[i] = c.b.Env.Now()
	}
}

// control asks something of the segment.
func (c *segmentChaos) control() {
	b, rnd := c.b, c.rnd
	if b.Env.IsWorkflowCompleted() {
		return
	}
	signal := b.Env.SignalWorkflow
	if rnd.IntN(3) > 0 { // it comes together with what happens next
		signal = b.Env.SignalWorkflowSkippingWorkflowTask
	}
	answers := rnd.IntN(4) > 0
	switch rnd.IntN(12) {
	case 0, 1, 2:
		if !answers {
			signal(contract.ControlPause, nil)
			return
		}
		flowtest.Update(b, contract.ControlPause, nil, func(r message.PauseResult, err error) {
			if err == nil && b.Status().State == message.BatchPaused {
				c.paused = true
				c.flies(r.InFlight)
			}
		})
	case 3, 4, 5:
		c.paused = false
		signal(contract.ControlResume, nil)
	case 6, 7:
		at := b.Env.Now().Add(time.Duration(rnd.IntN(4000)) * time.Second)
		signal(contract.ControlReschedule, message.RescheduleRequest{SendAfter: at.Format(time.RFC3339Nano)})
	case 8, 9:
		q := message.CancelRequest{Reason: "some"}
		for range 1 + rnd.IntN(10) {
			q.Messages = append(q.Messages, strconv.Itoa(rnd.IntN(len(c.lines))))
		}
		c.cancel(q, answers, signal)
	case 10:
		if rnd.IntN(3) == 0 {
			c.cancel(message.CancelRequest{Reason: "all"}, answers, signal)
		}
	default:
		b.Env.SetCurrentHistoryLength(9_000)
	}
}

// cancel cancels, and holds the answer to what it promises.
func (c *segmentChaos) cancel(q message.CancelRequest, answers bool, signal func(string, any)) {
	if !answers {
		signal(contract.ControlCancel, q)
		return
	}
	flowtest.Update(c.b, contract.ControlCancel, q, func(r message.CancelResult, err error) {
		if err != nil {
			assert.ErrorContains(c.t, err, "no message")
			return
		}
		if n := r.Counts; q.Messages == nil {
			counts := c.b.Status().Counts
			assert.Equal(c.t, c.n, n.Canceled+n.Sent+n.InFlight+n.Ended)
			assert.Equal(c.t, counts[message.Sending], n.InFlight)
			assert.Equal(c.t, n.InFlight, counts.Open(), "a cancel leaves nothing that waits")
		}
		c.answered(r.Canceled, r.InFlight)
		c.flies(r.InFlight)
	})
}

// TestUnderChaosEveryMessageOfASegmentEndsOnce tries the seeds from CHAOS_FROM to
// CHAOS_TO, or the first sixty.
func TestUnderChaosEveryMessageOfASegmentEndsOnce(t *testing.T) {
	t.Parallel()
	for s := seed("CHAOS_FROM", 0); s < seed("CHAOS_TO", 60); s++ {
		t.Run(strconv.Itoa(s), func(t *testing.T) {
			t.Parallel()
			newSegmentChaos(t, uint64(s)).all()
		})
	}
}

func newSegmentChaos(t *testing.T, seed uint64) *segmentChaos {
	rnd := rand.New(rand.NewPCG(seed, 17))
	n := 1 + rnd.IntN(120)
	c := &segmentChaos{
		chaos: newChaos(t, rnd, n),
		lines: make(message.MessageMetas, n), head: flowtest.Batch(0).Batch, fails: rnd.IntN(6),
		flying: map[int]time.Time{},
	}
	c.seg = c
	c.head.Hops, c.head.Policies = nil, map[string]message.Policy{}
	accounts := 1 + rnd.IntN(4)
	for a := range accounts {
		name := fmt.Sprintf("a%d", a)
		c.head.Policies[name] = message.Policy{
			Reconciles: rnd.IntN(3) > 0, Settle: int64(rnd.IntN(6000)), Attempts: rnd.IntN(6), Group: rnd.IntN(50),
			RetryInitial: int64(rnd.IntN(120_000)),
		}
		c.outage(name)
	}
	for range 1 + rnd.IntN(4) {
		c.head.Hops = append(c.head.Hops, c.way(accounts, accounts))
	}
	if rnd.IntN(2) == 0 {
		c.head.AwaitReports = int64(1+rnd.IntN(3600)) * 1000
	}
	c.post = newPost(c.chaos, contract.Input{Batch: c.head})
	same := rnd.IntN(3) > 0
	for i := range c.lines {
		l := &c.lines[i]
		*l = message.MessageMeta{Index: i, Due: flowtest.Start.UnixMilli(), TTL: int64(1+rnd.IntN(5400)) * 1000}
		l.Route = rnd.IntN(len(c.head.Hops))
		if !same {
			l.Due = flowtest.Start.Add(time.Duration(rnd.IntN(7200)-600) * time.Second).UnixMilli()
		}
		if rnd.IntN(10) == 0 {
			l.Route, l.Code, l.Detail = -1, "required", "bad"
		}
	}
	return c
}

// all runs the segment to its end.
func (c *segmentChaos) all() {
	rnd := c.rnd
	in := flowtest.SegmentInput("group")
	in.InFlight = []int{1, 2, 3, 5, 20, 48}[rnd.IntN(6)]
	if rnd.IntN(5) == 0 {
		in.Due = flowtest.Start.Add(time.Duration(rnd.IntN(600)) * time.Second).UnixMilli()
	}
	in.Paused = rnd.IntN(8) == 0
	c.paused = in.Paused
	var when []time.Duration
	for range rnd.IntN(20) {
		span := []int{3_600_000, 120_000, 20_000}[rnd.IntN(3)]
		when = append(when, time.Duration(1+rnd.IntN(span))*time.Millisecond)
	}
	slices.Sort(when)
	for now := flowtest.Start; ; now = c.b.Env.Now().Add(time.Second) {
		c.strike(in.State)
		again, res := c.once(in, now, when)
		if again == nil {
			c.verify(res)
			return
		}
		for i, rec := range again.State.Ledger.Records {
			if in.State != nil {
				require.GreaterOrEqual(c.t, rec.Rev, in.State.Ledger.Records[i].Rev)
			}
		}
		in = *again
	}
}

// strike writes names of some messages into the store before a run reads it.
func (c *segmentChaos) strike(s *contract.State) {
	for range max(c.rnd.IntN(6)-3, 0) {
		i := c.rnd.IntN(len(c.lines))
		c.named = append(c.named, message.Cancellation{Index: i, At: 1, Reason: "before"})
		switch {
		case c.lines[i].Code != "":
		case s == nil || s.Ledger.Records[i].State.Waiting():
			c.canceled[flowtest.ID(i)] = true
		case !s.Ledger.Records[i].State.Final(): // it may have been sent
			c.inFlight[flowtest.ID(i)] = true
		}
	}
}

// once makes one run; it returns the input of the next one, or the result.
func (c *segmentChaos) once(in contract.SegmentInput, now time.Time, when []time.Duration) (*contract.SegmentInput, contract.SegmentResult) {
	c.loaded = false
	b := c.bench()
	b.Env.RegisterWorkflowWithOptions(workflows.SendSegment, workflow.RegisterOptions{Name: contract.SendSegmentName})
	b.Env.SetStartTime(now)
	c.post.goesOn(b)
	defer func() { c.post.forgotten(b.Env.Now()) }()
	for _, d := range when {
		if left := flowtest.Start.Add(d).Sub(now); left > 0 {
			b.At(left, c.control)
		}
	}
	b.At(max(flowtest.Start.Add(48*time.Hour).Sub(now), time.Minute), func() {
		c.paused = false
		b.Env.SignalWorkflow(contract.ControlResume, nil)
	})
	c.execute(contract.SendSegmentName, in)
	require.True(c.t, b.Env.IsWorkflowCompleted(), "the segment hangs")
	for i, f := range c.futures {
		require.True(c.t, f.IsReady(), "message %d is under way at the end", i)
	}
	err := b.Env.GetWorkflowError()
	var again *workflow.ContinueAsNewError
	if errors.As(err, &again) {
		var next contract.SegmentInput
		require.NoError(c.t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
		raw, err := json.Marshal(next)
		require.NoError(c.t, err)
		require.Less(c.t, len(raw), 256<<10)
		return &next, contract.SegmentResult{}
	}
	require.NoError(c.t, err)
	var res contract.SegmentResult
	require.NoError(c.t, b.Env.GetWorkflowResult(&res))
	require.False(c.t, res.Lost)
	require.GreaterOrEqual(c.t, res.Rev, c.rev)
	c.rev = res.Rev
	return nil, res
}

// verify holds the ends of all messages to what the providers took.
func (c *segmentChaos) verify(res contract.SegmentResult) {
	require.Len(c.t, c.ledger.Records, c.n)
	var counts message.Counts
	for _, rec := range c.ledger.Records {
		counts[rec.State]++
	}
	require.Equal(c.t, res.Counts, counts, "the ledger that was kept last says the same")
	require.Less(c.t, c.b.Env.Now(), flowtest.Start.Add(100*time.Hour), "it took too long")
	for i, l := range c.lines {
		rec := c.ledger.Records[i]
		require.True(c.t, rec.State.Final(), "message %d ended as %s", i, rec.State)
		require.Positive(c.t, rec.Finished)
		var trail []message.Event
		for _, e := range rec.Trail {
			trail = append(trail, e.Event)
		}
		c.post.judge(i, message.Row{State: rec.State, SentAt: message.At(rec.Sent)}, trail)
		require.Equal(c.t, l.Code != "", rec.State == message.Rejected)
		if c.canceled[flowtest.ID(i)] {
			require.Equal(c.t, message.Canceled, rec.State, "message %d: %v", i, rec.Trail)
		}
	}
}
