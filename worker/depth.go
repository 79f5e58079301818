package worker

import (
	"context"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"volley/workflows/contract"
)

const (
	// depthEvery is how often a worker measures the queues.
	depthEvery = 15 * time.Second
	// depthPause is between two questions about queues, so that the server has at most 20
	// a second of them from a worker.
	depthPause = 50 * time.Millisecond
)

// depths measures how much waits in the queues of the accounts. Every worker that has an
// account measures the same, for all workers.
type depths struct {
	server    server
	namespace string
	accounts  []string
	metrics   client.MetricsHandler
}

// watch measures until ctx ends.
func (d *depths) watch(ctx context.Context) {
	if d.metrics == nil || len(d.accounts) == 0 {
		return
	}
	for {
		for _, account := range d.accounts {
			d.measure(ctx, account)
			if !pause(ctx, depthPause) {
				return
			}
		}
		if !pause(ctx, depthEvery) {
			return
		}
	}
}

// measure tells how many attempts and groups of an account wait at the server, and how
// long the first of them has. Where the server does not answer, what was told last stays.
func (d *depths) measure(ctx context.Context, account string) {
	ctx, cancel := context.WithTimeout(ctx, shareWait)
	defer cancel()
	depth, age := int64(0), time.Duration(0)
	for _, queue := range []string{contract.SendQueue(account), contract.GroupQueue(account)} {
		res, err := d.server.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: d.namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportStats: true,
		})
		if err != nil {
			return
		}
		depth += res.GetStats().GetApproximateBacklogCount()
		age = max(age, res.GetStats().GetApproximateBacklogAge().AsDuration())
	}
	of := d.metrics.WithTags(map[string]string{"account": account})
	of.Gauge("volley_queue_depth").Update(float64(depth))
	of.Gauge("volley_queue_age_seconds").Update(age.Seconds())
}
