package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/callback"
	"volley/internal/config"
	"volley/internal/message"
	"volley/internal/temporalclient"
	"volley/starter"
	"volley/worker"
)

const (
	// drain is how long attempts under way may take to end.
	drain = 30 * time.Second
	// probe bounds what /readyz asks.
	probe = 3 * time.Second
)

func (a *app) workerCommand() *cobra.Command {
	var listen, ops string
	var d deploymentFlags
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run a worker until SIGTERM, which drains it",
		Long: `Runs a worker for every account of the configuration until SIGTERM or Ctrl-C; then
attempts under way have 30 s to end. A second signal ends it at once.
/healthz, /readyz and /metrics are served at --listen, whose port may be a range of
which the first free one is taken, so that several workers run on one machine;
--ops-listen moves /metrics elsewhere.

--deployment and --build make it a version of a Worker Deployment for the queue of the
workflows: it gets none of them before temporal worker deployment set-current-version
or set-ramping-version names its build. --defer-changes keeps a release's changes of
workflow code from beginning while the release before may come back.`,
		Example:           "  volley worker --config examples/volley.yaml --listen :9090",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.worker(cmd.Context(), listen, ops, d) },
	}
	cmd.Flags().StringVar(&listen, "listen", ":9090-9099", "`address` of health checks and metrics; empty is off")
	opsFlag(cmd, &ops)
	d.add(cmd)
	return cmd
}

// maxVersionName is the longest name of a deployment or a build.
const maxVersionName = 100

// deploymentFlags say which version of which deployment a worker is, and which changes of
// workflow code do not begin at it.
type deploymentFlags struct {
	deployment, build string
	deferred          []string
}

func (d *deploymentFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.deployment, "deployment", "", "`name` of the Worker Deployment this worker belongs to (default none: no versioning)")
	cmd.Flags().StringVar(&d.build, "build", "", "`id` of this worker's build in --deployment")
	cmd.Flags().StringSliceVar(&d.deferred, "defer-changes", nil,
		fmt.Sprintf("`changes` of workflow code that begin nowhere yet: %s (default none)", strings.Join(worker.Changes(), ", ")))
}

// check says what is wrong with them before anything is opened.
func (d *deploymentFlags) check() error {
	if (d.deployment == "") != (d.build == "") {
		return usage("--deployment and --build belong together: both or neither are expected")
	}
	for _, given := range []struct{ flag, value, rule string }{
		{"deployment", d.deployment, `[A-Za-z0-9_-]+`}, {"build", d.build, `[A-Za-z0-9._+-]+`},
	} {
		if given.value != "" && (len(given.value) > maxVersionName || !regexp.MustCompile("^"+given.rule+"$").MatchString(given.value)) {
			return usage("--%s %q, expected at most %d characters of %s: Temporal takes no others", given.flag, message.Clip(given.value, maxVersionName), maxVersionName, given.rule)
		}
	}
	for _, change := range d.deferred {
		if !slices.Contains(worker.Changes(), change) {
			return usage("--defer-changes %q, expected %s", change, strings.Join(worker.Changes(), ", "))
		}
	}
	return nil
}

// opsFlag adds the address of what is for operators alone.
func opsFlag(cmd *cobra.Command, ops *string) {
	cmd.Flags().StringVar(ops, "ops-listen", "", "`address` to which /metrics moves; /healthz and /readyz are at both (default none: all at --listen)")
}

