package health_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"volley/internal/announce"
	"volley/internal/health"
)

// temporal remembers when was polled under each text, but for every second time: these came to
// another partition.
type temporal struct {
	mu    sync.Mutex
	polls map[string]time.Time
	times map[string]int
}

func (s *temporal) PollActivityTaskQueue(ctx context.Context, r *workflowservice.PollActivityTaskQueueRequest, _ ...grpc.CallOption) (*workflowservice.PollActivityTaskQueueResponse, error) {
	s.mu.Lock()
	if s.polls == nil {
		s.polls, s.times = map[string]time.Time{}, map[string]int{}
	}
	if s.times[r.GetIdentity()]++; s.times[r.GetIdentity()]%2 == 0 {
		s.polls[r.GetIdentity()] = time.Now()
	}
	s.mu.Unlock()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *temporal) DescribeTaskQueue(context.Context, *workflowservice.DescribeTaskQueueRequest, ...grpc.CallOption) (*workflowservice.DescribeTaskQueueResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res := &workflowservice.DescribeTaskQueueResponse{}
	for identity, at := range s.polls {
		res.Pollers = append(res.Pollers, &taskqueuepb.PollerInfo{Identity: identity, LastAccessTime: timestamppb.New(at)})
	}
	return res, nil
}

// texts are those under which was polled so far.
func (s *temporal) texts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.polls))
}

// process is how a process that can be killed reaches the server.
type process struct {
	*temporal
	dead atomic.Bool
	end  func()
}

func (p *process) PollActivityTaskQueue(ctx context.Context, r *workflowservice.PollActivityTaskQueueRequest, o ...grpc.CallOption) (*workflowservice.PollActivityTaskQueueResponse, error) {
	if p.dead.Load() {
		return nil, errors.New("killed")
	}
	return p.temporal.PollActivityTaskQueue(ctx, r, o...)
}

// kill ends a process that can say nothing of it.
func (p *process) kill() {
	p.dead.Store(true)
	p.end()
}

// start publishes the figures of a recorder.
func (s *temporal) start(name string, r *health.Recorder) *process {
	p := &process{temporal: s}
	publisher := health.Publisher{Recorder: r, Server: p, Namespace: "default", TaskQueue: "q", Process: name}
	p.end = sync.OnceFunc(publisher.Start(context.Background()))
	return p
}

func read(t *testing.T, s *temporal) map[string]health.Account {
	t.Helper()
	all, err := health.Read(t.Context(), s, "default", "q", time.Now())
	require.NoError(t, err)
	return all
}

// fail makes n requests that fail.
func fail(r *health.Recorder, account, code string, n int) {
	for range n {
		r.Began(account)(code)
	}
}

func TestFiguresOfAllProcessesAddUpAndGoAwayWithTheirProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &temporal{}
		first, second, gateway := health.NewRecorder(nil, "a", "b"), health.NewRecorder(nil, "a"), health.NewRecorder(nil)
		p1, p2, p3 := s.start("w1", first), s.start("w2", second), s.start("g", gateway)
		defer p1.end()
		defer p2.end()
		time.Sleep(10 * time.Second)
		all := read(t, s)
		require.Len(t, all, 2)
		require.True(t, all["a"].Sends)
		require.Zero(t, all["a"].InFlight)
		require.Empty(t, all["a"].Errors)
		require.Zero(t, all["a"].Reported, "nobody knows")

		began := time.Now()
		first.Began("a")
		first.Began("a")
		second.Began("a")
		fail(first, "a", "http_500", 2)
		fail(second, "a", "http_500", 3)
		fail(second, "a", "timeout", 1)
		first.Probed("a", true)
		gateway.Reported("a")
		gateway.Reported("c")
		time.Sleep(20 * time.Second)
		all = read(t, s)
		a := all["a"]
		require.Equal(t, 3, a.InFlight)
		require.True(t, a.Unavailable)
		require.Equal(t, []health.Error{{Code: "http_500", Count: 5, Last: began.Truncate(time.Millisecond).UTC()}, {Code: "timeout", Count: 1, Last: began.Truncate(time.Millisecond).UTC()}}, a.Errors)
		require.WithinDuration(t, began, a.Reported, time.Millisecond)
		require.WithinDuration(t, time.Now(), a.AsOf, 20*time.Second)
		require.Zero(t, all["b"].InFlight)
		require.False(t, all["c"].Sends, "of what a gateway alone knows only the report is known")

		second.Probed("a", false)
		time.Sleep(20 * time.Second)
		require.False(t, read(t, s)["a"].Unavailable, "the last probe counts, whoever made it")

		p1.kill()
		time.Sleep(71 * time.Second)
		all = read(t, s)
		require.Equal(t, 1, all["a"].InFlight)
		require.Equal(t, 3, all["a"].Errors[0].Count)
		require.NotContains(t, all, "b", "nobody who lives knows of it")
		p3.end()
		all = read(t, s)
		require.NotContains(t, all, "c", "who ends says so at once")
		require.Zero(t, all["a"].Reported)
	})
}

