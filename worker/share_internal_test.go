package worker

// Inside of the package, since nothing but a Worker that polls has shares.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// queues answer with the pollers of a queue, by when they last polled.
type queues struct {
	mu      sync.Mutex
	pollers map[string]map[string]time.Time
	err     error
}

func (q *queues) DescribeTaskQueue(_ context.Context, queue string, kind enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	res := &workflowservice.DescribeTaskQueueResponse{}
	if kind != enumspb.TASK_QUEUE_TYPE_ACTIVITY {
		return nil, errors.New("not a queue of activities")
	}
	for name, at := range q.pollers[queue] {
		for range 3 { // a worker polls more than once
			res.Pollers = append(res.Pollers, &taskqueuepb.PollerInfo{Identity: name, LastAccessTime: timestamppb.New(at)})
		}
	}
	return res, q.err
}

func (q *queues) change(do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	do()
}

func TestARateIsSharedAmongThoseThatPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		hook := map[string]time.Time{"other": now, "third": now.Add(-70 * time.Second), "gone": now.Add(-71 * time.Second)}
		q := &queues{pollers: map[string]map[string]time.Time{"volley-send-hook": hook}}
		var mu sync.Mutex
		var set []string
		said := func() []string {
			mu.Lock()
			defer mu.Unlock()
			defer func() { set = nil }()
			return set
		}
		s := &shares{
			describe: q, identity: "me", accounts: []string{"hook"}, log: zap.NewNop(), counts: map[string]int{},
			set: func(account string, workers int) {
				mu.Lock()
				defer mu.Unlock()
				set = append(set, fmt.Sprint(account, " ", workers))
			},
		}
		s.look(t.Context())
		require.Equal(t, []string{"hook 3"}, said(), "with this one, which does not poll yet")

		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.watch(ctx) })
		q.change(func() { hook["me"] = time.Now() })
		time.Sleep(9 * time.Second)
		require.Empty(t, said())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"hook 2"}, said(), "the third has not polled again")
		q.change(func() { q.err = errors.New("away") })
		time.Sleep(100 * time.Second)
		require.Empty(t, said(), "what was known last holds")
		q.change(func() { q.err, hook["me"] = nil, time.Now() })
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"hook 1"}, said())
		stop()
		wg.Wait()
	})
}

func TestWorkersWithoutRatesAskNobody(t *testing.T) {
	t.Parallel()
	s := &shares{}
	s.look(t.Context())
	s.watch(t.Context())
}

func TestTwoWorkersOfAProcessHaveIdentitiesOfTheirOwn(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^7@host~[0-9a-f]{8}$`, identity("7@host"))
	one, other := identity("7@host"), identity("7@host")
	require.NotEqual(t, one, other)
	require.Regexp(t, `^\d+@.*~[0-9a-f]{8}$`, identity(""))
}
