package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// largeChaos is a large batch with its real segments, over a store, providers and
// operators that do anything at any time. Message i lies in segment i/size+1.
type largeChaos struct {
	*bench
	rnd     *rand.Rand
	n, size int
	lines   message.Lines
	head    message.Batch
	mu      sync.Mutex
	live    map[string]bool
	// over are activities that were taken back before they ran, ended the messages that
	// those sent whose end the environment has not taken in yet, and excused messages
	// of which it then took the activity back: a cancel that overtakes an end makes it
	// forget the end, which no server does.
	over     map[string]bool
	ended    map[string][]int
	excused  map[int]bool
	ledgers  map[int]message.Ledger
	kept     []message.Result
	accepted []int
	canceled map[int]bool // of which a cancel said so
	opens    int
}

// later lets an activity end after a while, unless it is taken back before.
func (c *largeChaos) later(ctx context.Context, most time.Duration, end func() (any, error)) error {
	info := activity.GetInfo(ctx)
	aid := info.WorkflowExecution.ID + "/" + info.ActivityID
	if c.over[aid] {
		return activity.ErrResultPending
	}
	c.live[aid] = true
	c.env.RegisterDelayedCallback(func() {
		c.mu.Lock()
		if !c.live[aid] {
			c.mu.Unlock()
			return
		}
		delete(c.live, aid)
		before := slices.Clone(c.accepted)
		res, err := end()
		for i := range before {
			if c.accepted[i] != before[i] {
				c.ended[aid] = append(c.ended[aid], i)
			}
		}
		c.mu.Unlock()
		require.NoError(c.t, c.env.CompleteActivity(info.TaskToken, res, err))
		if info.WorkflowExecution.ID != "default-test-workflow-id" {
			// The environment wakes the parent only.
			_ = c.env.SignalWorkflowByID(info.WorkflowExecution.ID, "wake", nil)
		}
	}, time.Duration(1+c.rnd.IntN(int(most.Milliseconds())))*time.Millisecond)
	return activity.ErrResultPending
}

// leave sends a message.
func (c *largeChaos) leave(i int) activities.SendResult {
	require.False(c.t, c.canceled[i], "message %d leaves though it was canceled", i)
	kinds := []string{"sent", "sent", "sent", "throttled", "unavailable", "rejected", "ambiguous", "not_started"}
	res := activities.SendResult{V: 1, Kind: kinds[c.rnd.IntN(len(kinds))], At: c.env.Now().UnixMilli(), Code: "x"}
	if res.Kind == "throttled" {
		res.RetryAfter = int64(c.rnd.IntN(300_000))
	}
	if res.Kind == "sent" || res.Kind == "ambiguous" && c.rnd.IntN(2) == 0 {
		c.accepted[i]++
		res.ProviderID = fmt.Sprintf("p-%d", i)
	}
	return res
}

func (c *largeChaos) onSend(ctx context.Context, in activities.SendInput) (activities.SendResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return activities.SendResult{}, c.later(ctx, 4*time.Second, func() (any, error) { return c.leave(in.Index), nil })
}

func (c *largeChaos) onGroup(ctx context.Context, in activities.GroupInput) (activities.GroupResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return activities.GroupResult{}, c.later(ctx, 20*time.Second, func() (any, error) {
		res := activities.GroupResult{V: 1}
		for _, p := range in.Positions() {
			res.Outcomes = append(res.Outcomes, c.leave((in.Segment-1)*c.size+p))
		}
		return res, nil
	})
}

func (c *largeChaos) onAsk(ctx context.Context, in activities.ReconcileInput) (activities.ReconcileResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return activities.ReconcileResult{}, c.later(ctx, 3*time.Second, func() (any, error) {
		res := activities.ReconcileResult{V: 1, At: c.env.Now().UnixMilli(), Verdict: activities.VerdictAbsent}
		if c.accepted[in.Send.Index] > 0 {
			res.Verdict = activities.VerdictFound
		}
		if c.rnd.IntN(4) == 0 {
			res.Verdict = activities.VerdictLater
		}
		return res, nil
	})
}

