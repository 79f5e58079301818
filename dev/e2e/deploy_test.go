package e2e_test

import (
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	history "go.temporal.io/api/history/v1"
	taskqueue "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// release is a build of the worker: the volley binary's, or one with changed workflow
// code, which is the test binary's.
type release struct {
	Deployment, Build string
	Changed           bool
	Deferred          []string
}

// testedChange is the gate of the changed code. Its name is a real one, so that it can be
// deferred; the binary reads that version only when a signal is unclear, which none is.
const testedChange = contract.ChangeRefuseUnclear

// changedCode is a change of every workflow: it starts a timer for each attempt.
type changedCode struct {
	interceptor.ClientInterceptorBase
	interceptor.WorkerInterceptorBase
}

func (*changedCode) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &changedInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

type changedInbound struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (i *changedInbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&changedOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: out}})
}

type changedOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
}

func (o *changedOutbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	sends := name == contract.SendName || name == contract.GroupName
	if sends && workflow.GetVersion(ctx, testedChange, workflow.DefaultVersion, 1) > workflow.DefaultVersion {
		workflow.NewTimer(ctx, time.Hour)
	}
	return o.Next.ExecuteActivity(ctx, name, args...)
}

// deploy runs a build as the worker of a lab of one test until stop, which drains it.
func (l *lab) deploy(t *testing.T, r release) (stop func()) {
	t.Helper()
	if !r.Changed {
		return l.deployBinary(t, r)
	}
	end, err := l.recruit(membership{Queue: queueOf(t), Account: l.served[0].Name, release: r})
	require.NoError(t, err)
	t.Cleanup(func() { _ = end() })
	return func() { require.NoError(t, end()) }
}

func (l *lab) deployBinary(t *testing.T, r release) (stop func()) {
	t.Helper()
	args := []string{"worker", "--config", l.config(t, queueOf(t), l.served[0].Name), "--listen", ""}
	if r.Build != "" {
		args = append(args, "--deployment", r.Deployment, "--build", r.Build)
	}
	cmd := spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, volley(t), args...)
	return func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait())
	}
}

// inMode is a lab of one test whose batches run in the mode of the tests; it has no worker.
func inMode(t *testing.T) *lab {
	t.Helper()
	if mode == "" {
		return shared.own(t, messages, 0)
	}
	return shared.own(t, mode, 0)
}

// all are the histories of a batch's workflow and of those that it started.
func (l *lab) all(t *testing.T, ref starter.Ref) (all []*history.HistoryEvent) {
	t.Helper()
	for _, run := range l.runs(t, starter.WorkflowID(ref)) {
		all = append(all, run.GetEvents()...)
		for _, e := range run.GetEvents() {
			if child := e.GetChildWorkflowExecutionStartedEventAttributes(); child != nil {
				for _, run := range l.runs(t, child.GetWorkflowExecution().GetWorkflowId()) {
					all = append(all, run.GetEvents()...)
				}
			}
		}
	}
	return all
}

// misfits is how many workflow tasks failed because code did not fit a history.
func misfits(all []*history.HistoryEvent) (n int) {
	for _, e := range all {
		if e.GetWorkflowTaskFailedEventAttributes().GetCause() == enums.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR {
			n++
		}
	}
	return n
}

// timers and versions are what only the changed code leaves.
func timers(all []*history.HistoryEvent) (n int) {
	for _, e := range all {
		if e.GetTimerStartedEventAttributes().GetStartToFireTimeout().AsDuration() == time.Hour {
			n++
		}
	}
	return n
}

func versions(all []*history.HistoryEvent) (n int) {
	for _, e := range all {
		if e.GetMarkerRecordedEventAttributes().GetMarkerName() == "Version" {
			n++
		}
	}
	return n
}

// workers are those that completed workflow tasks, by identity, and the builds they were.
func workers(all []*history.HistoryEvent) (identities, builds []string) {
	who, which := map[string]bool{}, map[string]bool{}
	for _, e := range all {
		if done := e.GetWorkflowTaskCompletedEventAttributes(); done != nil {
			who[done.GetIdentity()] = true
			which[done.GetDeploymentVersion().GetBuildId()] = true
		}
	}
	return slices.Sorted(maps.Keys(who)), slices.Sorted(maps.Keys(which))
}

// touch has the worker that runs work on a batch: once out of the whole history, once
// with a change of its own.
func (l *lab) touch(t *testing.T, ref starter.Ref) {
	t.Helper()
	l.until(t, ref, func(s message.Status) bool { return s.Total > 0 })
	_, err := l.starter.Pause(t.Context(), ref)
	require.NoError(t, err)
	_, err = l.starter.Resume(t.Context(), ref)
	require.NoError(t, err)
}

// reschedule asks for it without waiting for a worker.
func (l *lab) reschedule(t *testing.T, ref starter.Ref, after string) {
	t.Helper()
	require.NoError(t, l.client.SignalWorkflow(t.Context(), starter.WorkflowID(ref), "", contract.ControlReschedule, message.RescheduleRequest{SendAfter: after}))
}

// complete makes everything due, and checks that all of it left exactly once.
func (l *lab) complete(t *testing.T, ref starter.Ref) {
	t.Helper()
	l.reschedule(t, ref, "0s")
	l.until(t, ref, func(s message.Status) bool { return s.State == message.BatchCompleted })
	status, rows := l.wait(t, ref)
	require.Equal(t, status.Total, status.Counts[message.Sent], "%v", *status.Counts)
	l.agree(t, rows)
}

