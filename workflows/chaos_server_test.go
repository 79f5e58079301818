package workflows_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"volley/workflows/contract"
)

// server stands between workflows and the test environment and does what a Temporal
// server and its workers do with activities, children and signals. The environment
// takes back an activity that has started, forgets an end that a cancel overtakes, and
// runs activities beside its clock. Here an activity lives in coroutines of the
// workflow that asked for it, and no time passes while a workflow starts, so a seed is a
// run. While an activity waits in its queue a cancel takes it back, reported within
// 50 ms; once it has begun it comes to its end, and that end is told.
type server struct {
	interceptor.WorkerInterceptorBase
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment
	rnd *rand.Rand
	// waits is how long an activity waits for a worker.
	waits func(name string) time.Duration
	// work does an activity's work, in a coroutine. asked is canceled when the activity is
	// asked to stop.
	work      func(ctx, asked workflow.Context, name string, in any) (any, error)
	beginning bool // a workflow is to begin
	starting  bool // a child is being started
}

type serverIn struct {
	interceptor.WorkflowInboundInterceptorBase
	s *server
}

type serverOut struct {
	interceptor.WorkflowOutboundInterceptorBase
	*server
}

func (s *server) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &serverIn{s: s}
	in.Next = next
	return in
}

func (x *serverIn) Init(out interceptor.WorkflowOutboundInterceptor) error {
	o := &serverOut{server: x.s}
	o.Next = out
	return x.Next.Init(o)
}

// execute runs a workflow to its end. A timer that is there before the workflow has begun
// would fire by the clock on the wall.
func (s *server) execute(name string, in any) {
	s.beginning = true
	s.hold()
	s.env.ExecuteWorkflow(name, in)
}

func (x *serverIn) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	x.s.beginning = false
	return x.Next.ExecuteWorkflow(ctx, in)
}

// ExecuteActivity hands an activity over as it is at this moment.
func (s *serverOut) ExecuteActivity(asked workflow.Context, name string, args ...any) workflow.Future {
	f, set := workflow.NewFuture(asked)
	in := s.copied(args[0])
	opts := workflow.GetActivityOptions(asked)
	ctx, _ := workflow.NewDisconnectedContext(asked)
	workflow.Go(ctx, func(ctx workflow.Context) {
		res, err := s.carry(ctx, asked, opts, name, in)
		if res != nil && err == nil {
			res, err = converter.GetDefaultDataConverter().ToPayloads(res)
		}
		set.Set(res, err)
	})
	if opts.WaitForCancellation {
		return f
	}
	early, settle := workflow.NewFuture(asked)
	workflow.Go(ctx, func(ctx workflow.Context) {
		_ = workflow.Await(ctx, func() bool { return f.IsReady() || asked.Err() != nil })
		if !f.IsReady() {
			settle.SetError(temporal.NewCanceledError())
			return
		}
		settle.Chain(f)
	})
	return early
}

// carry takes an activity from its queue to its end, over all tries that its policy
// grants it. One that waits for longer than it may ends without having begun.
func (s *server) carry(ctx, asked workflow.Context, opts workflow.ActivityOptions, name string, in any) (any, error) {
	begun := workflow.Now(ctx)
	again := time.Second
	for tries := int32(1); ; tries++ {
		wait, left := s.waits(name), opts.ScheduleToCloseTimeout-workflow.Now(ctx).Sub(begun)
		never := opts.ScheduleToCloseTimeout > 0 && wait >= left
		if never {
			wait = left
		}
		if s.canceledWithin(ctx, asked, wait) {
			s.pass(ctx, 50*time.Millisecond)
			return nil, temporal.NewCanceledError()
		}
		if never {
			return nil, &temporal.ActivityError{} // with no event of a start
		}
		res, err := s.work(ctx, asked, name, in)
		late := opts.ScheduleToCloseTimeout > 0 && workflow.Now(ctx).Add(again).Sub(begun) > opts.ScheduleToCloseTimeout
		if err == nil || late || tries == opts.RetryPolicy.MaximumAttempts {
			return res, err
		}
		if s.canceledWithin(ctx, asked, again) {
			return nil, temporal.NewCanceledError()
		}
		again = min(2*again, opts.RetryPolicy.MaximumInterval)
	}
}

// canceledWithin reports whether asked was canceled before a time had passed.
func (s *server) canceledWithin(ctx, asked workflow.Context, d time.Duration) bool {
	ok, err := workflow.AwaitWithTimeout(ctx, d, func() bool { return asked.Err() != nil })
	return ok && err == nil
}

// upTo is a time of at least a millisecond, often a short one.
func (s *server) upTo(most time.Duration) time.Duration {
	if s.rnd.IntN(3) == 0 {
		most = min(most, 20*time.Millisecond)
	}
	return time.Duration(1+s.rnd.IntN(max(int(most.Milliseconds()), 1))) * time.Millisecond
}

// lost is a worker that dies, once in n times.
func (s *server) lost(n int) error {
	if s.rnd.IntN(n) == 0 {
		return errors.New("the worker is gone")
	}
	return nil
}

// pass lets some time pass.
func (s *server) pass(ctx workflow.Context, most time.Duration) {
	_ = workflow.Sleep(ctx, s.upTo(most))
}

// copied is what arrives of a value that is sent.
func (s *server) copied(v any) any {
	dc := converter.GetDefaultDataConverter()
	p, err := dc.ToPayloads(v)
	assert.NoError(s.t, err)
	to := reflect.New(reflect.TypeOf(v))
	assert.NoError(s.t, dc.FromPayloads(p, to.Interface()))
	return to.Elem().Interface()
}

// child is a child workflow that begins after a while.
type child struct {
	workflow.Future
	begun workflow.Future
}

func (c child) GetChildWorkflowExecution() workflow.Future { return c.begun }

func (c child) SignalChildWorkflow(ctx workflow.Context, _ string, _ any) workflow.Future {
	f, set := workflow.NewFuture(ctx)
	set.SetError(errors.ErrUnsupported)
	return f
}

// ExecuteChildWorkflow starts one child at a time, because the environment would start
// several in no certain order.
func (s *serverOut) ExecuteChildWorkflow(ctx workflow.Context, name string, args ...any) workflow.ChildWorkflowFuture {
	end, setEnd := workflow.NewFuture(ctx)
	begun, setBegun := workflow.NewFuture(ctx)
	in := s.copied(args[0])
	workflow.Go(ctx, func(ctx workflow.Context) {
		s.pass(ctx, 200*time.Millisecond)
		_ = workflow.Await(ctx, func() bool { return !s.starting })
		s.starting = true
		s.hold()
		f := s.Next.ExecuteChildWorkflow(ctx, name, in)
		var at workflow.Execution
		err := f.GetChildWorkflowExecution().Get(ctx, &at)
		s.starting = false
		setBegun.Set(at, err)
		var res contract.SegmentResult
		err = f.Get(ctx, &res)
		setEnd.Set(res, err)
	})
	return child{end, begun}
}

// hold keeps the environment from letting time pass while a workflow is being started.
func (s *server) hold() {
	if s.beginning || s.starting {
		runtime.Gosched()
		s.env.RegisterDelayedCallback(s.hold, 0)
	}
}
