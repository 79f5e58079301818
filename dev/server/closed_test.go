package server_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/dev/server"
)

// These tests hold what Volley assumes of a run that Temporal ended: what can be asked of
// it, and what of its activities is known.

const closedQueue = "closed"

// probe schedules an activity for every signal "go", under the id that the signal
// names, and answers which of them it believes to be under way.
func probe(ctx workflow.Context, fail bool) error {
	flying, done := map[string]bool{}, []string{}
	err := workflow.SetQueryHandler(ctx, "flying", func() ([]string, error) {
		return slices.Sorted(maps.Keys(flying)), nil
	})
	if err != nil {
		return err
	}
	if err := workflow.SetQueryHandler(ctx, "done", func() ([]string, error) { return done, nil }); err != nil {
		return err
	}
	actx, cancel := workflow.WithCancel(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		workflow.GetSignalChannel(ctx, "recall").Receive(ctx, nil)
		cancel()
	})
	for {
		var id string
		workflow.GetSignalChannel(ctx, "go").Receive(ctx, &id)
		if id == "fail" && fail {
			return temporal.NewApplicationError("as asked", "asked")
		}
		one := workflow.WithActivityOptions(actx, workflow.ActivityOptions{
			ActivityID: id, TaskQueue: "act-" + id, StartToCloseTimeout: time.Hour, HeartbeatTimeout: time.Hour,
			WaitForCancellation: true, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
		})
		flying[id] = true
		f := workflow.ExecuteActivity(one, "act", id)
		workflow.Go(ctx, func(ctx workflow.Context) {
			_ = f.Get(ctx, nil)
			delete(flying, id)
			done = append(done, id)
		})
	}
}

type closedLab struct {
	c client.Client
	w sdkworker.Worker
}

func newClosedLab(t *testing.T) *closedLab {
	t.Helper()
	l := &closedLab{c: dial(t, start(t, server.Options{}))}
	l.work(t, probe)
	return l
}

func (l *closedLab) work(t *testing.T, code func(workflow.Context, bool) error) {
	t.Helper()
	l.w = sdkworker.New(l.c, closedQueue, sdkworker.Options{DisableRegistrationAliasing: true})
	l.w.RegisterWorkflowWithOptions(code, workflow.RegisterOptions{Name: "probe"})
	require.NoError(t, l.w.Start())
}

func (l *closedLab) start(t *testing.T, id string, o client.StartWorkflowOptions, ids ...string) {
	t.Helper()
	o.ID, o.TaskQueue = id, closedQueue
	_, err := l.c.ExecuteWorkflow(t.Context(), o, "probe", true)
	require.NoError(t, err)
	l.send(t, id, ids...)
	require.Eventually(t, func() bool { return len(l.pending(t, id)) == len(ids) }, 10*time.Second, 10*time.Millisecond)
}

func (l *closedLab) send(t *testing.T, id string, ids ...string) {
	t.Helper()
	for _, a := range ids {
		require.NoError(t, l.c.SignalWorkflow(t.Context(), id, "", "go", a))
	}
}

func (l *closedLab) pending(t *testing.T, id string) map[string]*workflowpb.PendingActivityInfo {
	t.Helper()
	d, err := l.c.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	all := map[string]*workflowpb.PendingActivityInfo{}
	for _, p := range d.GetPendingActivities() {
		all[p.GetActivityId()] = p
	}
	return all
}

// take takes an activity as a worker does, and returns its token.
func (l *closedLab) take(t *testing.T, id string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	res, err := l.c.WorkflowService().PollActivityTaskQueue(ctx, &workflowservice.PollActivityTaskQueueRequest{
		Namespace: server.DefaultNamespace, TaskQueue: &taskqueuepb.TaskQueue{Name: "act-" + id}, Identity: "test",
	})
	require.NoError(t, err)
	require.Equal(t, id, res.GetActivityId())
	return res.GetTaskToken()
}

// query asks again what met a worker that was stopping.
func (l *closedLab) query(t *testing.T, id, question string) (converter.EncodedValue, error) {
	t.Helper()
	for {
		v, err := l.c.QueryWorkflow(t.Context(), id, "", question)
		var canceled *serviceerror.Canceled
		if !errors.As(err, &canceled) {
			return v, err
		}
	}
}

