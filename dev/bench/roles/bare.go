package roles

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/worker"
)

// Names of the workflows that have no more than they need, and of the query that
// both answer with how many messages were sent.
const (
	// BareName schedules one activity per message, ChildrenName starts one child per
	// message, which schedules it.
	BareName     = "Bare"
	ChildrenName = "Children"
	BareQueue    = "bare"
	BareStatus   = "status"

	childName = "Child"
	postName  = "Post"
	postQueue = "bare-send"
)

// workBare runs the workers of the bare workflow and of the one that starts a child
// for each message, with the options of Volley's.
func (r Role) workBare(_ context.Context, c client.Client) (stop func() error, err error) {
	w := sdk.New(c, BareQueue, sdk.Options{
		LocalActivityWorkerOnly:    true,
		WorkflowTaskPollerBehavior: sdk.NewPollerBehaviorAutoscaling(sdk.PollerBehaviorAutoscalingOptions{}),
		WorkerStopTimeout:          time.Second,
	})
	w.RegisterWorkflowWithOptions(bareWorkflow, workflow.RegisterOptions{Name: BareName})
	w.RegisterWorkflowWithOptions(childrenWorkflow, workflow.RegisterOptions{Name: ChildrenName})
	w.RegisterWorkflowWithOptions(childWorkflow, workflow.RegisterOptions{Name: childName})
	sends := worker.SendOptions(r.Account())
	sends.WorkerStopTimeout = time.Second
	s := sdk.New(c, postQueue, sends)
	s.RegisterActivityWithOptions(newPoster(r.URL, r.InFlight).post, activity.RegisterOptions{Name: postName})
	all := []sdk.Worker{w, s}
	for i, x := range all {
		if err := x.Start(); err != nil {
			for _, y := range all[:i] {
				y.Stop()
			}
			return nil, err
		}
	}
	return func() error { w.Stop(); s.Stop(); return nil }, nil
}

// Input is what both run: the messages, Pool of them at once.
type Input struct {
	Pool     int       `json:"pool"`
	Messages []Message `json:"messages"`
}

// bareWorkflow is the least that sends each message by one activity: a pool of
// coroutines over a cursor.
func bareWorkflow(ctx workflow.Context, in Input) (int, error) {
	ctx = postOptions(ctx)
	return pooled(ctx, in, func(ctx workflow.Context, m Message) workflow.Future {
		return workflow.ExecuteActivity(ctx, postName, m)
	})
}

func postOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: postQueue, StartToCloseTimeout: 30 * time.Second, DisableEagerExecution: true,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// pooled starts something for each message, a pool's worth at once, and counts what
// was sent.
func pooled(ctx workflow.Context, in Input, start func(workflow.Context, Message) workflow.Future) (int, error) {
	next, sent := 0, 0
	if err := workflow.SetQueryHandler(ctx, BareStatus, func() (int, error) { return sent, nil }); err != nil {
		return 0, err
	}
	wg := workflow.NewWaitGroup(ctx)
	for range min(in.Pool, len(in.Messages)) {
		wg.Go(ctx, func(ctx workflow.Context) {
			for next < len(in.Messages) {
				m := in.Messages[next]
				next++
				var ok bool
				if start(ctx, m).Get(ctx, &ok) == nil && ok {
					sent++
				}
			}
		})
	}
	wg.Wait(ctx)
	return sent, nil
}

func childrenWorkflow(ctx workflow.Context, in Input) (int, error) {
	return pooled(ctx, in, func(ctx workflow.Context, m Message) workflow.Future {
		return workflow.ExecuteChildWorkflow(ctx, childName, m)
	})
}

func childWorkflow(ctx workflow.Context, m Message) (bool, error) {
	var ok bool
	err := workflow.ExecuteActivity(postOptions(ctx), postName, m).Get(ctx, &ok)
	return ok, err
}
