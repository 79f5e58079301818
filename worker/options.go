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
	// groupMessages is how many messages a group has at most, and groupSeconds how
	// long its messages take at an account's rate.
	groupMessages = 500
	groupSeconds  = 5
	// slack is how much more than an account's rate the server lets its groups
	// begin. The processes' own shares hold the rate; this is for the moments in
	// which they do not know of each other.
	slack = 1.25
)

// common is what all workers of a process have in common.
type common struct {
	identity string
	drain    time.Duration
	died     func(error)
}

func (c common) fill(o *sdk.Options) {
	o.Identity, o.WorkerStopTimeout, o.OnFatalError = c.identity, c.drain, c.died
	o.DisableRegistrationAliasing = true
}

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

// SendOptions are how the worker of an account's attempts runs.
func SendOptions(a provider.Account) sdk.Options {
	// The server keeps the rate across all workers that poll the queue.
	return accountOptions(concurrency(a), a.Rate)
}

// GroupOptions are how the worker of an account's groups runs: at least eight at
// once, since each waits for the server to take its heartbeats, and otherwise twice
// as many as keep the account's concurrency in use. A rate needs fewer.
func GroupOptions(a provider.Account) sdk.Options {
	least := 8
	if a.Rate > 0 {
		least = 4
	}
	size := max(least, int(math.Ceil(2*float64(concurrency(a))/100)))
	return accountOptions(size, slack*a.Rate/min(groupMessages, max(1, a.Rate*groupSeconds)))
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

// setStickyCache sets the process-wide cache once: the SDK takes the size at the
// first worker and never again.
var setStickyCache = func() func(int) {
	var once sync.Once
	return func(n int) {
		once.Do(func() {
			switch {
			case n == 0:
				n = defaultStickyCache
			case n < 0:
				n = 0
			}
			sdk.SetStickyWorkflowCacheSize(n)
		})
	}
}()
