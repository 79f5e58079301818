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

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// segmentChaos is a chaos over all runs of one segment, and of the retry that takes
// over what it leaves. Line i is message i of the batch.
type segmentChaos struct {
	*chaos
	head   message.Batch
	lines  message.Lines
	ledger message.Ledger // the one that was kept last
	final  map[int]message.Record
	fails  int // how often the store does not answer yet
	rev    int64
	token  int64
	orders map[int64]workflows.Order
	resume int64 // the last token before a resume
	loaded bool  // the run has read its segment
	// flying are messages that a cancel or a pause found under way, and when.
	flying map[int]time.Time
}

// hear holds a report to what it promises.
func (c *segmentChaos) hear(rep workflows.Report) {
	assert.Equal(c.t, c.n, rep.Counts.Total())
	assert.GreaterOrEqual(c.t, rep.Rev, c.rev)
	c.rev = rep.Rev
	now := c.b.env.Now()
	if rep.FirstMade {
		assert.Zero(c.t, rep.Counts[message.Scheduled]+rep.Counts[message.Accepted])
	}
	o := c.orders[rep.Token]
	switch {
	case o.Cancel != nil:
		n := rep.Cancel.Counts
		whole := o.Cancel.Messages == nil
		if whole {
			assert.Equal(c.t, c.n, n.Canceled+n.Sent+n.InFlight+n.Ended)
			assert.Equal(c.t, rep.Counts[message.Sending], n.InFlight)
			assert.Equal(c.t, n.InFlight, rep.Counts.Open(), "a cancel leaves nothing that waits")
		}
		c.answered(rep.Cancel.Canceled, rep.Cancel.InFlight)
		for _, id := range rep.Cancel.InFlight {
			_, i, _ := message.ParseID(id)
			c.flying[i] = now
		}
	case o.Pause && c.resume < rep.Token:
		c.paused = true
		for _, id := range rep.InFlight {
			_, i, _ := message.ParseID(id)
			c.flying[i] = now
		}
	}
}

// control gives the segment an order.
func (c *segmentChaos) control() {
	if c.b.env.IsWorkflowCompleted() {
		return
	}
	rnd := c.rnd
	var o workflows.Order
	switch rnd.IntN(12) {
	case 0, 1, 2:
		o.Pause = true
	case 3, 4, 5:
		o.Resume, c.paused, c.resume = true, false, c.token+1
	case 6, 7:
		at := c.b.env.Now().Add(time.Duration(rnd.IntN(4000)) * time.Second)
		o.Reschedule = &message.RescheduleRequest{SendAfter: at.Format(time.RFC3339Nano)}
	case 8, 9:
		o.Cancel = &message.CancelRequest{Reason: "some"}
		for range 1 + rnd.IntN(10) {
			o.Cancel.Messages = append(o.Cancel.Messages, strconv.Itoa(rnd.IntN(len(c.lines))))
		}
	case 10:
		if rnd.IntN(3) > 0 {
			return
		}
		o.Cancel = &message.CancelRequest{Reason: "all"}
	default:
		c.b.env.SetCurrentHistoryLength(9_000)
		return
	}
	if c.token++; rnd.IntN(4) > 0 {
		o.Token = c.token
		c.orders[o.Token] = o
	}
	if rnd.IntN(3) > 0 { // it comes together with what happens next
		c.b.env.SignalWorkflowSkippingWorkflowTask("order", o)
		return
	}
	c.b.env.SignalWorkflow("order", o)
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
		lines: make(message.Lines, n), head: batch(0).Batch, final: map[int]message.Record{}, fails: rnd.IntN(6),
		orders: map[int64]workflows.Order{}, flying: map[int]time.Time{},
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
	c.post = newPost(c.chaos, workflows.Input{Batch: c.head})
	same := rnd.IntN(3) > 0
	for i := range c.lines {
		l := &c.lines[i]
		*l = message.Line{Spot: message.Spot{Segment: 3, Pos: i}, Index: i, Due: start.UnixMilli(), TTL: int64(1+rnd.IntN(5400)) * 1000}
		l.Route = rnd.IntN(len(c.head.Hops))
		if !same {
			l.Due = start.Add(time.Duration(rnd.IntN(7200)-600) * time.Second).UnixMilli()
		}
		if rnd.IntN(10) == 0 {
			l.Route, l.Code, l.Detail = -1, "required", "bad"
		}
	}
	return c
}