func (a *app) worker(ctx context.Context, listen, ops string, d deploymentFlags) error {
	if err := d.check(); err != nil {
		return err
	}
	s, err := a.service(ctx, "worker", func(c *config.Config) error {
		if len(c.Accounts()) == 0 {
			return usage("a worker needs accounts: put them into the configuration (--config, VOLLEY_CONFIG or ./volley.yaml)")
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer s.close()
	callbacks := callback.New(s.config.Callbacks())
	defer callbacks.Close()
	var running atomic.Pointer[worker.Worker]
	ready := func(ctx context.Context) error {
		if w := running.Load(); w != nil {
			return polling(s.temporal, s.config.TaskQueue, w.Identity())(ctx)
		}
		return cmp.Or(s.ready(ctx), errNoWorkersYet)
	}
	return serveOperations(ctx, listen, ops, s.page, ready, s.log, func(ctx context.Context) error {
		return s.connected(ctx, s.watch.Reached, func(ctx context.Context) error {
			own, err := temporalclient.ForWorker(ctx, s.temporal, s.options)
			if err != nil {
				return err
			}
			defer own.Close()
			suppressions, stop := s.followSuppressions(context.WithoutCancel(ctx)) // attempts under way ask it, too
			defer stop()
			return s.keys.While(ctx, func(ctx context.Context) error {
				defer running.Store(nil)
				o := worker.Options{
					DataConverter: s.converter,
					Namespace:     s.namespace, TaskQueue: s.config.TaskQueue, Store: s.store, Reports: s.batches, Segments: s.batches, Callbacks: callbacks, Changes: s.batches.Changes(),
					Identity: s.identity, Log: s.log, Drain: drain, Metrics: s.metrics,
					Deployment: d.deployment, Build: d.build, Deferred: d.deferred,
				}
				if suppressions != nil {
					o.Suppressions = suppressions
				}
				w, err := worker.New(own, s.accounts, o)
				if err != nil {
					return err
				}
				running.Store(w)
				defer s.feedIndex(ctx, w)()
				return w.Run(ctx)
			})
		})
	})
}

var errNoWorkersYet = errors.New("the workers have not started")

// serveOperations runs work with its health checks and metrics at listen, or the metrics
// at ops in their place where that is not empty, and the health checks at both.
func serveOperations(ctx context.Context, listen, ops string, metrics http.Handler, ready func(context.Context) error, log *zap.Logger, work func(context.Context) error) error {
	if ops == "" {
		return serve(ctx, "listen", listen, operations(metrics, ready), log, work)
	}
	return serve(ctx, "ops-listen", ops, operations(metrics, ready), log, func(ctx context.Context) error {
		return serve(ctx, "listen", listen, operations(nil, ready), log, work)
	})
}

// warnMissing says which search attributes the server lacks. Without most of them no
// batch can start, but those that run go on.
func warnMissing(missing []string, err error, log *zap.Logger) {
	switch {
	case err != nil:
		log.Warn("the search attributes of the Temporal server could not be read", zap.Error(err))
	case !slices.ContainsFunc(missing, starter.NeedsAttribute) && len(missing) > 0:
		log.Warn("the Temporal server lacks a search attribute, so nobody can say that the same content went out before; `volley setup` adds it",
			zap.String("missing", strings.Join(missing, ", ")))
	case len(missing) > 0:
		log.Warn("the Temporal server lacks search attributes, so no batch can start; `volley setup` adds them",
			zap.String("missing", strings.Join(missing, ", ")))
	}
}

// polling is ready once this process polls for workflow tasks and as long as the
// server answers.
func polling(tc client.Client, queue, identity string) func(context.Context) error {
	return func(ctx context.Context) error {
		res, err := tc.DescribeTaskQueue(ctx, queue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
		var nowhere *serviceerror.NamespaceNotFound
		switch {
		case errors.As(err, &nowhere):
			return notReady(temporalclient.ErrNoNamespace)
		case err != nil:
			return notReady(err)
		}
		for _, p := range res.GetPollers() {
			if p.GetIdentity() == identity {
				return nil
			}
		}
		return errNoWorkersYet
	}
}

// operations serves health checks and metrics; nil metrics are none.
func operations(metrics http.Handler, ready func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), probe)
		defer cancel()
		if err := ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	return mux
}

// serve runs work with an HTTP server beside it, which stays until the work has
// drained; an empty address is none, and flag is who gave it. From ctx's end on it is not
// ready.
func serve(ctx context.Context, flag, address string, h http.Handler, log *zap.Logger, work func(context.Context) error) error {
	if address == "" {
		return work(ctx)
	}
	l, err := listenIn(ctx, flag, address)
	if err != nil {
		return err
	}
	log.Info("health checks and metrics are served", zap.String("flag", flag), zap.String("address", l.Addr().String()))
	s := &http.Server{Handler: draining(ctx, h), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health checks and metrics stopped", zap.Error(err))
		}
	})
	err = work(ctx)
	_ = s.Close() // nothing that is asked here is worth waiting for
	wg.Wait()
	return err
}

// listenIn listens at an address, whose port may be a range such as 9090-9099: then at
// the first of them that is free.
func listenIn(ctx context.Context, flag, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	first, last, several := strings.Cut(port, "-")
	from, ferr := strconv.ParseUint(first, 10, 16)
	to, terr := strconv.ParseUint(last, 10, 16)
	switch {
	case err != nil, !several:
		from, to = 0, 0
	case ferr != nil, terr != nil, to < from:
		return nil, usage("--%s %q, expected a port or a range of ports such as :9090-9099", flag, address)
	}
	for at := from; ; at++ {
		if several {
			address = net.JoinHostPort(host, strconv.FormatUint(at, 10))
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		switch {
		case err == nil:
			return l, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("--%s: %w", flag, err)
		case at == to:
			return nil, fmt.Errorf("--%s: %w; choose another port, a range such as :9090-9099, or none (--%s '')", flag, err, flag)
		}
	}
}

// draining answers that it is not ready once ctx has ended.
func draining(ctx context.Context, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil && r.URL.Path == "/readyz" {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})
}
