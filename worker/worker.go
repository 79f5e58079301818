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
	"volley/internal/health"
	"volley/internal/holdbook"
	"volley/internal/provider"
	"volley/internal/serverclock"
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
	// Suppressions know who wants no messages, such as a suppression.List; nil is nobody.
	Suppressions activities.Suppressions
	// Identity names the process to Temporal; empty is its number and its host. A
	// Worker puts a suffix of its own behind it.
	Identity string
	// DataConverter is the client's; nil is the SDK's default. It reads what is held.
	DataConverter converter.DataConverter
	// Deployment and Build make this worker a version of a Worker Deployment for the
	// workflows' queue: it gets no workflow task before its version is set current or
	// ramping. Every workflow goes on with whatever version is current. One without the
	// other is an error; neither is no versioning.
	Deployment, Build string
	// Deferred are changes of workflow code, of Changes, that begin nowhere at this worker:
	// a build that does not know them can go on with what begins here.
	Deferred []string
	// Metrics counts what is held; nil is nobody.
	Metrics client.MetricsHandler
	// Now is this machine's clock, which is compared with the server's; nil is time.Now.
	Now func() time.Time
	// Log is where the worker says what it does; nil is nowhere.
	Log *zap.Logger
}

// clockTries is how often a worker tries to compare its clock before it begins.
const clockTries = 3

// Worker is the workers of one process.
type Worker struct {
	parts      []sdk.Worker
	activities *activities.Activities
	accounts   int
	shares     *shares
	depths     *depths
	holds      *holds
	health     *health.Publisher
	clock      *serverclock.Clock
	identity   string
	version    sdk.WorkerDeploymentVersion
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
	workflowOptions, err := o.workflows()
	if err != nil {
		return nil, err
	}
	stickyCache.Do(func() { setStickyCache(o.StickyCache) })

	list := accounts.Accounts()
	clock := serverclock.New(serverclock.Options{
		Server: c.WorkflowService(), Namespace: o.Namespace, TaskQueue: o.TaskQueue, Now: o.Now, Metrics: o.Metrics, Log: o.Log,
	})
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.Name
	}
	recorder := health.NewRecorder(clock.Now, names...)
	acts := activities.New(activities.Options{
		Senders: accounts, Accounts: list, Store: o.Store, Heartbeats: c, Reports: o.Reports, Segments: o.Segments, Changes: o.Changes, Poster: o.Callbacks,
		Suppressions: o.Suppressions,
		Health:       recorder,
		ServerNow:    clock.Now,
	})
	w := &Worker{
		activities: acts, clock: clock, fatal: make(chan error, 1), log: o.Log, identity: identity(o.Identity), accounts: len(list),
		version: workflowOptions.DeploymentOptions.Version,
	}
	w.shares = &shares{
		server: c.WorkflowService(), namespace: o.Namespace, sharer: acts, identity: w.identity, log: o.Log, counts: map[string]int{}, serverNow: clock.Now,
	}
	w.health = &health.Publisher{Recorder: recorder, Server: c.WorkflowService(), Namespace: o.Namespace, TaskQueue: o.TaskQueue, Process: w.identity, Log: o.Log}
	w.depths = &depths{server: c.WorkflowService(), namespace: o.Namespace, metrics: o.Metrics}
	w.holds = &holds{book: holdbook.New(c, o.TaskQueue, o.DataConverter), target: acts, metrics: o.Metrics, log: o.Log}
	add := func(queue string, options sdk.Options) sdk.Worker {
		options.Identity, options.WorkerStopTimeout, options.OnFatalError = w.identity, o.Drain, w.died
		options.DisableRegistrationAliasing = true
		part := sdk.New(c, queue, options)
		RegisterActivities(part, acts)
		w.parts = append(w.parts, part)
		return part
	}
	RegisterWorkflows(add(o.TaskQueue, workflowOptions))
	add(contract.HoldsQueue(o.TaskQueue), awaitOptions())
	if o.Callbacks != nil && o.Changes != nil {
		add(contract.NotifyQueue(o.TaskQueue), accountOptions(notifyConcurrency, 0))
	}
	for _, a := range list {
		w.depths.accounts = append(w.depths.accounts, a.Name)
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

// Sending reports whether a request of this worker is under way, or was within some time.
func (w *Worker) Sending(within time.Duration) bool { return w.activities.Sending(within) }

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
	for range clockTries { // before anything is sent by it
		if w.clock.Correct(ctx) || ctx.Err() != nil {
			break
		}
	}
	w.shares.hold()
	w.shares.updateAll(ctx)
	watching, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { w.shares.watch(watching) })
	wg.Go(func() { w.depths.watch(watching) })
	defer wg.Wait()
	defer cancel()
	known := make(chan struct{})
	wg.Go(func() { w.holds.follow(watching, known) })
	wg.Go(func() { w.holds.write(watching) })
	wg.Go(func() { w.clock.Follow(watching) })
	wg.Go(func() { w.health.Run(watching) })
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
	if w.version.BuildID != "" {
		w.log.Info("this worker gets workflows once its build is the current or the ramping one of its deployment",
			zap.String("deployment", w.version.DeploymentName), zap.String("build", w.version.BuildID))
	}
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
