package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"volley/internal/message"
	"volley/workflows/contract"
)

// queue is a task queue.
type queue struct {
	name string
	kind enumspb.TaskQueueType
}

// queueState is who polls a queue, and what waits there.
type queueState struct {
	workers, waiting int
	// last is how long ago it was polled; a worker polls once a minute when there is nothing
	// to do, so one that died within that minute still counts.
	last time.Duration
	// idle is the version of the workers that poll it where none of them gets anything, as
	// another version is current; empty is that one does.
	idle string
}

// Queues looks who polls the queues of workflows and of accounts. One that nobody polls is
// wrong where tasks wait on it.
func Queues(p Place, taskQueue string, accounts []string, now func() time.Time) Check {
	const name = "workers"
	const current = "temporal worker deployment set-current-version, or set-ramping-version"
	return Check{name, func(ctx context.Context) []Finding {
		all := []queue{
			{taskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW},
			{taskQueue, enumspb.TASK_QUEUE_TYPE_ACTIVITY},
			{contract.NotifyQueue(taskQueue), enumspb.TASK_QUEUE_TYPE_ACTIVITY},
			{contract.HoldsQueue(taskQueue), enumspb.TASK_QUEUE_TYPE_ACTIVITY},
		}
		for _, account := range accounts {
			all = append(all, queue{contract.SendQueue(account), enumspb.TASK_QUEUE_TYPE_ACTIVITY}, queue{contract.GroupQueue(account), enumspb.TASK_QUEUE_TYPE_ACTIVITY})
		}
		var found []Finding
		var idle []string
		most := 0
		var longest time.Duration
		oldest := ""
		for _, q := range all {
			s, err := p.look(ctx, q, now())
			if err != nil {
				return append(found, warning(name, "", "queue %s cannot be looked at: %s", q.name, plain(err)))
			}
			most = max(most, s.workers)
			if s.workers > 0 && (oldest == "" || s.last > longest) {
				longest, oldest = s.last, q.name
			}
			waiting := message.Plural(s.waiting, "waiting task")
			switch {
			case s.idle != "" && s.waiting > 0:
				found = append(found, wrong(name, current, "%s on queue %s, which only %s polls: that is not the current version", waiting, q.name, s.idle))
			case s.idle != "":
				found = append(found, warning(name, current, "only %s polls queue %s, and it gets nothing: it is not the current version", s.idle, q.name))
			case s.workers == 0 && s.waiting > 0:
				found = append(found, wrong(name, "start a worker whose config has it: volley worker", "%s on queue %s, which nobody serves", waiting, q.name))
			case s.workers == 0:
				idle = append(idle, q.name)
			}
		}
		if len(idle) > 0 {
			found = append(found, warning(name, "volley worker", "nobody serves %s; nothing waits there", strings.Join(idle, ", ")))
		}
		if len(found) == 0 {
			found = append(found, ok(name, "%s, every queue was polled within a minute (%s %d s ago)", message.Plural(most, "worker"), oldest, max(0, int(longest.Seconds()))))
		}
		return found
	}}
}

// look is how a queue stands.
func (p Place) look(ctx context.Context, q queue, now time.Time) (s queueState, err error) {
	res, err := p.Service.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: p.Namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: q.name}, TaskQueueType: q.kind, ReportStats: true,
	})
	if err != nil {
		return s, err
	}
	there := map[string]bool{}
	var without []string
	active := false
	s.last = polled
	for _, x := range res.GetPollers() {
		ago := now.Sub(x.GetLastAccessTime().AsTime())
		if ago > polled {
			continue
		}
		there[x.GetIdentity()] = true
		s.last = min(s.last, ago)
		if version := versionOf(x); getsTasks(x, res.GetVersioningInfo()) {
			active = true
		} else if !slices.Contains(without, version) {
			without = append(without, version)
		}
	}
	if s.workers = len(there); s.workers > 0 && !active {
		s.idle = strings.Join(without, " and ")
	}
	s.waiting = int(res.GetStats().GetApproximateBacklogCount())
	return s, nil
}

// versionOf names the version of a worker.
func versionOf(x *taskqueuepb.PollerInfo) string {
	o := x.GetDeploymentOptions()
	return fmt.Sprintf("build %s of deployment %s", o.GetBuildId(), o.GetDeploymentName())
}

// getsTasks reports whether a worker gets tasks: one without a version does, and one of the
// current or the ramping version.
func getsTasks(x *taskqueuepb.PollerInfo, v *taskqueuepb.TaskQueueVersioningInfo) bool {
	o := x.GetDeploymentOptions()
	if o.GetWorkerVersioningMode() != enumspb.WORKER_VERSIONING_MODE_VERSIONED {
		return v.GetCurrentDeploymentVersion() == nil
	}
	current, ramping := v.GetCurrentDeploymentVersion(), v.GetRampingDeploymentVersion()
	return current.GetBuildId() == o.GetBuildId() && current.GetDeploymentName() == o.GetDeploymentName() ||
		ramping.GetBuildId() == o.GetBuildId() && ramping.GetDeploymentName() == o.GetDeploymentName()
}
