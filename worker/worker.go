package worker

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"volley/activities"
	"volley/internal/provider"
	"volley/workflows"
)

const (
	defaultDrain       = 30 * time.Second
	defaultStickyCache = 1_000
	defaultConcurrency = 64
	// deadlock is how long a workflow may think without yielding. A worker that
	// replays many batches at once on few cores makes each of them slow.
	deadlock = 5 * time.Second
)

// Options configure a Worker. The zero value is usable.
type Options struct {
	// TaskQueue is the workflows' queue; empty is workflows.TaskQueue.
	TaskQueue string
	// StickyCache is how many workflows stay in memory between their tasks, for
	// the whole process; 0 is 1,000, negative is none. The first Worker of a
	// process decides.
	StickyCache int
	// Drain is how long attempts under way may take to end when the worker stops;
	// 0 is 30 s.
	Drain time.Duration
	// Log is where the worker says what it does; nil is nowhere.
	Log *zap.Logger
}

// Worker is the workers of one process.
type Worker struct {
	parts []sdk.Worker
	fatal chan error
	log   *zap.Logger
}

// RegisterWorkflows makes the workflows known under the names that stand in
// histories. The process, the tests and the replayer all use it.
func RegisterWorkflows(r sdk.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(workflows.SendBatch, workflow.RegisterOptions{Name: workflows.SendBatchName})
}

// RegisterActivities does the same for the activities.
func RegisterActivities(r sdk.ActivityRegistry, a *activities.Activities) {
	r.RegisterActivityWithOptions(a.Send, activity.RegisterOptions{Name: workflows.SendName})
	r.RegisterActivityWithOptions(a.Reconcile, activity.RegisterOptions{Name: workflows.ReconcileName})
}

// New prepares the workers for the accounts of a registry; Run starts them.
func New(c client.Client, accounts *provider.Registry, o Options) (*Worker, error) {
	if o.TaskQueue == "" {
		o.TaskQueue = workflows.TaskQueue
	}
	if o.Drain <= 0 {
		o.Drain = defaultDrain
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	setStickyCache(o.StickyCache)

	w := &Worker{fatal: make(chan error, 1), log: o.Log}
	acts := activities.New(accounts, limits(accounts.Accounts()))
	batches := sdk.New(c, o.TaskQueue, sdk.Options{
		LocalActivityWorkerOnly:                true,
		MaxConcurrentWorkflowTaskExecutionSize: max(4, 2*runtime.GOMAXPROCS(0)),
		DeadlockDetectionTimeout:               deadlock,
		WorkflowTaskPollerBehavior:             sdk.NewPollerBehaviorAutoscaling(sdk.PollerBehaviorAutoscalingOptions{}),
		WorkerStopTimeout:                      o.Drain,
		DisableRegistrationAliasing:            true,
		OnFatalError:                           w.died,
	})
	RegisterWorkflows(batches)
	w.parts = append(w.parts, batches)
	for _, a := range accounts.Accounts() {
		sends := sdk.New(c, workflows.SendQueue(a.Name), SendOptions(a, o.Drain, w.died))
		RegisterActivities(sends, acts)
		w.parts = append(w.parts, sends)
	}
	return w, nil
}

// SendOptions are how the worker of an account's attempts runs.
func SendOptions(a provider.Account, drain time.Duration, died func(error)) sdk.Options {
	concurrency := a.Concurrency
	if concurrency <= 0 {
		concurrency = defaultConcurrency
	}
	return sdk.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: concurrency,
		// The server keeps the rate across all workers that poll the queue.
		TaskQueueActivitiesPerSecond: a.Rate,
		ActivityTaskPollerBehavior: sdk.NewPollerBehaviorAutoscaling(sdk.PollerBehaviorAutoscalingOptions{
			MaximumNumberOfPollers: min(concurrency, 100),
		}),
		WorkerStopTimeout:           drain,
		DisableRegistrationAliasing: true,
		OnFatalError:                died,
	}
}

// Run starts the workers and serves until ctx ends, then drains: nothing new is
// taken, and attempts under way may end. It fails when a worker cannot go on.
func (w *Worker) Run(ctx context.Context) error {
	started := 0
	defer func() { w.stop(started) }()
	for _, p := range w.parts {
		if err := p.Start(); err != nil {
			return fmt.Errorf("start worker: %w", err)
		}
		started++
	}
	w.log.Info("worker runs", zap.Int("accounts", len(w.parts)-1))
	select {
	case <-ctx.Done():
		w.log.Info("worker drains")
		return nil
	case err := <-w.fatal:
		return fmt.Errorf("worker stopped: %w", err)
	}
}

func (w *Worker) stop(started int) {
	var wg sync.WaitGroup
	for _, p := range w.parts[:started] {
		wg.Go(p.Stop)
	}
	wg.Wait()
}

func (w *Worker) died(err error) {
	select {
	case w.fatal <- err:
	default:
	}
}

// limits spaces each account's requests within this process: the server lets a
// whole second's worth through at once.
func limits(accounts []provider.Account) map[string]*rate.Limiter {
	l := map[string]*rate.Limiter{}
	for _, a := range accounts {
		if a.Rate > 0 {
			l[a.Name] = rate.NewLimiter(rate.Limit(a.Rate), max(1, int(a.Rate/20)))
		}
	}
	return l
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
