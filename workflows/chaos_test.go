package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// fate is what becomes of one activity: a started one cannot be taken back, one
// that is queued can until it takes its time.
type fate struct {
	started bool
	hang    time.Duration
	kind    string
}

type fateKey struct {
	i, n int
	ask  bool
}

// chaos is providers and operators that do anything at any time, over all runs of
// one batch.
type chaos struct {
	t   *testing.T
	rnd *rand.Rand
	n   int

	mu       sync.Mutex
	fates    map[fateKey]fate
	futures  map[int]workflow.Future // the last activity of each message
	accepted []int
	attempts int
	canceled map[string]bool
	inFlight map[string]bool // named by a cancel: no further attempt
	paused   bool
	down     map[string][2]time.Time
	live     map[string]bool // activities that may still end, by id
	queued   map[string]bool // those that can be taken back
	seg      *segmentChaos   // nil for a small batch
	told     func(workflows.Report)
	post     *post // nil where nobody reports
}

func (c *chaos) leaves(i int, now time.Time) {
	require.False(c.t, c.canceled[id(i)], "a request left for a message that was canceled")
	require.False(c.t, c.inFlight[id(i)], "a second request left for message %d that a cancel had found in flight", i)
	require.False(c.t, c.paused, "a request left for message %d while paused", i)
	if c.post != nil {
		c.post.leaves(i)
	}
	c.attempts++
}

func (c *chaos) takes(i int) { c.accepted[i]++ }

type chaosIn struct {
	interceptor.WorkerInterceptorBase
	c *chaos
}
type chaosWf struct {
	interceptor.WorkflowInboundInterceptorBase
	c *chaos
}
type chaosOut struct {
	interceptor.WorkflowOutboundInterceptorBase
	c *chaos
}

func (x *chaosIn) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	w := &chaosWf{c: x.c}
	w.Next = next
	return w
}

func (x *chaosWf) Init(out interceptor.WorkflowOutboundInterceptor) error {
	o := &chaosOut{c: x.c}
	o.Next = out
	return x.Next.Init(o)
}

// ExecuteActivity decides the activity's fate; what has started is not canceled.
func (x *chaosOut) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	c := x.c
	if c.seg != nil && name != workflows.SendName && name != workflows.ReconcileName {
		return c.seg.execute(x, ctx, name, args[0])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := fate{}
	var k fateKey
	f.started = c.rnd.IntN(3) > 0
	if c.rnd.IntN(3) == 0 {
		f.hang = time.Duration(1+c.rnd.IntN(28_000)) * time.Millisecond
		if !f.started && c.rnd.IntN(3) == 0 {
			f.hang = time.Duration(1+c.rnd.IntN(5400)) * time.Second
		}
	}
	switch in := args[0].(type) {
	case activities.SendInput:
		k = fateKey{in.Index, in.Attempt, false}
		kinds := []string{"sent", "sent", "sent", "throttled", "unavailable", "rejected", "ambiguous", "not_started"}
		f.kind = kinds[c.rnd.IntN(len(kinds))]
		now := workflow.Now(ctx)
		if d, ok := c.down[in.Account]; ok && now.After(d[0]) && now.Before(d[1]) {
			f.kind = "unavailable"
		}
	case activities.ReconcileInput:
		k = fateKey{in.Send.Index, 0, true}
	}
	if last := c.futures[k.i]; last != nil {
		require.True(c.t, last.IsReady(), "message %d is under way twice", k.i)
	}
	c.fates[k] = f
	if f.started {
		ctx, _ = workflow.NewDisconnectedContext(ctx)
	}
	c.futures[k.i] = x.Next.ExecuteActivity(ctx, name, args...)
	return c.futures[k.i]
}

