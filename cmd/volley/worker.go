package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/callback"
	"volley/internal/config"
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
	var listen string
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run a worker until SIGTERM, which drains it",
		Long: `Runs a worker for every account of the configuration until SIGTERM or Ctrl-C; then
attempts under way have 30 s to end. A second signal ends it at once.
/healthz, /readyz and /metrics are served at --listen, whose port may be a range of
which the first free one is taken, so that several workers run on one machine.`,
		Example:           "  volley worker --config examples/volley.yaml --listen :9090",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.worker(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", ":9090-9099", "`address` of health checks and metrics; empty is off")
	return cmd
}

func (a *app) worker(ctx context.Context, listen string) error {
	s, err := a.service(ctx, func(c *config.Config) error {
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
	w, err := worker.New(s.temporal, s.accounts, worker.Options{
		Namespace: s.namespace, TaskQueue: s.config.TaskQueue, Store: s.store, Reports: s.batches, Segments: s.batches, Callbacks: callbacks, Changes: s.batches.Changes(),
		Identity: s.identity, Log: s.log, Drain: drain, Metrics: s.metrics,
	})
	if err != nil {
		return err
	}
	return serve(ctx, listen, operations(s.page, polling(s.temporal, s.config.TaskQueue, w.Identity())), s.log, w.Run)
}

// warnMissing says which search attributes the server lacks. Without most of them no
// batch can start, but those that run go on.
func warnMissing(ctx context.Context, b interface {
	Missing(context.Context) ([]string, error)
}, log *zap.Logger,
) {
	switch missing, err := b.Missing(ctx); {
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
		if err != nil {
			return errors.New("temporal does not answer")
		}
		for _, p := range res.GetPollers() {
			if p.GetIdentity() == identity {
				return nil
			}
		}
		return errors.New("the workers have not started")
	}
}

// operations serves health checks and metrics.
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
	mux.Handle("GET /metrics", metrics)
	return mux
}

// serve runs work with an HTTP server beside it, which stays until the work has
// drained; an empty address is none. From ctx's end on it is not ready.
func serve(ctx context.Context, address string, h http.Handler, log *zap.Logger, work func(context.Context) error) error {
	if address == "" {
		return work(ctx)
	}
	l, err := listenIn(ctx, address)
	if err != nil {
		return err
	}
	log.Info("health checks and metrics are served", zap.String("address", l.Addr().String()))
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
func listenIn(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	first, last, several := strings.Cut(port, "-")
	from, ferr := strconv.ParseUint(first, 10, 16)
	to, terr := strconv.ParseUint(last, 10, 16)
	switch {
	case err != nil, !several:
		from, to = 0, 0
	case ferr != nil, terr != nil, to < from:
		return nil, usage("--listen %q, expected a port or a range of ports such as :9090-9099", address)
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
			return nil, fmt.Errorf("--listen: %w", err)
		case at == to:
			return nil, fmt.Errorf("--listen: %w; choose another port, a range such as :9090-9099, or none (--listen '')", err)
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