// away is a store that does not answer now and then.
func (c *largeChaos) away() error {
	if c.rnd.IntN(4) == 0 {
		return errors.New("the store does not answer")
	}
	return nil
}

func (c *largeChaos) onOpen(_ context.Context, _ activities.OpenInput) (activities.OpenResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opens--; c.opens > 0 {
		return activities.OpenResult{V: 1}, c.away()
	}
	res := activities.OpenResult{V: 1, Found: true}
	for i := 0; i < c.n; i += c.size {
		s := message.Segment{First: c.lines[i].Due}
		for _, l := range c.lines[i:min(i+c.size, c.n)] {
			s.Count++
			s.Last, s.Expires = max(s.Last, l.Due), max(s.Expires, l.Due+l.TTL)
			if l.Code != "" {
				s.Rejected++
			}
		}
		res.Segments = append(res.Segments, s)
	}
	return res, nil
}

func (c *largeChaos) onLoad(_ context.Context, in activities.LoadInput) (activities.LoadResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.away(); err != nil {
		return activities.LoadResult{}, err
	}
	res := activities.LoadResult{V: 1, Found: true, Batch: c.head}
	for _, s := range in.Sources {
		first := (s.Segment - 1) * c.size
		if !s.Left {
			res.Lines = append(res.Lines, c.lines[first:min(first+c.size, c.n)]...)
			continue
		}
		if res.Records == nil {
			res.Records = &message.Ledger{V: 1, Spots: []message.Spot{}}
		}
		for k, rec := range c.ledgers[s.Segment].Records {
			if !rec.State.Final() {
				res.Lines = append(res.Lines, c.lines[first+k])
				res.Records.Spots, res.Records.Records = append(res.Records.Spots, c.lines[first+k].Spot), append(res.Records.Records, rec)
			}
		}
	}
	return res, nil
}

func (c *largeChaos) onKeep(ctx context.Context, in activities.KeepInput) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.away(); err != nil {
		return err
	}
	return c.later(ctx, 3*time.Second, func() (any, error) {
		c.ledgers[in.Number] = in.Ledger
		return nil, nil
	})
}

func (c *largeChaos) onClose(_ context.Context, in activities.CloseInput) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = append(c.kept, in.Result)
	return nil
}

func (c *largeChaos) onLocate(ctx context.Context, in activities.LocateInput) (activities.LocateResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.away(); err != nil {
		return activities.LocateResult{}, err
	}
	res := activities.LocateResult{V: 1}
	for _, i := range in.Indexes {
		l := c.lines[i]
		f := activities.Located{Segment: l.Segment, Pos: l.Pos}
		if rec, ok := c.record(&in.Large, i); ok && rec.State.Final() {
			f.State = &rec.State
		}
		res.Found = append(res.Found, f)
	}
	return res, c.later(ctx, 3*time.Second, func() (any, error) { return res, nil })
}

// record is what the store and the batch say of a message.
func (c *largeChaos) record(large *message.Large, i int) (message.Record, bool) {
	l := c.lines[i]
	letter := byte(message.SegmentWaiting)
	switch {
	case l.Segment <= len(large.Segments):
		letter = large.Segments[l.Segment-1]
	case large.Rest != nil: // it ended before it was opened
		letter = message.SegmentNever
	}
	switch letter {
	case message.SegmentEnded, message.SegmentLeft:
		for _, r := range large.Retries {
			if k := slices.Index(c.ledgers[r.Number].Spots, l.Spot); k >= 0 && r.Ended {
				return c.ledgers[r.Number].Records[k], true
			}
		}
		return c.ledgers[l.Segment].Records[l.Pos], true
	case message.SegmentWaiting, message.SegmentNever:
		switch {
		case l.Code != "":
			return message.Record{State: message.Rejected}, true
		case letter == message.SegmentWaiting:
			return message.Record{}, false
		case slices.Contains(large.Canceled, i):
			return message.Record{State: message.Canceled}, true
		}
		return message.Record{State: large.Rest.State}, true
	}
	return message.Record{}, false
}

