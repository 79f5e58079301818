package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// segmentChaos is a chaos over all runs of one segment, and of the retry that takes
// over what it leaves. Line i is message i of the batch.
type segmentChaos struct {
	*chaos
	b      *bench
	head   message.Batch
	lines  message.Lines
	ledger message.Ledger // the one that was kept last
	final  map[int]message.Record
	fails  int // how often the store does not answer yet
	rev    int64
	token  int64
	orders map[int64]workflows.Order
	resume int64 // the last token before a resume
	groups map[string]*groupFate
	// flying are messages that a cancel or a pause found under way, and when.
	flying map[int]time.Time
}

// groupFate is one group. A started one cannot be taken back, and hears of it by a
// heartbeat.
type groupFate struct {
	*segmentChaos
	fate
	asked   workflow.Context
	in      activities.GroupInput
	at      []int
	token   []byte
	began   time.Time
	out     activities.Outcomes
	next    int
	mark    int
	waiting int // requests without an answer
	stopped bool
	over    bool
}

// GetInfo gives a segment a batch that hears its reports.
func (x *chaosOut) GetInfo(ctx workflow.Context) *workflow.Info {
	info := *x.Next.GetInfo(ctx)
	if x.c.seg != nil {
		info.ParentWorkflowExecution = &workflow.Execution{ID: "batch-b"}
	}
	return &info
}

// SignalExternalWorkflow is how a report leaves.
func (x *chaosOut) SignalExternalWorkflow(ctx workflow.Context, _, _, _ string, arg any) workflow.Future {
	f, set := workflow.NewFuture(ctx)
	x.c.told(arg.(workflows.Report))
	set.Set(nil, nil)
	return f
}

