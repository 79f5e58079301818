package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
)

// backlogs answers for queues by name; one that it does not know it does not answer for.
type backlogs struct {
	server
	stats map[string]*taskqueuepb.TaskQueueStats
}

func (q backlogs) DescribeTaskQueue(
	_ context.Context, in *workflowservice.DescribeTaskQueueRequest, _ ...grpc.CallOption,
) (*workflowservice.DescribeTaskQueueResponse, error) {
	stats, ok := q.stats[in.GetTaskQueue().GetName()]
	if !ok || !in.GetReportStats() {
		return nil, errors.New("away")
	}
	return &workflowservice.DescribeTaskQueueResponse{Stats: stats}, nil
}

// It is internal because a worker measures beside its work, from what a server tells.
func TestWhatWaitsForAnAccountIsMeasured(t *testing.T) {
	t.Parallel()
	waits := func(n int64, age time.Duration) *taskqueuepb.TaskQueueStats {
		return &taskqueuepb.TaskQueueStats{ApproximateBacklogCount: n, ApproximateBacklogAge: durationpb.New(age)}
	}
	g := gauges{values: map[string]float64{}}
	d := &depths{metrics: g, server: backlogs{stats: map[string]*taskqueuepb.TaskQueueStats{
		"volley-send-a": waits(7, time.Second), "volley-group-a": waits(2, 90*time.Second), "volley-send-b": waits(1, 0),
	}}}
	d.measure(t.Context(), "a")
	d.measure(t.Context(), "b") // its groups' queue does not answer
	require.Equal(t, map[string]float64{"volley_queue_depth a": 9, "volley_queue_age_seconds a": 90}, g.values)
}
