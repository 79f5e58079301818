package keywatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
)

const (
	// pollWait is how long a poll may stay unseen before the next one, and seenEvery how
	// often is looked. A queue has several partitions, and only one of them is told of.
	pollWait  = time.Second
	seenEvery = 50 * time.Millisecond
	// pollFor is the deadline of a poll. A server warns of those below ten seconds.
	pollFor = 15 * time.Second
)

// announce polls the queue of reports under an identity until Temporal tells of that poll.
func announce(ctx context.Context, s Server, namespace, taskQueue, identity string) error {
	queue := queueOf(taskQueue)
	before, err := lastPoll(ctx, s, namespace, queue, identity)
	for seen := false; err == nil && !seen; {
		seen, err = announceOnce(ctx, s, namespace, queue, identity, before)
	}
	return err
}

// announceOnce polls once. seen means that Temporal tells of it.
func announceOnce(ctx context.Context, s Server, namespace, queue, identity string, before time.Time) (seen bool, err error) {
	polling, stop := context.WithTimeout(context.WithoutCancel(ctx), pollFor)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		_, _ = s.PollActivityTaskQueue(polling, &workflowservice.PollActivityTaskQueueRequest{ // there are no tasks
			Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL}, Identity: identity,
		})
	})
	for began := time.Now(); time.Since(began) < pollWait; {
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("say which keys this process has: %w", ctx.Err())
		case <-time.After(seenEvery):
		}
		last, err := lastPoll(ctx, s, namespace, queue, identity)
		if err != nil || last.After(before) {
			return err == nil, err
		}
	}
	return false, nil
}

// lastPoll is when an identity polled a queue last; zero is never.
func lastPoll(ctx context.Context, s Server, namespace, queue, identity string) (last time.Time, err error) {
	all, err := pollers(ctx, s, namespace, queue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return last, err
	}
	for _, p := range all {
		if p.GetIdentity() == identity {
			last = p.GetLastAccessTime().AsTime()
		}
	}
	return last, nil
}