func (c *chaos) bench() *bench {
	var suite testsuite.WorkflowTestSuite
	b := &bench{t: c.t, env: suite.NewTestWorkflowEnvironment(), tries: map[int]int{}, asked: map[int]int{}}
	b.env.SetTestTimeout(2 * time.Minute)
	b.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&chaosIn{c: c}}})
	b.env.RegisterWorkflowWithOptions(workflows.SendBatch, workflow.RegisterOptions{Name: workflows.SendBatchName})
	c.live, c.queued = map[string]bool{}, map[string]bool{}
	b.env.RegisterActivityWithOptions(func(ctx context.Context, in activities.SendInput) (activities.SendResult, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		now := b.env.Now()
		f := c.fates[fateKey{in.Index, in.Attempt, false}]
		if !f.started {
			c.queued[activity.GetInfo(ctx).ActivityID] = true
		}
		res := activities.SendResult{V: 1, Kind: f.kind, At: now.UnixMilli(), Code: "x", Detail: "d " + in.Account}
		half := c.rnd.IntN(2) == 0
		leave := func() {
			if res.Kind == "not_started" || res.Kind == activities.KindExpired {
				return
			}
			c.leaves(in.Index, b.env.Now())
			if res.Kind == "sent" || res.Kind == "ambiguous" && half {
				c.takes(in.Index)
				if c.post != nil {
					c.post.takes(b, in.Index, in.Account)
				}
				res.ProviderID = fmt.Sprintf("p-%d", in.Index)
			}
		}
		if f.started {
			leave()
		}
		if f.hang == 0 {
			c.live[activity.GetInfo(ctx).ActivityID] = true
			if !f.started {
				leave()
			}
			return res, nil
		}
		if !f.started && now.Add(f.hang).UnixMilli() >= in.Expires {
			res.Kind = activities.KindExpired
		}
		token := activity.GetInfo(ctx).TaskToken
		aid := activity.GetInfo(ctx).ActivityID
		c.live[aid] = true
		b.env.RegisterDelayedCallback(func() {
			c.mu.Lock()
			if !c.live[aid] { // taken back
				c.mu.Unlock()
				return
			}
			if !f.started {
				leave()
			}
			res.At = b.env.Now().UnixMilli()
			c.mu.Unlock()
			require.NoError(c.t, b.env.CompleteActivity(token, res, nil))
		}, f.hang)
		return res, activity.ErrResultPending
	}, activity.RegisterOptions{Name: workflows.SendName})
	b.env.RegisterActivityWithOptions(func(ctx context.Context, q activities.ReconcileInput) (activities.ReconcileResult, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := q.Send.Index
		f := c.fates[fateKey{i, 0, true}]
		answer := func() (r activities.ReconcileResult) {
			r.V, r.At = 1, b.env.Now().UnixMilli()
			switch x := c.rnd.IntN(5); {
			case x == 0:
				r.Verdict = activities.VerdictLater
			case x == 1:
				r.Verdict = activities.VerdictCannotTell
			case c.accepted[i] > 0:
				r.Verdict = activities.VerdictFound
			default:
				r.Verdict = activities.VerdictAbsent
			}
			return r
		}
		aid := activity.GetInfo(ctx).ActivityID
		c.live[aid] = true
		if f.hang == 0 {
			return answer(), nil
		}
		token := activity.GetInfo(ctx).TaskToken
		b.env.RegisterDelayedCallback(func() {
			c.mu.Lock()
			gone := !c.live[aid]
			c.mu.Unlock()
			if !gone {
				c.mu.Lock()
				r := answer()
				c.mu.Unlock()
				require.NoError(c.t, b.env.CompleteActivity(token, r, nil))
			}
		}, f.hang)
		return activities.ReconcileResult{}, activity.ErrResultPending
	}, activity.RegisterOptions{Name: workflows.ReconcileName})
	over := func(aid string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.live, aid)
		delete(c.queued, aid)
	}
	b.env.SetOnActivityCompletedListener(func(a *activityInfo, _ value, err error) {
		if errors.Is(err, activity.ErrResultPending) {
			return
		}
		over(a.ActivityID)
		if a.ActivityType.Name != workflows.LoadName {
			b.consistent(b.status(), c.n)
		}
	})
	b.env.SetOnActivityCanceledListener(func(a *activityInfo) { over(a.ActivityID) })
	return b
}