func newLargeChaos(t *testing.T, seed uint64) *largeChaos {
	rnd := rand.New(rand.NewPCG(seed, 23))
	n := 1 + rnd.IntN(300)
	c := &largeChaos{
		bench: &bench{t: t, env: new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()}, rnd: rnd, n: n, size: max(n/(1+rnd.IntN(40)), 1), lines: make(message.Lines, n), head: batch(0).Batch,
		live: map[string]bool{}, over: map[string]bool{}, ended: map[string][]int{}, excused: map[int]bool{}, ledgers: map[int]message.Ledger{}, accepted: make([]int, n), canceled: map[int]bool{}, opens: rnd.IntN(5),
	}
	c.head.Policies = map[string]message.Policy{"one": {
		Reconciles: true, Settle: int64(rnd.IntN(6000)), Attempts: rnd.IntN(6), Group: rnd.IntN(20), RetryInitial: int64(rnd.IntN(120_000)),
	}}
	due := start.UnixMilli()
	for i := range c.lines {
		if rnd.IntN(10) == 0 {
			due += int64(rnd.IntN(60_000))
		}
		c.lines[i] = message.Line{
			Spot: message.Spot{Segment: i/c.size + 1, Pos: i % c.size}, Index: i, Due: due, TTL: int64(60+rnd.IntN(5400)) * 1000,
		}
		if rnd.IntN(10) == 0 {
			c.lines[i].Code = "required"
		}
	}
	c.env.SetTestTimeout(2 * time.Minute)
	c.env.SetStartTime(start)
	c.env.RegisterWorkflowWithOptions(workflows.SendBatch, workflow.RegisterOptions{Name: workflows.SendBatchName})
	c.env.RegisterWorkflowWithOptions(workflows.SendSegment, workflow.RegisterOptions{Name: workflows.SendSegmentName})
	for name, do := range map[string]any{
		workflows.SendName: c.onSend, workflows.ReconcileName: c.onAsk, workflows.OpenName: c.onOpen, workflows.LoadName: c.onLoad, workflows.KeepName: c.onKeep, workflows.CloseName: c.onClose,
		workflows.LocateName: c.onLocate, workflows.GroupName: c.onGroup,
	} {
		c.env.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name})
	}
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
			q.Messages = append(q.Messages, id(rnd.IntN(c.n)))
		}
	}
	switch rnd.IntN(10) {
	case 0:
		update(c.bench, workflows.ControlPause, nil, func(message.PauseResult, error) {})
	case 1:
		c.env.SignalWorkflow(workflows.ControlPause, nil)
	case 2, 3:
		c.env.SignalWorkflow(workflows.ControlResume, nil)
	case 4:
		update(c.bench, workflows.ControlReschedule, message.RescheduleRequest{SendAfter: strconv.Itoa(rnd.IntN(2000)) + "s"},
			func(r message.RescheduleResult, err error) {
				if err == nil {
					require.Equal(c.t, c.n, r.Rescheduled+r.Unchanged)
				}
			})
	case 5:
		c.env.SignalWorkflow(workflows.ControlCancel, message.CancelRequest{Messages: append(q.Messages, id(0))})
	case 6:
		if q.Messages == nil && rnd.IntN(3) == 0 {
			c.env.CancelWorkflow()
		}
	default:
		if q.Messages == nil && rnd.IntN(2) == 0 {
			return
		}
		update(c.bench, workflows.ControlCancel, q, func(r message.CancelResult, err error) { c.answered(q, r, err) })
	}
}