// dueIn puts off a batch's messages from the given one on.
func dueIn(all []note, from int, after string) []note {
	for i := from; i < len(all); i++ {
		all[i].SendAfter = after
	}
	return all
}

func TestABatchThatWaitsAMonthOutlivesTenDeployments(t *testing.T) {
	t.Parallel()
	l := inMode(t)
	stop := l.deploy(t, release{})
	ref := l.large(t, dueIn(notes(t, 6), 0, "720h"))
	for i := range 10 {
		l.touch(t, ref)
		stop()
		stop = l.deploy(t, release{Changed: i%2 == 1})
	}
	l.touch(t, ref)
	l.complete(t, ref)
	stop()
	all := l.all(t, ref)
	who, _ := workers(all)
	require.GreaterOrEqual(t, len(who), 11, "each of them worked on it")
	require.Positive(t, timers(all), "the last one did what it has changed")
	require.Zero(t, misfits(all))
}

func TestADeferredChangeCanBeRolledBack(t *testing.T) {
	t.Parallel()
	l := inMode(t)
	stop := l.deploy(t, release{Changed: true, Deferred: []string{testedChange}})
	ref := l.large(t, dueIn(notes(t, 6), 3, "1h"))
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 3 })
	stop()
	stop = l.deploy(t, release{})
	l.touch(t, ref)
	l.complete(t, ref)
	stop()
	all := l.all(t, ref)
	require.Positive(t, versions(all), "the gate was passed")
	require.Zero(t, timers(all), "and nothing was done otherwise")
	require.Zero(t, misfits(all))
}

// What a rollback does to batches that have begun with a change: they stand still, and go
// on when the newer build is back.
func TestABatchThatBeganWithAChangeWaitsForTheBuildThatKnowsIt(t *testing.T) {
	t.Parallel()
	l := inMode(t)
	stop := l.deploy(t, release{Changed: true})
	ref := l.large(t, dueIn(notes(t, 6), 3, "1h"))
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 3 })
	stop()
	stop = l.deploy(t, release{})
	l.reschedule(t, ref, "2h")
	require.Eventually(t, func() bool { return misfits(l.all(t, ref)) > 0 }, time.Minute, 20*time.Millisecond)
	stop()
	require.EqualValues(t, 3, l.sandbox.Counts().Total)
	stop = l.deploy(t, release{Changed: true})
	l.complete(t, ref)
	stop()
}

func TestAVersionedDeploymentRampsAndMovesEveryBatch(t *testing.T) {
	t.Parallel()
	if mode != "" {
		t.Skip("the mode makes no difference")
	}
	const batches = 12
	l := shared.own(t, messages, 0)
	name := queueOf(t)
	deployment := l.client.WorkerDeploymentClient().GetHandle(name)
	current := func(build string) {
		t.Helper()
		require.Eventually(t, func() bool { // the server comes to know a build when it polls
			_, err := deployment.SetCurrentVersion(t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
			return err == nil
		}, time.Minute, 100*time.Millisecond)
	}
	refs := make([]starter.Ref, batches)
	begin := func(i int) {
		r := l.request(t, l.served[0].Name, "Hi ${name}", dueIn(notes(t, 4), 2, "720h"))
		r.ID += "-" + string(rune('a'+i))
		_, err := l.starter.Start(t.Context(), r)
		require.NoError(t, err)
		refs[i] = r.Ref
	}

	half := func(s message.Status) bool { return s.Counts[message.Sent] == 2 }
	stop := l.deploy(t, release{}) // without a build
	begin(0)
	l.until(t, refs[0], half)
	stop()
	stopFirst := l.deploy(t, release{Deployment: name, Build: "1"})
	begin(1)
	require.Eventually(t, func() bool { // which is what /readyz asks
		res, err := l.client.DescribeTaskQueue(t.Context(), name, enums.TASK_QUEUE_TYPE_WORKFLOW)
		return err == nil && slices.ContainsFunc(res.GetPollers(), func(p *taskqueue.PollerInfo) bool {
			return p.GetDeploymentOptions().GetBuildId() == "1"
		})
	}, busy, 50*time.Millisecond)
	who, _ := workers(l.all(t, refs[1]))
	require.Empty(t, who, "it polls, and gets nothing")
	current("1")
	l.until(t, refs[1], half)

	stopSecond := l.deploy(t, release{Deployment: name, Build: "2", Changed: true})
	require.Eventually(t, func() bool {
		_, err := deployment.SetRampingVersion(t.Context(), client.WorkerDeploymentSetRampingVersionOptions{BuildID: "2", Percentage: 50})
		return err == nil
	}, time.Minute, 100*time.Millisecond)
	seen := map[string]int{}
	for i := 2; i < batches; i++ {
		begin(i)
		l.until(t, refs[i], half)
	}
	for _, ref := range refs[1:] {
		_, builds := workers(l.all(t, ref))
		seen[builds[len(builds)-1]]++
	}
	require.Positive(t, seen["1"], "%v", seen)
	require.Positive(t, seen["2"], "%v", seen)
	t.Logf("batches by build at half: %v", seen)

	current("2")
	stopFirst()
	for _, ref := range refs {
		l.complete(t, ref)
		all := l.all(t, ref)
		_, builds := workers(all)
		require.Contains(t, builds, "2", "it moved")
		require.Zero(t, misfits(all))
	}
	stopSecond()
	require.EqualValues(t, 4*batches, l.sandbox.Counts().Total)
}