func TestErrorsCountForAnHourAndAnOpenBreakerUntilNobodyProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &temporal{}
		r := health.NewRecorder(nil, "a")
		defer s.start("w", r).end()
		fail(r, "a", "old", 7)
		r.Probed("a", true)
		time.Sleep(30 * time.Minute)
		fail(r, "a", "new", 2)
		require.False(t, read(t, s)["a"].Unavailable)
		time.Sleep(29 * time.Minute)
		fail(r, "a", "new", 1)
		time.Sleep(20 * time.Second)
		require.Equal(t, []string{"old 7", "new 3"}, codes(read(t, s)["a"]))
		time.Sleep(2 * time.Minute)
		require.Equal(t, []string{"new 3"}, codes(read(t, s)["a"]))
		time.Sleep(29 * time.Minute)
		require.Equal(t, []string{"new 1"}, codes(read(t, s)["a"]))
		time.Sleep(2 * time.Hour)
		fail(r, "a", "new", 1)
		time.Sleep(20 * time.Second)
		require.Equal(t, []string{"new 1"}, codes(read(t, s)["a"]))
	})
}

func codes(a health.Account) (all []string) {
	for _, e := range a.Errors {
		all = append(all, fmt.Sprint(e.Code, " ", e.Count))
	}
	return all
}

// However many accounts, codes and letters there are, the texts are no longer than Temporal
// takes, and all that matters is in them.
func TestManyAccountsAreToldInSeveralTexts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &temporal{}
		var names []string
		for i := range 60 {
			names = append(names, fmt.Sprintf("%02d-%s", i, strings.Repeat("n", 61)))
		}
		r := health.NewRecorder(nil, names...)
		for _, name := range names {
			for code := range 60 {
				fail(r, name, fmt.Sprintf("%02d%s", code, strings.Repeat("c", 62)), 2)
			}
		}
		fail(r, names[0], "worst", 1000)
		p := s.start(strings.Repeat("<h>", 100), r)
		defer p.end()
		time.Sleep(time.Minute)
		all := read(t, s)
		require.Len(t, all, 60)
		for _, name := range names[1:] {
			require.Len(t, all[name].Errors, 6)
			require.Equal(t, "other", all[name].Errors[0].Code)
			total := 0
			for _, e := range all[name].Errors {
				total += e.Count
			}
			require.Equal(t, 120, total, "none is lost")
		}
		first := s.texts()
		for _, text := range first {
			require.LessOrEqual(t, len(text), announce.MaxText)
		}
		time.Sleep(10 * time.Minute)
		require.Equal(t, first, s.texts(), "what does not change is published under the same texts")
		r.Began(names[0])
		time.Sleep(time.Minute)
		all = read(t, s)
		require.Len(t, all, 60)
		require.Equal(t, 1, all[names[0]].InFlight)
	})
}
