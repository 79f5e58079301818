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
	workerpb "go.temporal.io/api/worker/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// queues answer with the pollers of a queue, by when they last polled, and with the
// workers that have stopped.
type queues struct {
	mu      sync.Mutex
	pollers map[string]map[string]time.Time
	stopped []string
	// err is the answer to all, unlisted to who asks for workers.
	err, unlisted error
}

func (q *queues) DescribeTaskQueue(
	_ context.Context, req *workflowservice.DescribeTaskQueueRequest, _ ...grpc.CallOption,
) (*workflowservice.DescribeTaskQueueResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	res := &workflowservice.DescribeTaskQueueResponse{}
	if req.GetNamespace() != "space" || req.GetTaskQueueType() != enumspb.TASK_QUEUE_TYPE_ACTIVITY {
		return nil, errors.New("not a queue of activities")
	}
	for name, at := range q.pollers[req.GetTaskQueue().GetName()] {
		for range 3 { // a worker polls more than once
			res.Pollers = append(res.Pollers, &taskqueuepb.PollerInfo{Identity: name, LastAccessTime: timestamppb.New(at)})
		}
	}
	return res, q.err
}

func (q *queues) ListWorkers(
	_ context.Context, req *workflowservice.ListWorkersRequest, _ ...grpc.CallOption,
) (*workflowservice.ListWorkersResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if req.GetNamespace() != "space" || req.GetQuery() != "WorkerStatus = 'ShuttingDown' AND TaskQueue = 'volley-send-hook'" {
		return nil, errors.New("not who has stopped")
	}
	res := &workflowservice.ListWorkersResponse{}
	for _, name := range q.stopped {
		res.Workers = append(res.Workers, &workerpb.WorkerListInfo{WorkerIdentity: name})
	}
	return res, q.unlisted
}

func (q *queues) change(do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	do()
}

// account notes what is done to the one account.
type account struct {
	mu   sync.Mutex
	said []string
}

func (a *account) say(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, what)
}

func (a *account) Share(name string, n int) { a.say(fmt.Sprint(name, " ", n)) }
func (a *account) Hold(name string)         { a.say(name + " held") }
func (a *account) Release(name string)      { a.say(name + " released") }

// since is what was done since the last call.
func (a *account) since() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.said = nil }()
	return a.said
}

func newShares(q *queues) (*shares, *account) {
	a := &account{}
	return &shares{server: q, namespace: "space", sharer: a, identity: "me", accounts: []string{"hook"}, log: zap.NewNop(), counts: map[string]int{}}, a
}

func TestARateIsSharedAmongThoseThatPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		hook := map[string]time.Time{"other": now, "third": now.Add(-70 * time.Second), "gone": now.Add(-71 * time.Second)}
		q := &queues{pollers: map[string]map[string]time.Time{"volley-send-hook": hook}}
		s, a := newShares(q)
		s.updateAll(t.Context())
		require.Equal(t, []string{"hook 3"}, a.since(), "with this one, which does not poll yet")

		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		q.change(func() { hook["me"], hook["third"] = now, now.Add(-69*time.Second) })
		wg.Go(func() { s.watch(ctx) })
		time.Sleep(1900 * time.Millisecond)
		require.Empty(t, a.since())
		time.Sleep(200 * time.Millisecond)
		require.Equal(t, []string{"hook 2"}, a.since(), "the third has not polled again")
		time.Sleep(time.Second)
		require.Equal(t, []string{"hook released"}, a.since())
		q.change(func() { q.err = errors.New("away") })
		time.Sleep(100 * time.Second)
		require.Empty(t, a.since(), "what was known last holds")
		q.change(func() { q.err, hook["me"] = nil, time.Now() })
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"hook 1"}, a.since())
		stop()
		wg.Wait()
	})
}

func TestAWorkerThatHasStoppedIsOutOfTheShareAtTheNextLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		q := &queues{pollers: map[string]map[string]time.Time{"volley-send-hook": {"me": now, "other": now, "third": now}}}
		s, a := newShares(q)
		s.updateAll(t.Context())
		require.Equal(t, []string{"hook 3"}, a.since())
		q.stopped = []string{"other", "long gone"}
		s.updateAll(t.Context())
		require.Equal(t, []string{"hook 2"}, a.since())
		q.unlisted = errors.New("unimplemented")
		s.updateAll(t.Context())
		require.Equal(t, []string{"hook 3"}, a.since(), "a server that lists no workers says who polled")
		time.Sleep(polled + time.Second)
		s.updateAll(t.Context())
		require.Equal(t, []string{"hook 1"}, a.since())
	})
}

func TestAWorkerThatTakesOverFromOneThatStoppedSendsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		q := &queues{pollers: map[string]map[string]time.Time{"volley-send-hook": {"me": now, "before": now}}, stopped: []string{"before"}}
		s, a := newShares(q)
		s.hold()
		began := time.Now()
		s.join(t.Context(), "hook")
		require.Equal(t, []string{"hook held", "hook 1", "hook released"}, a.since())
		require.Zero(t, time.Since(began))
	})
}

func TestAWorkerThatComesSendsNothingUntilTheOthersKnow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		others    map[string]bool
		seenAfter time.Duration
		err       error
		sendsIn   time.Duration
	}{
		"alone, at once":                {nil, 0, nil, 0},
		"alone, when it sees itself":    {nil, 250 * time.Millisecond, nil, 300 * time.Millisecond},
		"with another, after its look":  {map[string]bool{"other": true}, 0, nil, 2500 * time.Millisecond},
		"unseen, but not forever":       {nil, time.Hour, nil, 10 * time.Second},
		"without an answer, not either": {nil, 0, errors.New("away"), 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hook := map[string]time.Time{}
				for other := range c.others {
					hook[other] = time.Now()
				}
				q := &queues{pollers: map[string]map[string]time.Time{"volley-send-hook": hook}, err: c.err}
				if c.seenAfter == 0 {
					hook["me"] = time.Now()
				}
				s, a := newShares(q)
				s.hold()
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() { s.watch(ctx) })
				wg.Go(func() {
					time.Sleep(c.seenAfter)
					q.change(func() { hook["me"] = time.Now() })
				})
				time.Sleep(max(0, c.sendsIn-time.Millisecond))
				synctest.Wait()
				if c.sendsIn > 0 {
					require.NotContains(t, a.since(), "hook released")
				}
				time.Sleep(2 * time.Millisecond)
				require.Contains(t, a.since(), "hook released")
				stop()
				wg.Wait()
			})
		})
	}
}

func TestManyAccountsAreLookedAtLessOften(t *testing.T) {
	t.Parallel()
	for n, every := range map[int]time.Duration{1: 2 * time.Second, 20: 4 * time.Second, 500: 10 * time.Second} {
		require.Equal(t, every, (&shares{accounts: make([]string, n)}).every())
	}
}

func TestWorkersWithoutRatesAskNobody(t *testing.T) {
	t.Parallel()
	s := &shares{}
	s.updateAll(t.Context())
	s.watch(t.Context())
}

func TestTwoWorkersOfAProcessHaveIdentitiesOfTheirOwn(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^7@host~[0-9a-f]{8}$`, identity("7@host"))
	one, other := identity("7@host"), identity("7@host")
	require.NotEqual(t, one, other)
	require.Regexp(t, `^\d+@.*~[0-9a-f]{8}$`, identity(""))
}