// all runs the segment and what follows it to the end.
func (c *segmentChaos) all() {
	rnd := c.rnd
	in := segmentInput("group")
	in.InFlight = []int{1, 2, 3, 5, 20, 48}[rnd.IntN(6)]
	if rnd.IntN(5) == 0 {
		in.Due = start.Add(time.Duration(rnd.IntN(600)) * time.Second).UnixMilli()
	}
	in.Paused = rnd.IntN(8) == 0
	c.paused = in.Paused
	c.strike(&in)
	var when []time.Duration
	for range rnd.IntN(20) {
		span := []int{3_600_000, 120_000, 20_000}[rnd.IntN(3)]
		when = append(when, time.Duration(1+rnd.IntN(span))*time.Millisecond)
	}
	slices.Sort(when)
	for now := start; ; now = c.b.env.Now().Add(time.Second) {
		again, res := c.once(in, now, when)
		if again != nil {
			in = *again
			continue
		}
		require.Equal(c.t, c.n, res.Counts.Total())
		var counts message.Counts
		for k, rec := range c.ledger.Records {
			counts[rec.State]++
			i := k
			if c.ledger.Spots != nil {
				i = c.ledger.Spots[k].Pos
			}
			require.GreaterOrEqual(c.t, rec.Rev, c.final[i].Rev)
			c.final[i] = rec
		}
		require.Equal(c.t, res.Counts, counts, "the ledger that was kept last says the same")
		if res.Left == 0 {
			break
		}
		require.Equal(c.t, 3, in.Number, "a retry leaves nothing")
		require.Equal(c.t, res.Left, counts[message.Retrying])
		in.Number, in.Sources, in.State, in.Dispatch, in.Due = 1001, []activities.Source{{Segment: 3, Left: true}}, nil, "message", 0
		in.Paused, in.Canceled, in.Reasons, c.n = c.paused, nil, nil, res.Left
		c.strike(&in)
	}
	c.verify()
}

// strike cancels some messages before a workflow begins.
func (c *segmentChaos) strike(in *workflows.SegmentInput) {
	for range max(c.rnd.IntN(6)-3, 0) {
		i := c.rnd.IntN(len(c.lines))
		in.Canceled, in.Reasons = append(in.Canceled, i), append(in.Reasons, "before")
		if !c.final[i].State.Final() && c.lines[i].Code == "" {
			c.canceled[id(i)] = true
		}
	}
}

// once makes one run; it returns the input of the next one, or the result.
func (c *segmentChaos) once(in workflows.SegmentInput, now time.Time, when []time.Duration) (*workflows.SegmentInput, workflows.SegmentResult) {
	c.loaded = false
	b := c.bench()
	b.env.RegisterWorkflowWithOptions(workflows.SendSegment, workflow.RegisterOptions{Name: workflows.SendSegmentName})
	b.env.SetStartTime(now)
	c.post.goesOn(b)
	defer func() { c.post.forgotten(b.env.Now()) }()
	for _, d := range when {
		if left := start.Add(d).Sub(now); left > 0 {
			b.at(left, c.control)
		}
	}
	b.at(max(start.Add(48*time.Hour).Sub(now), time.Minute), func() {
		c.paused, c.resume = false, c.token
		b.env.SignalWorkflow("order", workflows.Order{Resume: true})
	})
	c.execute(workflows.SendSegmentName, in)
	require.True(c.t, b.env.IsWorkflowCompleted(), "the segment hangs")
	for i, f := range c.futures {
		require.True(c.t, f.IsReady(), "message %d is under way at the end", i)
	}
	err := b.env.GetWorkflowError()
	var again *workflow.ContinueAsNewError
	if errors.As(err, &again) {
		var next workflows.SegmentInput
		require.NoError(c.t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
		raw, err := json.Marshal(next)
		require.NoError(c.t, err)
		require.Less(c.t, len(raw), 256<<10)
		return &next, workflows.SegmentResult{}
	}
	require.NoError(c.t, err)
	var res workflows.SegmentResult
	require.NoError(c.t, b.env.GetWorkflowResult(&res))
	require.False(c.t, res.Lost)
	require.GreaterOrEqual(c.t, res.Rev, c.rev)
	c.rev = res.Rev
	return nil, res
}

// verify holds the ends of all messages to what the providers took.
func (c *segmentChaos) verify() {
	require.Less(c.t, c.b.env.Now(), start.Add(100*time.Hour), "it took too long")
	for i, l := range c.lines {
		rec := c.final[i]
		require.True(c.t, rec.State.Final(), "message %d ended as %s", i, rec.State)
		require.Positive(c.t, rec.Finished)
		var trail []message.Event
		for _, e := range rec.Trail {
			trail = append(trail, e.Event)
		}
		c.post.judge(i, message.Row{State: rec.State, SentAt: message.At(rec.Sent)}, trail)
		require.Equal(c.t, l.Code != "", rec.State == message.Rejected)
		if c.canceled[id(i)] {
			require.Equal(c.t, message.Canceled, rec.State, "message %d: %v", i, rec.Trail)
		}
	}
}
