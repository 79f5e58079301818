package announce

import (
	"context"
	"fmt"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// MaxText is the longest text in bytes: a server takes no longer identity.
const MaxText = 1000

const (
	// pollWait is how long a poll may stay unseen before the next one. A queue has several
	// partitions, and only one of them is told of.
	pollWait = time.Second
	// lookFirst is how long after a poll is looked whether it is told of; the time doubles.
	lookFirst = 50 * time.Millisecond
	// pollFor is the deadline of a poll. A server warns of those below ten seconds.
	pollFor = 15 * time.Second
)

// Server is what is needed of Temporal; a workflowservice.WorkflowServiceClient is one.
type Server interface {
	PollActivityTaskQueue(context.Context, *workflowservice.PollActivityTaskQueueRequest, ...grpc.CallOption) (*workflowservice.PollActivityTaskQueueResponse, error)
	DescribeTaskQueue(context.Context, *workflowservice.DescribeTaskQueueRequest, ...grpc.CallOption) (*workflowservice.DescribeTaskQueueResponse, error)
}

// Publish polls a queue under a text until Temporal tells of that poll. Errors: those of
// Temporal's and of ctx.
func Publish(ctx context.Context, s Server, namespace, queue, text string) error {
	before, err := lastPoll(ctx, s, namespace, queue, text)
	for seen := false; err == nil && !seen; {
		seen, err = publishOnce(ctx, s, namespace, queue, text, before)
	}
	return err
}

// publishOnce polls once. seen means that Temporal tells of it.
func publishOnce(ctx context.Context, s Server, namespace, queue, text string, before time.Time) (seen bool, err error) {
	polling, stop := context.WithTimeout(context.WithoutCancel(ctx), pollFor)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		_, _ = s.PollActivityTaskQueue(polling, &workflowservice.PollActivityTaskQueueRequest{ // there are no tasks
			Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL}, Identity: text,
		})
	})
	for wait := lookFirst; wait < pollWait; wait *= 2 {
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("publish on %s: %w", queue, ctx.Err())
		case <-time.After(wait):
		}
		last, err := lastPoll(ctx, s, namespace, queue, text)
		if err != nil || last.After(before) {
			return err == nil, err
		}
	}
	return false, nil
}

// lastPoll is when a queue was polled last under a text; zero is never.
func lastPoll(ctx context.Context, s Server, namespace, queue, text string) (last time.Time, err error) {
	all, err := Pollers(ctx, s, namespace, queue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return last, err
	}
	for _, p := range all {
		if p.GetIdentity() == text {
			last = p.GetLastAccessTime().AsTime()
		}
	}
	return last, nil
}

// Pollers are those who polled a queue within the last minutes, each with when it did so
// last. Those of an activity queue that was published on are the texts.
func Pollers(ctx context.Context, s Server, namespace, queue string, kind enumspb.TaskQueueType) ([]*taskqueuepb.PollerInfo, error) {
	res, err := s.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: kind,
	})
	if err != nil {
		return nil, fmt.Errorf("look who polls %s: %w", queue, err)
	}
	return res.GetPollers(), nil
}