func (l *closedLab) ask(t *testing.T, id, question string) []string {
	t.Helper()
	v, err := l.query(t, id, question)
	require.NoError(t, err)
	var all []string
	require.NoError(t, v.Get(&all))
	return all
}

func (l *closedLab) terminate(t *testing.T, id string) {
	t.Helper()
	require.NoError(t, l.c.TerminateWorkflow(t.Context(), id, "", "test"))
}

func TestAClosedRunKeepsWhatWasPending(t *testing.T) {
	t.Parallel()
	l := newClosedLab(t)
	ways := map[string]struct {
		options client.StartWorkflowOptions
		end     func(id string)
		status  enumspb.WorkflowExecutionStatus
	}{
		"terminated": {end: func(id string) { l.terminate(t, id) }, status: enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED},
		"failed":     {end: func(id string) { l.send(t, id, "fail") }, status: enumspb.WORKFLOW_EXECUTION_STATUS_FAILED},
		"timed out": {
			options: client.StartWorkflowOptions{WorkflowExecutionTimeout: 4 * time.Second},
			end:     func(string) {}, status: enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			l.start(t, name, way.options, "waits-"+name, "left-"+name, "beats-"+name)
			l.take(t, "left-"+name)
			beats := l.take(t, "beats-"+name)
			require.NoError(t, l.c.RecordActivityHeartbeat(t.Context(), beats, "half way"))
			way.end(name)
			require.Error(t, l.c.GetWorkflow(t.Context(), name, "").Get(t.Context(), nil))

			d, err := l.c.DescribeWorkflowExecution(t.Context(), name, "")
			require.NoError(t, err)
			require.Equal(t, way.status, d.GetWorkflowExecutionInfo().GetStatus())
			pending := l.pending(t, name)
			require.Len(t, pending, 3)
			require.Nil(t, pending["waits-"+name].GetLastStartedTime())
			require.Equal(t, enumspb.PENDING_ACTIVITY_STATE_SCHEDULED, pending["waits-"+name].GetState())
			require.NotNil(t, pending["left-"+name].GetLastStartedTime())
			require.Equal(t, "act", pending["left-"+name].GetActivityType().GetName())
			require.Contains(t, string(pending["beats-"+name].GetHeartbeatDetails().GetPayloads()[0].GetData()), "half way")
			require.Len(t, l.ask(t, name, "flying"), 3)

			err = l.c.RecordActivityHeartbeat(t.Context(), beats, "too late")
			var gone *serviceerror.NotFound
			require.ErrorAs(t, err, &gone, "a heartbeat after the end is not acknowledged")
			require.Contains(t, string(l.pending(t, name)["beats-"+name].GetHeartbeatDetails().GetPayloads()[0].GetData()), "half way")
		})
	}
}

func TestAClosedRunIsAskedAsAfterItsLastEvent(t *testing.T) {
	t.Parallel()
	l := newClosedLab(t)
	l.start(t, "late", client.StartWorkflowOptions{}, "done", "open", "recalled")
	done := l.take(t, "done")
	l.take(t, "recalled")
	l.w.Stop() // from here on no workflow task runs
	require.NoError(t, l.c.CompleteActivity(t.Context(), done, nil, nil))
	l.send(t, "late", "never-scheduled")
	require.NoError(t, l.c.SignalWorkflow(t.Context(), "late", "", "recall", nil))
	l.terminate(t, "late")

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := l.c.QueryWorkflow(ctx, "late", "", "done")
	require.Error(t, err)

	l.work(t, probe)
	require.Equal(t, []string{"done"}, l.ask(t, "late", "done"), "what came after the last workflow task is known")
	require.Contains(t, l.ask(t, "late", "flying"), "never-scheduled", "and so is what the server never heard of")
	pending := l.pending(t, "late")
	require.Equal(t, []string{"open", "recalled"}, slices.Sorted(maps.Keys(pending)))
	for range 3 {
		require.Equal(t, []string{"never-scheduled", "open", "recalled"}, l.ask(t, "late", "flying"), "each time the same")
	}
}

