package worker

import (
	"math"
	"runtime"
	"sync"
	"time"

	sdk "go.temporal.io/sdk/worker"

	"volley/internal/provider"
)

const (
	defaultDrain       = 30 * time.Second
	defaultStickyCache = 1_000
	defaultConcurrency = 64
	// deadlock is how long a workflow may think without yielding. A worker that
	// replays many batches at once on few cores makes each of them slow.
	deadlock = 5 * time.Second
	// minTasks and tasksPerCore are how many workflow tasks, queries among them, are
	// worked on at once. Most of a task's time it waits for the server to take its
	// answer.
	minTasks     = 16
	tasksPerCore = 8
	// storeConcurrency is how many activities read or write the store at once. Each
	// may hold a segment in memory.
	storeConcurrency = 16
	// notifyConcurrency is how many batches' callbacks are delivered at once. Most of
	// that time they wait for endpoints.
	notifyConcurrency = 100
	// awaitConcurrency is how many batches wait for releases at once in one process.
	awaitConcurrency = 5_000
	// leastGroups is how many groups of an account with a rate may have messages to
	// start in one process at once: one whose turn it is, and one so that its end is
	// no pause. Above groupsRate there are more, one for so much of it.
	leastGroups = 2
	groupsRate  = 500
	// leastMessages is the same of single messages. It takes up to handout from one
	// that leaves until the server has given the next.
	leastMessages = 4
	handout       = 100 * time.Millisecond
	// ratedGroups is how many groups of such an account one process has at most. All
	// but the starting ones wait for slow answers.
	ratedGroups = 64
)

// batchOptions are how the worker of the workflows and of the store runs.
func batchOptions() sdk.Options {
	return sdk.Options{
		MaxConcurrentWorkflowTaskExecutionSize: max(minTasks, tasksPerCore*runtime.GOMAXPROCS(0)),
		MaxConcurrentActivityExecutionSize:     storeConcurrency,
		DeadlockDetectionTimeout:               deadlock,
		WorkflowTaskPollerBehavior:             sdk.NewPollerBehaviorAutoscaling(sdk.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior: sdk.NewPollerBehaviorAutoscaling(sdk.PollerBehaviorAutoscalingOptions{
			InitialNumberOfPollers: 2, MaximumNumberOfPollers: storeConcurrency,
		}),
	}
}

// awaitOptions are how the worker of those that wait for a release runs. They take up
// next to nothing.
func awaitOptions() sdk.Options {
	return sdk.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: awaitConcurrency,
		ActivityTaskPollerBehavior:         sdk.NewPollerBehaviorAutoscaling(sdk.PollerBehaviorAutoscalingOptions{}),
	}
}

// SendOptions are how the worker of an account's attempts runs.
func SendOptions(a provider.Account) sdk.Options {
	// The server keeps the rate across all workers that poll the queue.
	return accountOptions(concurrency(a), a.Rate)
}

// GroupOptions are how the worker of an account's groups runs: at least eight at
// once, since each waits for the server to take its heartbeats, and otherwise twice
// as many as keep the account's concurrency in use. With a rate, slots decide; a
// poll at a time has the server hand groups out to workers by turns.
func GroupOptions(a provider.Account) sdk.Options {
	if a.Rate > 0 {
		return sdk.Options{
			DisableWorkflowWorker:              true,
			MaxConcurrentActivityExecutionSize: ratedGroups,
			MaxConcurrentActivityTaskPollers:   (startingGroups(a) + 1) / 2,
		}
	}
	return accountOptions(max(8, int(math.Ceil(2*float64(concurrency(a))/100))), 0)
}

// startingGroups is how many groups of an account with a rate may have messages to
// start at once.
func startingGroups(a provider.Account) int {
	return max(leastGroups, int(min(ratedGroups, math.Ceil(a.Rate/groupsRate))))
}

// startingMessages is how many single messages of it may wait for their turn.
func startingMessages(a provider.Account) int {
	return max(leastMessages, int(min(float64(concurrency(a)), math.Ceil(a.Rate*handout.Seconds()))))
}

func accountOptions(size int, rate float64) sdk.Options {
	return sdk.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: size,
		TaskQueueActivitiesPerSecond:       rate,
		ActivityTaskPollerBehavior: sdk.NewPollerBehaviorAutoscaling(sdk.PollerBehaviorAutoscalingOptions{
			MaximumNumberOfPollers: min(size, 100),
		}),
	}
}

func concurrency(a provider.Account) int {
	if a.Concurrency <= 0 {
		return defaultConcurrency
	}
	return a.Concurrency
}

// stickyCache is set once in a process: the SDK takes the size at the first worker and
// never again.
var stickyCache sync.Once

func setStickyCache(n int) {
	if n == 0 {
		n = defaultStickyCache
	}
	sdk.SetStickyWorkflowCacheSize(max(n, 0))
}
