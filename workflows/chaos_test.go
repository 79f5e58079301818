package workflows_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// chaos is a server, providers and operators that do anything at any time, over all
// runs of one small batch, or of one segment.
type chaos struct {
	*server
	t *testing.T
	b *flowtest.Bench // the run's
	n int

	futures  map[int]workflow.Future // the last activity of each message
	queue    map[int]bool            // attempts that have not begun, by message
	accepted []int
	canceled map[string]bool
	inFlight map[string]bool // named by a cancel: no further attempt
	paused   bool
	down     map[string][2]time.Time
	seg      *segmentChaos // nil for a small batch
	post     *post
}

func newChaos(t *testing.T, rnd *rand.Rand, n int) *chaos {
	c := &chaos{
		server: &server{t: t, rnd: rnd}, t: t, n: n, futures: map[int]workflow.Future{}, queue: map[int]bool{}, accepted: make([]int, n),
		canceled: map[string]bool{}, inFlight: map[string]bool{}, down: map[string][2]time.Time{},
	}
	c.work, c.waits = c.perform, c.queued
	return c
}

// queued is a wait for a worker: mostly next to none, seldom a very long one.
func (c *chaos) queued(name string) time.Duration {
	longest := 20 * time.Millisecond
	switch x := c.rnd.IntN(27); {
	case name == contract.LoadName || name == contract.KeepName:
	case x == 0:
		longest = 90 * time.Minute
	case x < 9:
		longest = 40 * time.Second
	}
	return c.upTo(longest)
}

// perform does the work of an activity that has begun.
func (c *chaos) perform(ctx, asked workflow.Context, _ string, in any) (any, error) {
	for _, i := range messagesOf(in) {
		c.queue[i] = false
	}
	switch in := in.(type) {
	case contract.SendInput:
		return c.onSend(ctx, in)
	case contract.ReconcileInput:
		return c.onAsk(ctx, in)
	case contract.GroupInput:
		return c.seg.onGroup(ctx, asked, in)
	case contract.LoadInput:
		return c.seg.onLoad()
	case contract.KeepInput:
		return nil, c.seg.onKeep(ctx, in)
	}
	return nil, fmt.Errorf("nobody does %T", in)
}

// leaves holds a request that leaves to what has been said of its message.
func (c *chaos) leaves(i int) {
	assert.False(c.t, c.canceled[flowtest.ID(i)], "a request left for message %d, which was canceled", i)
	assert.False(c.t, c.inFlight[flowtest.ID(i)], "a second request left for message %d that a cancel had found in flight", i)
	assert.False(c.t, c.paused, "a request left for message %d while paused", i)
	c.post.leaves(i)
}

// answered holds what a cancel says of messages to what is done for them.
func (c *chaos) answered(canceled, inFlight []string) {
	for _, id := range canceled {
		c.canceled[id] = true
	}
	for _, id := range inFlight {
		_, i, _ := message.ParseID(id)
		under := c.futures[i] != nil && !c.futures[i].IsReady()
		assert.False(c.t, under && c.queue[i], "message %d is called in flight, and its attempt has not begun", i)
		c.inFlight[id] = true
	}
}

func (c *chaos) takes(i int, account string) {
	c.accepted[i]++
	c.post.takes(c.b, i, account)
}

// away reports whether an account is unavailable now.
func (c *chaos) away(account string, now time.Time) bool {
	d, ok := c.down[account]
	return ok && now.After(d[0]) && now.Before(d[1])
}

func (c *chaos) onSend(ctx workflow.Context, in contract.SendInput) (contract.SendResult, error) {
	kinds := []string{"sent", "sent", "sent", "throttled", "unavailable", "rejected", "ambiguous", "not_started"}
	res := contract.SendResult{V: 1, Kind: kinds[c.rnd.IntN(len(kinds))], Code: "x", Detail: "d " + in.Account}
	now := workflow.Now(ctx)
	if c.away(in.Account, now) {
		res.Kind = "unavailable"
	}
	if now.UnixMilli() >= in.Expires {
		res.Kind = contract.KindExpired
	}
	res.At = now.UnixMilli()
	if res.Kind == "not_started" || res.Kind == contract.KindExpired {
		return res, nil
	}
	c.leaves(in.Index)
	if res.Kind == "sent" || res.Kind == "ambiguous" && c.rnd.IntN(2) == 0 {
		c.takes(in.Index, in.Account)
		res.ProviderID = fmt.Sprintf("p-%d", in.Index)
	}
	c.hang(ctx)
	res.At = workflow.Now(ctx).UnixMilli()
	return res, c.lost(100)
}