// hear holds a report to what it promises.
func (c *segmentChaos) hear(rep workflows.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(c.t, c.n, rep.Counts.Total())
	require.GreaterOrEqual(c.t, rep.Rev, c.rev)
	c.rev = rep.Rev
	now := c.b.env.Now()
	if rep.FirstMade {
		require.Zero(c.t, rep.Counts[message.Scheduled]+rep.Counts[message.Accepted])
	}
	o := c.orders[rep.Token]
	switch {
	case o.Cancel != nil:
		n := rep.Cancel.Counts
		whole := o.Cancel.Messages == nil
		if whole {
			require.Equal(c.t, c.n, n.Canceled+n.Sent+n.InFlight+n.Ended)
			require.Equal(c.t, rep.Counts[message.Sending], n.InFlight)
			require.Equal(c.t, n.InFlight, rep.Counts.Open(), "a cancel leaves nothing that waits")
		}
		for _, id := range rep.Cancel.Canceled {
			c.canceled[id] = true
		}
		for _, id := range rep.Cancel.InFlight {
			_, i, _ := message.ParseID(id)
			c.inFlight[id] = true
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

// execute decides about groups and lets the store's activities pass.
func (c *segmentChaos) execute(x *chaosOut, ctx workflow.Context, name string, arg any) workflow.Future {
	in, ok := arg.(activities.GroupInput)
	if !ok {
		return x.Next.ExecuteActivity(ctx, name, arg)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g := &groupFate{segmentChaos: c, asked: ctx, in: in, at: in.Positions()}
	g.started = c.rnd.IntN(4) > 0
	if c.rnd.IntN(3) == 0 {
		g.hang = time.Duration(1+c.rnd.IntN(60_000)) * time.Millisecond
	}
	g.out = make(activities.Outcomes, len(g.at))
	c.groups[fmt.Sprint(in.Spans)] = g
	if g.started {
		ctx, _ = workflow.NewDisconnectedContext(ctx)
	}
	f := x.Next.ExecuteActivity(ctx, name, arg)
	for _, i := range g.at {
		if last := c.futures[i]; last != nil {
			require.True(c.t, last.IsReady(), "message %d is under way twice", i)
		}
		c.futures[i] = f
	}
	return f
}

func (c *segmentChaos) onGroup(ctx context.Context, in activities.GroupInput) (activities.GroupResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[fmt.Sprint(in.Spans)]
	info := activity.GetInfo(ctx)
	g.token, g.began = info.TaskToken, c.b.env.Now()
	c.live[info.ActivityID] = true
	if !g.started {
		c.queued[info.ActivityID] = true
	}
	c.b.env.RegisterDelayedCallback(func() {
		c.mu.Lock()
		gone := !c.live[info.ActivityID] || !g.started && g.asked.Err() != nil // taken back
		c.mu.Unlock()
		if !gone {
			g.step()
		}
	}, g.hang+time.Millisecond)
	return activities.GroupResult{}, activity.ErrResultPending
}

// step is one moment of a group: it sends a message, or dies, or comes to its end.
func (g *groupFate) step() {
	g.mu.Lock()
	end := func(err error) {
		g.over = true
		res := activities.GroupResult{V: 1, Outcomes: slices.Clone(g.out)}
		g.mu.Unlock()
		require.NoError(g.t, g.b.env.CompleteActivity(g.token, res, err))
	}
	rnd := g.rnd
	if g.started && rnd.IntN(60) == 0 {
		p := activities.GroupProgress{V: 1, Watermark: g.mark, Outcomes: slices.Clone(g.out)}
		for k := max(g.next-rnd.IntN(10), 0); k < len(p.Outcomes); k++ {
			p.Outcomes[k] = activities.SendResult{} // what the last heartbeat did not know
		}
		if g.mark == 0 || rnd.IntN(5) > 0 {
			end(temporal.NewHeartbeatTimeoutError(p))
		} else {
			end(errors.New("panic"))
		}
		return
	}
	g.stopped = g.stopped || g.asked.Err() != nil && rnd.IntN(3) == 0 || rnd.IntN(200) == 0
	wait := time.Duration(rnd.IntN(400)) * time.Millisecond
	for again := true; again; again = !g.started {
		if g.stopped || g.next == len(g.at) {
			if g.waiting > 0 {
				wait = 200 * time.Millisecond
				break
			}
			for k := range g.out {
				if g.out[k].Kind == "" {
					g.out[k] = activities.SendResult{V: 1, Kind: activities.KindNotStarted}
				}
			}
			end(nil)
			return
		}
		if g.next >= g.mark {
			g.mark = min(len(g.at), g.next+1+rnd.IntN(20))
		}
		g.leave(g.next)
		g.next++
	}
	g.mu.Unlock()
	g.b.env.RegisterDelayedCallback(g.step, wait+time.Millisecond)
}

// leave sends the k-th message of a group.
func (g *groupFate) leave(k int) {
	i, now := g.at[k], g.b.env.Now()
	due := g.lines[i].Due
	if g.in.Due > 0 {
		due = g.in.Due
	}
	if now.UnixMilli() >= due+g.lines[i].TTL {
		g.out[k] = activities.SendResult{V: 1, Kind: activities.KindExpired, At: now.UnixMilli()}
		return
	}
	require.GreaterOrEqual(g.t, now.UnixMilli(), due, "message %d leaves before it is due", i)
	require.False(g.t, g.canceled[id(i)], "a request left for a message that was canceled")
	if at, ok := g.flying[i]; (g.inFlight[id(i)] || g.paused) && (!ok || g.began.After(at) && g.started) {
		require.Fail(g.t, "a request left", "message %d, paused %v", i, g.paused)
	}
	kinds := []string{"sent", "sent", "sent", "sent", "sent", "throttled", "unavailable", "rejected", "ambiguous", "not_started"}
	res := activities.SendResult{V: 1, Kind: kinds[g.rnd.IntN(len(kinds))], Code: "x"}
	if d, ok := g.down[g.in.Account]; ok && now.After(d[0]) && now.Before(d[1]) {
		res.Kind = "unavailable"
	}
	takes := res.Kind == "sent" || res.Kind == "ambiguous" && g.rnd.IntN(2) == 0
	land := func() {
		if takes {
			g.takes(i)
			g.post.takes(g.b, i, g.in.Account)
		}
		if res.Kind == "sent" {
			res.ProviderID = fmt.Sprintf("p-%d", i)
		}
		res.At = g.b.env.Now().UnixMilli()
		if !g.over {
			g.out[k] = res
		}
	}
	if !g.started || g.rnd.IntN(4) > 0 {
		land()
		return
	}
	g.waiting++ // it may be under way for a while, also after the group was given up
	g.b.env.RegisterDelayedCallback(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waiting--
		land()
	}, time.Duration(1+g.rnd.IntN(9_500))*time.Millisecond)
}

func (c *segmentChaos) onLoad(_ context.Context, in activities.LoadInput) (activities.LoadResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails--; c.fails > 0 {
		if c.fails%2 == 0 {
			return activities.LoadResult{V: 1}, nil
		}
		return activities.LoadResult{}, errors.New("the store does not answer")
	}
	res := activities.LoadResult{V: 1, Found: true, Lines: c.lines, Batch: c.head}
	if in.Sources[0].Left {
		res.Lines, res.Records = nil, &message.Ledger{V: 1, Spots: []message.Spot{}}
		for _, l := range c.lines {
			if rec := c.final[l.Index]; !rec.State.Final() {
				res.Lines = append(res.Lines, l)
				res.Records.Spots, res.Records.Records = append(res.Records.Spots, l.Spot), append(res.Records.Records, rec)
			}
		}
	}
	return res, nil
}

func (c *segmentChaos) onKeep(_ context.Context, in activities.KeepInput) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails = c.rnd.IntN(6) - 3; c.fails > 0 {
		return errors.New("the store does not answer")
	}
	c.ledger = in.Ledger
	return nil
}

// control gives the segment an order.
func (c *segmentChaos) control() {
	if c.b.env.IsWorkflowCompleted() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
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
	if len(c.queued) == 0 && rnd.IntN(3) > 0 { // it comes together with what happens next
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
		chaos: &chaos{
			t: t, rnd: rnd, n: n, fates: map[fateKey]fate{}, futures: map[int]workflow.Future{}, accepted: make([]int, n),
			canceled: map[string]bool{}, inFlight: map[string]bool{}, down: map[string][2]time.Time{},
		},
		lines: make(message.Lines, n), head: batch(0).Batch, final: map[int]message.Record{}, fails: rnd.IntN(6),
		orders: map[int64]workflows.Order{}, groups: map[string]*groupFate{}, flying: map[int]time.Time{},
	}
	c.seg, c.told = c, c.hear
	c.head.Hops, c.head.Policies = nil, map[string]message.Policy{}
	accounts := 1 + rnd.IntN(4)
	for a := range accounts {
		name := fmt.Sprintf("a%d", a)
		c.head.Policies[name] = message.Policy{
			Reconciles: rnd.IntN(3) > 0, Settle: int64(rnd.IntN(6000)), Attempts: rnd.IntN(6), Group: rnd.IntN(50),
			RetryInitial: int64(rnd.IntN(120_000)),
		}
		if rnd.IntN(3) == 0 {
			s := start.Add(time.Duration(rnd.IntN(3600)) * time.Second)
			c.down[name] = [2]time.Time{s, s.Add(time.Duration(rnd.IntN(3600)) * time.Second)}
		}
	}
	for range 1 + rnd.IntN(4) {
		var way []message.Hop
		for _, a := range rnd.Perm(accounts)[:1+rnd.IntN(accounts)] {
			way = append(way, message.Hop{Account: fmt.Sprintf("a%d", a)})
		}
		c.head.Hops = append(c.head.Hops, way)
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
	b := c.bench()
	c.b = b
	b.env.RegisterWorkflowWithOptions(workflows.SendSegment, workflow.RegisterOptions{Name: workflows.SendSegmentName})
	for name, do := range map[string]any{workflows.LoadName: c.onLoad, workflows.KeepName: c.onKeep, workflows.GroupName: c.onGroup} {
		b.env.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name})
	}
	b.env.SetStartTime(now)
	c.post.goesOn(b)
	defer func() { c.post.forgotten(b.env.Now()) }()
	for _, d := range when {
		if left := start.Add(d).Sub(now); left > 0 {
			b.at(left, c.control)
		}
	}
	b.at(max(start.Add(48*time.Hour).Sub(now), time.Minute), func() {
		c.mu.Lock()
		c.paused, c.resume = false, c.token
		c.mu.Unlock()
		b.env.SignalWorkflow("order", workflows.Order{Resume: true})
	})
	b.env.ExecuteWorkflow(workflows.SendSegmentName, in)
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