// poll takes a workflow task and does not answer it.
func (l *closedLab) poll(t *testing.T, queue string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	res, err := l.c.WorkflowService().PollWorkflowTaskQueue(ctx, &workflowservice.PollWorkflowTaskQueueRequest{
		Namespace: server.DefaultNamespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, Identity: "test",
	})
	require.NoError(t, err)
	require.NotEmpty(t, res.GetTaskToken())
}

func TestWhatCameDuringAWorkflowTaskIsKept(t *testing.T) {
	t.Parallel()
	l := newClosedLab(t)
	l.start(t, "during", client.StartWorkflowOptions{}, "buffered", "open")
	buffered := l.take(t, "buffered")
	l.w.Stop()
	require.NoError(t, l.c.SignalWorkflow(t.Context(), "during", "", "other", nil))
	l.poll(t, closedQueue)
	require.NoError(t, l.c.CompleteActivity(t.Context(), buffered, nil, nil))
	l.terminate(t, "during")
	l.work(t, probe)
	require.Equal(t, []string{"buffered"}, l.ask(t, "during", "done"))
	require.Equal(t, []string{"open"}, l.ask(t, "during", "flying"))
	require.Equal(t, []string{"open"}, slices.Sorted(maps.Keys(l.pending(t, "during"))))
}

func TestARecalledActivityThatWasNotTakenIsNotPending(t *testing.T) {
	t.Parallel()
	l := newClosedLab(t)
	l.start(t, "recall", client.StartWorkflowOptions{}, "waits", "taken")
	l.take(t, "taken")
	require.NoError(t, l.c.SignalWorkflow(t.Context(), "recall", "", "recall", nil))
	require.Eventually(t, func() bool { return len(l.pending(t, "recall")) == 1 }, 10*time.Second, 10*time.Millisecond)
	l.terminate(t, "recall")
	p := l.pending(t, "recall")["taken"]
	require.Equal(t, enumspb.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED, p.GetState())
	require.NotNil(t, p.GetLastStartedTime())
	require.Equal(t, []string{"taken"}, l.ask(t, "recall", "flying"))
}

func TestAClosedRunThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	l := newClosedLab(t)
	_, err := l.c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "early", TaskQueue: "nobody"}, "probe", true)
	require.NoError(t, err)
	l.terminate(t, "early")
	_, err = l.c.QueryWorkflow(t.Context(), "early", "", "done")
	var notReady *serviceerror.WorkflowNotReady
	require.ErrorAs(t, err, &notReady, "%v", err)

	l.start(t, "changed", client.StartWorkflowOptions{}, "one")
	l.start(t, "failing", client.StartWorkflowOptions{}, "two")
	l.terminate(t, "changed")
	l.w.Stop()
	l.work(t, func(ctx workflow.Context, _ bool) error { return workflow.Sleep(ctx, time.Hour) })
	_, err = l.query(t, "changed", "done")
	var failed *serviceerror.QueryFailed
	require.ErrorAs(t, err, &failed, "code that does not fit the history: %v", err)

	l.w.Stop()
	l.work(t, func(workflow.Context, bool) error { panic("always") })
	l.send(t, "failing", "three")
	require.Eventually(t, func() bool {
		d, err := l.c.DescribeWorkflowExecution(t.Context(), "failing", "")
		return err == nil && d.GetPendingWorkflowTask().GetAttempt() >= 3
	}, time.Minute, 100*time.Millisecond)
	l.terminate(t, "failing")
	l.w.Stop()
	l.work(t, probe)
	require.Empty(t, l.ask(t, "changed", "done"), "the code fits again")
	_, err = l.query(t, "failing", "done")
	require.ErrorAs(t, err, &notReady, "a run that ended while its tasks failed is not asked, whatever the code: %v", err)
	require.Len(t, l.pending(t, "failing"), 1)

	_, err = l.c.QueryWorkflow(t.Context(), "nobody-knows", "", "done")
	var unknown *serviceerror.NotFound
	require.ErrorAs(t, err, &unknown)
}