// hang lets an activity take its time, now and then a long one.
func (c *chaos) hang(ctx workflow.Context) {
	longest := 50 * time.Millisecond
	if c.rnd.IntN(3) == 0 {
		longest = 28 * time.Second
	}
	c.pass(ctx, longest)
}

func (c *chaos) onAsk(ctx workflow.Context, q contract.ReconcileInput) (contract.ReconcileResult, error) {
	c.hang(ctx)
	res := contract.ReconcileResult{V: 1, At: workflow.Now(ctx).UnixMilli()}
	switch x := c.rnd.IntN(5); {
	case x == 0:
		res.Verdict = contract.VerdictLater
	case x == 1:
		res.Verdict = contract.VerdictCannotTell
	case c.accepted[q.Send.Index] > 0:
		res.Verdict = contract.VerdictFound
	default:
		res.Verdict = contract.VerdictAbsent
	}
	return res, c.lost(100)
}

// bench is that of the next run, in the server's environment.
func (c *chaos) bench() *flowtest.Bench {
	var suite testsuite.WorkflowTestSuite
	b := &flowtest.Bench{T: c.t, Env: flowtest.NewEnv(&suite)}
	c.b, c.env = b, b.Env
	b.Env.SetTestTimeout(2 * time.Minute)
	b.Env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{c.server, &chaosIn{c: c}}})
	b.Env.SetOnTimerFiredListener(func(string) {
		if c.seg == nil || c.seg.loaded {
			b.Consistent(b.Status(), c.n)
		}
	})
	return b
}

// chaosIn stands between workflows and the server: it sees what they ask for, and
// takes the place of a segment's batch.
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

func (x *chaosIn) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	w := &chaosWf{c: x.c}
	w.Next = next
	return w
}

func (x *chaosWf) Init(out interceptor.WorkflowOutboundInterceptor) error {
	o := &chaosOut{c: x.c}
	o.Next = out
	return x.Next.Init(o)
}

// ExecuteActivity holds the workflow to one activity at a time for each message.
func (x *chaosOut) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	f := x.Next.ExecuteActivity(ctx, name, args...)
	for _, i := range messagesOf(args[0]) {
		if last := x.c.futures[i]; last != nil {
			assert.True(x.c.t, last.IsReady(), "message %d is under way twice", i)
		}
		x.c.futures[i], x.c.queue[i] = f, name != contract.ReconcileName
	}
	return f
}

// messagesOf are the messages that an activity is about.
func messagesOf(in any) []int {
	switch in := in.(type) {
	case contract.SendInput:
		return []int{in.Index}
	case contract.ReconcileInput:
		return []int{in.Send.Index}
	case contract.GroupInput:
		return in.Positions()
	}
	return nil
}

// GetInfo gives a segment a batch that hears its progress.
func (x *chaosOut) GetInfo(ctx workflow.Context) *workflow.Info {
	info := *x.Next.GetInfo(ctx)
	if x.c.seg != nil {
		info.ParentWorkflowExecution = &workflow.Execution{ID: "batch-b"}
	}
	return &info
}

// SignalExternalWorkflow is how a segment tells its progress.
func (x *chaosOut) SignalExternalWorkflow(ctx workflow.Context, _, _, _ string, arg any) workflow.Future {
	f, set := workflow.NewFuture(ctx)
	x.c.seg.hear(arg.(contract.Progress))
	set.Set(nil, nil)
	return f
}

// way is a way of accounts chosen among a number of them.
func (c *chaos) way(accounts, most int) (way []message.Hop) {
	for _, a := range c.rnd.Perm(accounts)[:1+c.rnd.IntN(min(most, accounts))] {
		way = append(way, message.Hop{Account: fmt.Sprintf("a%d", a)})
	}
	return way
}

// outage takes an account down for a while, now and then.
func (c *chaos) outage(account string) {
	if c.rnd.IntN(3) == 0 {
		s := flowtest.Start.Add(time.Duration(c.rnd.IntN(3600)) * time.Second)
		c.down[account] = [2]time.Time{s, s.Add(time.Duration(c.rnd.IntN(3600)) * time.Second)}
	}
}

func seed(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	if testing.Short() {
		return otherwise / 4
	}
	return otherwise
}
