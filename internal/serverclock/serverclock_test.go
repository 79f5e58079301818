package serverclock_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"volley/internal/serverclock"
)

// server remembers who polled it, and answers after some time.
type server struct {
	takes time.Duration
	// silent tells of no poll, and fails is what a poll fails with.
	silent bool
	fails  error

	mu      sync.Mutex
	pollers []*taskqueuepb.PollerInfo
}

// answer returns when the server has its answer, or when nobody waits for it any more.
func (s *server) answer(ctx context.Context) error {
	select {
	case <-time.After(s.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *server) PollActivityTaskQueue(ctx context.Context, r *workflowservice.PollActivityTaskQueueRequest, _ ...grpc.CallOption) (*workflowservice.PollActivityTaskQueueResponse, error) {
	if err := s.answer(ctx); err != nil {
		return nil, err
	}
	if s.fails != nil {
		return nil, s.fails
	}
	s.mu.Lock()
	s.pollers = append(s.pollers, &taskqueuepb.PollerInfo{Identity: r.GetIdentity(), LastAccessTime: timestamppb.Now()})
	s.mu.Unlock()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *server) DescribeTaskQueue(ctx context.Context, _ *workflowservice.DescribeTaskQueueRequest, _ ...grpc.CallOption) (*workflowservice.DescribeTaskQueueResponse, error) {
	if err := s.answer(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent {
		return &workflowservice.DescribeTaskQueueResponse{}, nil
	}
	return &workflowservice.DescribeTaskQueueResponse{Pollers: append([]*taskqueuepb.PollerInfo{}, s.pollers...)}, nil
}

// off is a clock that is so far ahead.
func off(by time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(by) }
}

func TestAnOffsetIsMeasuredBothWays(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{0, 20 * time.Second, -20 * time.Second, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			o, err := serverclock.Measure(t.Context(), serverclock.Options{Server: &server{takes: 10 * time.Millisecond}, TaskQueue: "volley", Now: off(by)})
			require.NoError(t, err)
			require.InDelta(t, by.Seconds(), o.Ahead.Seconds(), (o.Within + time.Millisecond).Seconds())
			require.Less(t, o.Within, 100*time.Millisecond)
			require.Equal(t, by.Abs() > serverclock.Tolerance, o.Off())
		})
	}
}

func TestAClockThatIsOffTellsTheServersTimeAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var by atomic.Int64
		by.Store(int64(-20 * time.Second))
		core, logged := observer.New(zap.InfoLevel)
		c := serverclock.New(serverclock.Options{
			Server: &server{takes: 10 * time.Millisecond}, TaskQueue: "volley", Log: zap.New(core),
			Now: func() time.Time { return time.Now().Add(time.Duration(by.Load())) },
		})
		require.Equal(t, time.Now().Add(-20*time.Second), c.Now(), "nothing is known yet")
		ctx, stop := context.WithCancel(t.Context())
		c.Correct(ctx)
		require.WithinDuration(t, time.Now(), c.Now(), 50*time.Millisecond)
		var wg sync.WaitGroup
		wg.Go(func() { c.Follow(ctx) })
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, logged.Len())
		require.Contains(t, logged.All()[0].Message, "20.0 s behind Temporal's")

		by.Store(int64(time.Second))
		time.Sleep(time.Minute)
		require.Equal(t, time.Now().Add(time.Second), c.Now(), "a second is nothing to correct")
		require.Equal(t, 2, logged.Len())
		require.Equal(t, "the clock of this machine is right again", logged.All()[1].Message)
		stop()
		wg.Wait()
	})
}

func TestWhatCannotBeMeasuredChangesNothing(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*server{
		"the server tells of no pollers": {silent: true},
		"polls are refused":              {fails: errors.New("no")},
		"the server takes seconds":       {takes: 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				core, logged := observer.New(zap.InfoLevel)
				c := serverclock.New(serverclock.Options{Server: s, TaskQueue: "volley", Now: off(20 * time.Second), Log: zap.New(core)})
				c.Correct(t.Context())
				require.Equal(t, time.Now().Add(20*time.Second), c.Now())
				require.Zero(t, logged.Len())
			})
		})
	}
}
