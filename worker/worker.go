package worker

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"

	"volley/activities"
	"volley/internal/holdbook"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/workflows"
	"volley/workflows/contract"
)

// Options configure a Worker. The zero value is usable.
type Options struct {
	// Namespace is the client's; empty is "default".
	Namespace string
	// TaskQueue is the workflows' queue; empty is contract.TaskQueue.
	TaskQueue string
	// StickyCache is how many workflows stay in memory between their tasks, for
	// the whole process; 0 is 1,000, negative is none. The first Worker of a
	// process decides.
	StickyCache int
	// Drain is how long attempts under way may take to end when the worker stops;
	// 0 is 30 s.
	Drain time.Duration
	// Store holds large batches; nil is none, and every large batch is then one
	// that the store does not have.
	Store *store.Store
	// Reports brings delivery reports that come late to where they belong; nil is
	// nobody, and they wait for a worker that has it.
	Reports activities.ReportRouter
	// Segments reaches the segments of large batches, such as a starter.Starter; nil
	// leaves that to other workers.
	Segments activities.Segments
	// Callbacks posts the events of batches, and Changes reads them, such as
	// starter.Changes. Without both this worker delivers no callbacks.
	Callbacks activities.Poster
	Changes   activities.Changes
	// Identity names the process to Temporal; empty is its number and its host. A
	// Worker puts a suffix of its own behind it.
	Identity string
	// DataConverter is the client's; nil is the SDK's default. It reads what is held.
	DataConverter converter.DataConverter
	// Metrics counts what is held; nil is nobody.
	Metrics client.MetricsHandler
	// Log is where the worker says what it does; nil is nowhere.
	Log *zap.Logger
}

// Worker is the workers of one process.
type Worker struct {
	parts      []sdk.Worker
	activities *activities.Activities
	accounts   int
	shares     *shares
	holds      *holds
	identity   string
	fatal      chan error
	log        *zap.Logger
}

// RegisterWorkflows makes the workflows known under the names that stand in
// histories. The process, the tests and the replayer all use it.
func RegisterWorkflows(r sdk.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(workflows.SendBatch, workflow.RegisterOptions{Name: contract.SendBatchName})
	r.RegisterWorkflowWithOptions(workflows.SendSegment, workflow.RegisterOptions{Name: contract.SendSegmentName})
	r.RegisterWorkflowWithOptions(workflows.KeepReports, workflow.RegisterOptions{Name: contract.KeepReportsName})
	r.RegisterWorkflowWithOptions(workflows.HoldRedriven, workflow.RegisterOptions{Name: contract.HoldRedrivenName})
	r.RegisterWorkflowWithOptions(workflows.Holds, workflow.RegisterOptions{Name: contract.HoldsName})
	r.RegisterWorkflowWithOptions(workflows.Notify, workflow.RegisterOptions{Name: contract.NotifyName})
}

// RegisterActivities does the same for the activities. Every part of a worker
// knows all of them; which of them it runs, its queue decides.
func RegisterActivities(r sdk.ActivityRegistry, a *activities.Activities) {
	for _, x := range []struct {
		name string
		do   any
	}{
		{contract.SendName, a.Send},
		{contract.ReconcileName, a.Reconcile},
		{contract.GroupName, a.SendGroup},
		{contract.OpenName, a.Open},
		{contract.LoadName, a.Load},
		{contract.KeepName, a.Keep},
		{contract.CloseName, a.Close},
		{contract.CloseOutName, a.CloseOut},
		{contract.ControlSegmentsName, a.ControlSegments},
		{contract.CancelMessagesName, a.CancelMessages},
		{contract.BatchRunsName, a.BatchRuns},
		{contract.RouteName, a.RouteReports},
		{contract.DeliverName, a.Deliver},
		{contract.AwaitReleaseName, a.AwaitRelease},
	} {
		r.RegisterActivityWithOptions(x.do, activity.RegisterOptions{Name: x.name})
	}
}