func (c *chaos) control(b *bench) {
	if b.env.IsWorkflowCompleted() {
		return
	}
	rnd := c.rnd
	q := message.CancelRequest{}
	some := func() {
		for range 1 + rnd.IntN(10) {
			q.Messages = append(q.Messages, id(rnd.IntN(c.n)))
		}
	}
	switch rnd.IntN(13) {
	case 0, 1:
		update(b, workflows.ControlPause, nil, func(r message.PauseResult, err error) {
			if err == nil {
				c.mu.Lock()
				c.paused = len(r.InFlight) >= 0 && b.status().State == message.BatchPaused
				c.mu.Unlock()
			}
		})
	case 2, 3:
		c.mu.Lock()
		c.paused = false
		c.mu.Unlock()
		b.env.SignalWorkflow(workflows.ControlResume, nil)
	case 4:
		update(b, workflows.ControlReschedule, message.RescheduleRequest{SendAfter: fmt.Sprintf("%ds", rnd.IntN(4000))},
			func(message.RescheduleResult, error) {})
	case 5:
		b.env.SignalWorkflow(workflows.ControlReschedule, message.RescheduleRequest{SendAfter: fmt.Sprintf("%ds", rnd.IntN(4000))})
	case 6, 7:
		if rnd.IntN(4) > 0 {
			some()
		}
		update(b, workflows.ControlCancel, q, func(r message.CancelResult, err error) {
			require.NoError(b.t, err)
			all := slices.Concat(r.Canceled, r.Sent, r.InFlight, r.Ended)
			unique := slices.Compact(slices.Sorted(slices.Values(all)))
			require.Len(b.t, unique, len(all), "the sets overlap")
			if len(q.Messages) == 0 {
				require.Len(b.t, all, c.n)
			} else {
				require.Equal(b.t, slices.Compact(slices.Sorted(slices.Values(q.Messages))), unique)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, id := range r.Canceled {
				c.canceled[id] = true
			}
			for _, id := range r.InFlight {
				c.inFlight[id] = true
			}
		})
	case 8:
		some()
		b.env.SignalWorkflow(workflows.ControlCancel, q)
	case 9:
		if rnd.IntN(4) == 0 {
			b.env.CancelWorkflow()
		}
	case 10:
		b.env.SignalWorkflow(workflows.ControlPause, nil)
	default:
		b.env.SetCurrentHistoryLength(9_000)
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

func seed(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func chaosSeed(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 11))
	n := 1 + rnd.IntN(120)
	accounts := 1 + rnd.IntN(6)
	c := &chaos{
		t: t, rnd: rnd, n: n, fates: map[fateKey]fate{}, futures: map[int]workflow.Future{}, accepted: make([]int, n),
		canceled: map[string]bool{}, inFlight: map[string]bool{}, down: map[string][2]time.Time{},
	}
	in := batch(n, func(m *message.Batch) {
		m.InFlight = []int{1, 2, 3, 5, 20, 48}[rnd.IntN(6)]
		m.Hops, m.Policies = nil, map[string]message.Policy{}
		for a := range accounts {
			name := fmt.Sprintf("a%d", a)
			p := message.Policy{Reconciles: rnd.IntN(3) > 0, Settle: int64(rnd.IntN(6000)), Attempts: rnd.IntN(6)}
			m.Policies[name] = p
			if rnd.IntN(3) == 0 {
				s := start.Add(time.Duration(rnd.IntN(3600)) * time.Second)
				c.down[name] = [2]time.Time{s, s.Add(time.Duration(rnd.IntN(3600)) * time.Second)}
			}
		}
		for range 1 + rnd.IntN(4) {
			var way []message.Hop
			for _, a := range rnd.Perm(accounts)[:1+rnd.IntN(min(3, accounts))] {
				way = append(way, message.Hop{Account: fmt.Sprintf("a%d", a)})
			}
			m.Hops = append(m.Hops, way)
		}
		same := rnd.IntN(3) == 0
		for i := range m.Messages {
			x := &m.Messages[i]
			if !same {
				x.Due = start.Add(time.Duration(rnd.IntN(7200)-600) * time.Second).UnixMilli()
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
	now := start
	for runs := 0; ; runs++ {
		b := c.bench()
		b.env.SetStartTime(now)
		c.post.goesOn(b)
		for _, d := range when {
			if left := start.Add(d).Sub(now); left > 0 {
				b.at(left, func() { c.control(b) })
			}
		}
		b.at(max(start.Add(48*time.Hour).Sub(now), time.Minute), func() {
			c.mu.Lock()
			c.paused = false
			c.mu.Unlock()
			b.env.SignalWorkflow(workflows.ControlResume, nil)
		})
		b.env.ExecuteWorkflow(workflows.SendBatchName, in)
		require.True(t, b.env.IsWorkflowCompleted(), "the batch hangs")
		var again *workflow.ContinueAsNewError
		if errors.As(b.env.GetWorkflowError(), &again) {
			var carried workflows.Input
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &carried))
			for i, f := range c.futures {
				require.True(t, f.IsReady(), "message %d is under way at continue-as-new", i)
			}
			in = carried
			now = b.env.Now()
			continue
		}
		res := b.result(n)
		require.Less(t, b.env.Now(), start.Add(100*time.Hour), "it took too long")
		c.post.forgotten(b.env.Now())
		for i, row := range res.Rows {
			c.post.judge(i, row, events(res, i))
			if c.canceled[row.ID] {
				require.Equal(t, message.Canceled, row.State)
			}
		}
		return
	}
}
