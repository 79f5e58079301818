package activities_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"volley/activities"
	"volley/internal/health"
	"volley/internal/provider"
	"volley/workflows/contract"
)

func TestHealthCountsAnswersAndBelievesProbes(t *testing.T) {
	t.Parallel()
	recorder := health.NewRecorder(nil, "hook")
	do := func(in contract.SendInput, s provider.Sender) {
		_, err := execute(t, environment{}, activities.New(activities.Options{Senders: accounts{"hook": s}, Health: recorder}).Send, in)
		require.NoError(t, err)
	}
	server := &poller{}
	now := func() health.Account {
		publisher := health.Publisher{Recorder: recorder, Server: server, TaskQueue: "q", Process: "p"}
		server.polls = nil
		stop := publisher.Start(t.Context())
		defer stop()
		require.Eventually(t, func() bool { return len(server.seen()) > 0 }, time.Minute, time.Millisecond)
		all, err := health.Read(t.Context(), server, "", "q", time.Now())
		require.NoError(t, err)
		return all["hook"]
	}
	down := refusing(&provider.Error{Kind: provider.Unavailable, Code: "http_503"})
	do(input(), down)
	do(input(), refusing(&provider.Error{Kind: provider.Ambiguous}))
	a := now()
	require.False(t, a.Unavailable, "no batch has its breaker open")
	require.Len(t, a.Errors, 2)
	require.Equal(t, "ambiguous", a.Errors[0].Code, "which has no code of its own")
	require.Equal(t, "http_503", a.Errors[1].Code)
	require.Zero(t, a.InFlight)

	probe := input()
	probe.Breaker = true
	do(probe, down)
	require.True(t, now().Unavailable)
	over := probe
	over.Expires = 1
	do(over, &sender{})
	require.True(t, now().Unavailable, "it was not asked")
	do(probe, refusing(&provider.Error{Kind: provider.Rejected, Code: "no"}))
	require.False(t, now().Unavailable, "it answers")
}

// poller remembers who polled.
type poller struct {
	mu    sync.Mutex
	polls []*taskqueuepb.PollerInfo
}

func (p *poller) PollActivityTaskQueue(ctx context.Context, r *workflowservice.PollActivityTaskQueueRequest, _ ...grpc.CallOption) (*workflowservice.PollActivityTaskQueueResponse, error) {
	p.mu.Lock()
	p.polls = append(p.polls, &taskqueuepb.PollerInfo{Identity: r.GetIdentity(), LastAccessTime: timestamppb.Now()})
	p.mu.Unlock()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (p *poller) seen() []*taskqueuepb.PollerInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.polls)
}

func (p *poller) DescribeTaskQueue(context.Context, *workflowservice.DescribeTaskQueueRequest, ...grpc.CallOption) (*workflowservice.DescribeTaskQueueResponse, error) {
	return &workflowservice.DescribeTaskQueueResponse{Pollers: p.seen()}, nil
}