// New prepares the workers for the accounts of a registry; Run starts them.
func New(c client.Client, accounts *provider.Registry, o Options) (*Worker, error) {
	o.Namespace, o.TaskQueue = cmp.Or(o.Namespace, client.DefaultNamespace), cmp.Or(o.TaskQueue, contract.TaskQueue)
	if o.Drain <= 0 {
		o.Drain = defaultDrain
	}
	o.Log = cmp.Or(o.Log, zap.NewNop())
	stickyCache.Do(func() { setStickyCache(o.StickyCache) })

	list := accounts.Accounts()
	acts := activities.New(activities.Options{
		Senders: accounts, Accounts: list, Store: o.Store, Heartbeats: c, Reports: o.Reports, Segments: o.Segments, Changes: o.Changes, Poster: o.Callbacks,
	})
	w := &Worker{activities: acts, fatal: make(chan error, 1), log: o.Log, identity: identity(o.Identity), accounts: len(list)}
	w.shares = &shares{
		server: c.WorkflowService(), namespace: o.Namespace, sharer: acts, identity: w.identity, log: o.Log, counts: map[string]int{},
	}
	w.holds = &holds{book: holdbook.New(c, o.TaskQueue, o.DataConverter), target: acts, metrics: o.Metrics, log: o.Log}
	add := func(queue string, options sdk.Options) sdk.Worker {
		options.Identity, options.WorkerStopTimeout, options.OnFatalError = w.identity, o.Drain, w.died
		options.DisableRegistrationAliasing = true
		part := sdk.New(c, queue, options)
		RegisterActivities(part, acts)
		w.parts = append(w.parts, part)
		return part
	}
	RegisterWorkflows(add(o.TaskQueue, batchOptions()))
	add(contract.HoldsQueue(o.TaskQueue), awaitOptions())
	if o.Callbacks != nil && o.Changes != nil {
		add(contract.NotifyQueue(o.TaskQueue), accountOptions(notifyConcurrency, 0))
	}
	for _, a := range list {
		sends, groups := SendOptions(a), GroupOptions(a)
		if a.Rate > 0 {
			limitStarting(&groups, startingGroups(a))
			limitStarting(&sends, startingMessages(a))
			w.shares.accounts = append(w.shares.accounts, a.Name)
		}
		add(contract.SendQueue(a.Name), sends)
		add(contract.GroupQueue(a.Name), groups)
	}
	return w, nil
}

// Identity is the name under which this worker polls. No other has it, in this
// process or elsewhere.
func (w *Worker) Identity() string { return w.identity }

// identity puts a random suffix behind a name, so that two workers in one process
// count as two.
func identity(name string) string {
	if name == "" {
		host, _ := os.Hostname() // without it the number and the suffix will do
		name = fmt.Sprintf("%d@%s", os.Getpid(), host)
	}
	return fmt.Sprintf("%s~%08x", name, rand.Uint32())
}

// Run starts the workers and serves until ctx ends, then drains: nothing new is
// taken, and attempts under way may end. It fails when a worker cannot go on.
func (w *Worker) Run(ctx context.Context) error {
	w.shares.hold()
	w.shares.updateAll(ctx)
	watching, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { w.shares.watch(watching) })
	defer wg.Wait()
	defer cancel()
	known := make(chan struct{})
	wg.Go(func() { w.holds.follow(watching, known) })
	wg.Go(func() { w.holds.write(watching) })
	select {
	case <-known: // nothing leaves before it is known what is held
	case <-ctx.Done():
		return nil
	}

	for started, p := range w.parts {
		if err := p.Start(); err != nil {
			w.stop(started)
			return fmt.Errorf("start worker: %w", err)
		}
	}
	defer w.stop(len(w.parts))
	w.log.Info("worker runs", zap.Int("accounts", w.accounts))
	select {
	case <-ctx.Done():
		w.log.Info("worker drains")
		return nil
	case err := <-w.fatal:
		return fmt.Errorf("worker stopped: %w", err)
	}
}

// stop drains. The server hears first that the parts stop, from which on the others
// share this worker's rate, so nothing may start any more.
func (w *Worker) stop(started int) {
	w.activities.Drain()
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