// answered holds the answer of a cancel to what it promises.
func (c *largeChaos) answered(q message.CancelRequest, r message.CancelResult, err error) {
	if err != nil {
		require.ErrorContains(c.t, err, "store")
		return
	}
	all := slices.Concat(r.Canceled, r.Sent, r.InFlight, r.Ended)
	unique := slices.Compact(slices.Sorted(slices.Values(all)))
	require.Len(c.t, unique, len(all), "the sets overlap")
	switch {
	case q.Messages != nil:
		require.Equal(c.t, slices.Compact(slices.Sorted(slices.Values(q.Messages))), unique)
	case len(all) > 0:
		require.Len(c.t, all, c.n)
	default:
		require.Equal(c.t, c.n, r.Counts.Canceled+r.Counts.Sent+r.Counts.InFlight+r.Counts.Ended)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, some := range c.ended {
		for _, i := range some {
			c.excused[i] = true
		}
	}
	for _, name := range r.Canceled {
		_, i, _ := message.ParseID(name)
		if c.excused[i] {
			continue
		}
		require.Zero(c.t, c.accepted[i], "message %d was taken and canceled", i)
		c.canceled[i] = true
	}
	for _, name := range r.Sent {
		_, i, _ := message.ParseID(name)
		require.Equal(c.t, 1, c.accepted[i], "message %d is said to be sent", i)
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
	b := c.bench
	gone := func(a *activityInfo) {
		c.mu.Lock()
		aid := a.WorkflowExecution.ID + "/" + a.ActivityID
		if !c.live[aid] {
			c.over[aid] = true
		}
		for _, i := range c.ended[aid] {
			c.excused[i] = true
		}
		delete(c.live, aid)
		c.mu.Unlock()
	}
	b.env.SetOnActivityCanceledListener(gone)
	b.env.SetOnActivityCompletedListener(func(a *activityInfo, _ value, _ error) {
		c.mu.Lock()
		delete(c.ended, a.WorkflowExecution.ID+"/"+a.ActivityID)
		c.mu.Unlock()
		b.consistent(b.status(), c.n)
	})
	in := batch(0)
	in.Batch.Dispatch = []string{"group", ""}[c.rnd.IntN(2)]
	in.Large = &workflows.LargeInput{Dir: "default/2026-11-20/b~00000000", Total: c.n}
	for _, l := range c.lines {
		if l.Code != "" {
			in.Large.Rejected++
		}
	}
	span := []int{3_600_000, 300_000, 60_000}[c.rnd.IntN(3)]
	for range c.rnd.IntN(20) {
		b.at(time.Duration(1+c.rnd.IntN(span))*time.Millisecond, c.control)
	}
	b.at(48*time.Hour, func() { b.env.SignalWorkflow(workflows.ControlResume, nil) })
	b.env.ExecuteWorkflow(workflows.SendBatchName, in)
	require.True(c.t, b.env.IsWorkflowCompleted(), "the batch hangs")
	require.NoError(c.t, b.env.GetWorkflowError())
	var res message.Result
	require.NoError(c.t, b.env.GetWorkflowResult(&res))
	require.Less(c.t, b.env.Now(), start.Add(100*time.Hour))
	require.Equal(c.t, []message.Result{res}, c.kept)

	var counts message.Counts
	for i := range c.lines {
		rec, ok := c.record(res.Large, i)
		require.True(c.t, ok)
		require.True(c.t, rec.State.Final(), "message %d ended as %s", i, rec.State)
		counts[rec.State]++
		if c.excused[i] {
			continue
		}
		require.LessOrEqual(c.t, c.accepted[i], 1, "message %d was taken twice: %v", i, rec.Trail)
		switch rec.State {
		case message.Sent:
			require.Equal(c.t, 1, c.accepted[i])
		case message.Unknown:
		default:
			require.Zero(c.t, c.accepted[i], "message %d was taken and is %s: %v", i, rec.State, rec.Trail)
		}
		if c.canceled[i] {
			require.Equal(c.t, message.Canceled, rec.State, "message %d: %v", i, rec.Trail)
		}
	}
	require.Equal(c.t, counts, *res.Status.Counts, "the ledgers say the same")
}
