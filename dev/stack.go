package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"volley/dev/ownhost"
	"volley/dev/sandbox"
	"volley/dev/server"
	"volley/internal/audit"
	"volley/internal/callback"
	"volley/internal/config"
	"volley/internal/encryption"
	"volley/internal/gateway"
	"volley/internal/health"
	"volley/internal/index"
	"volley/internal/keywatch"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/internal/suppression"
	"volley/internal/temporalclient"
	"volley/internal/tracing"
	"volley/starter"
	"volley/worker"
)

// stack is everything that runs in this process.
type stack struct {
	o        options
	log      *zap.Logger
	stateDir string
	// configFile is what the worker runs with, and cfg its content.
	configFile string
	cfg        *config.Config
	accounts   *provider.Registry

	temporal *server.Server
	sandbox  *sandbox.Sandbox
	address  string // the sandbox's URL
	gateway  string // the gateway's, empty where it is off
	console  string // the console's, empty where it is off
	// audit is the gateway's log, which the console writes into as well; nil is none.
	audit  *audit.Log
	keyset *encryption.Keyset
	// codec is the URL of the codec endpoint, which codecListener takes in; empty where
	// nothing is encrypted.
	codec         string
	codecListener net.Listener
	client        client.Client
	// options are those of the client, and converter is what it decodes with.
	options   temporalclient.Options
	converter converter.DataConverter
	// identity is how this process shows up at the server.
	identity string
	redial   func(context.Context) (client.Client, error)
	// traces makes spans; nil makes none.
	traces  trace.TracerProvider
	store   *store.Store
	starter *starter.Starter
	index   *index.Later // nil where it is off
	// suppressed is who wants no messages; nil where there is no index.
	suppressed *suppression.List
	// failed gets the error of a part that ended by itself.
	failed chan error
	// stops end the parts, in the order in which they were started.
	stops []func() error
}

// start brings up all parts, or none.
func start(ctx context.Context, o options, stderr io.Writer) (*stack, error) {
	s := &stack{o: o, log: logger(o, stderr), failed: make(chan error, 4)}
	for _, part := range []func(context.Context) error{s.openState, s.startSandbox, s.configure, s.listenCodec, s.startTemporal, s.startCodec, s.openStore, s.openIndex, s.startWorker, s.startGateway, s.startConsole} {
		if err := part(ctx); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	return s, nil
}

func logger(o options, stderr io.Writer) *zap.Logger {
	level := zapcore.InfoLevel
	if o.command == cmdDemo {
		level = zapcore.WarnLevel // what it prints is the point
	}
	enc := zap.NewDevelopmentEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339TimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.Lock(zapcore.AddSync(stderr)), level))
}

func (s *stack) openState(context.Context) error {
	dir := s.o.stateDir
	switch {
	case dir == "" && s.o.command == cmdDemo:
		temp, err := os.MkdirTemp("", "volley-demo-")
		if err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
		s.stops = append(s.stops, func() error { return os.RemoveAll(temp) })
		dir = temp
	case dir == "":
		dir = filepath.Join("..", ".volley")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	s.stateDir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if s.o.db == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.o.db), 0o700); err != nil {
		return fmt.Errorf("directory of --db: %w", err)
	}
	return nil
}

// startSandbox serves the sandbox. With a database file it keeps what it accepted
// beside that file: after a restart a doubtful message must still be found.
func (s *stack) startSandbox(ctx context.Context) error {
	o := sandbox.Options{Secret: hookSecret, ReportSecret: hookSecret, Accounts: map[string]string{
		"bird": "bird-main", "sinch": "sinch-eu", "imkit": "imkit-main", "bluesky": "bsky-main", "webhook": "hook",
	}}
	if s.o.db != "" {
		o.Journal = s.o.db + ".sandbox.jsonl"
	}
	s.sandbox = sandbox.New(o)
	if err := s.sandbox.Err(); err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.o.sandboxPort)))
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	s.address = "http://" + l.Addr().String()
	srv := &http.Server{Handler: ownhost.Only(s.sandbox, s.o.hosts...), ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(s.log.Named("sandbox"))}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("sandbox: %w", err)
		}
	}()
	s.stops = append(s.stops, func() error {
		err := srv.Close()
		<-done
		return errors.Join(err, s.sandbox.Close())
	})
	return nil
}

// configure loads the configuration, and writes it first where none is given.
func (s *stack) configure(context.Context) error {
	s.configFile = s.o.config
	if s.configFile == "" {
		s.configFile = filepath.Join(s.stateDir, "volley.yaml")
		keyset := filepath.Join(s.stateDir, "keyset.json")
		if err := makeKeyset(keyset); err != nil {
			return err
		}
		file := filepath.Join(s.stateDir, "index.db")
		if s.o.noIndex {
			file = ""
		} else if err := s.forgetIndex(file); err != nil {
			return err
		}
		text := sandboxConfig(s.address, filepath.Join(s.stateDir, "store"), file, keyset)
		if err := os.WriteFile(s.configFile, []byte(text), 0o600); err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	cfg, err := config.Load(s.configFile, os.LookupEnv)
	if err != nil {
		return err
	}
	s.cfg = cfg
	if s.keyset, err = encryption.Load(cfg.Keyset.Reveal()); err != nil {
		return fmt.Errorf("encryption.keyset: %w", err)
	}
	s.accounts, err = provider.Open(cfg.Accounts(), provider.Options{Log: s.log.Named("provider")})
	if err != nil {
		return err
	}
	s.stops = append(s.stops, func() error { s.accounts.Close(); return nil })
	return nil
}

func (s *stack) startTemporal(ctx context.Context) error {
	srv, err := server.Start(ctx, server.Options{
		DB: s.o.db, Port: s.o.temporalPort, UI: !s.o.noUI, UIPort: s.o.uiPort, UIHosts: s.o.hosts, UICodec: s.codec, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.temporal = srv
	s.stops = append(s.stops, srv.Stop)
	if s.cfg.Traces.On {
		traces, err := tracing.Open(ctx, tracing.Options{Endpoint: s.cfg.Traces.Endpoint.Reveal(), Sample: s.cfg.Traces.Sample, Log: s.log.Named("traces")})
		if err != nil {
			return err
		}
		s.traces = traces.Provider()
		s.stops = append(s.stops, func() error { traces.Close(); return nil })
	}
	s.options = temporalclient.Options{Log: s.log.Named("sdk"), EnvLookup: s.env(), Keyset: s.keyset, Traces: s.traces}
	settings, err := temporalclient.ClientOptions(s.options)
	if err != nil {
		return err
	}
	s.converter, s.identity = settings.DataConverter, settings.Identity
	c, err := temporalclient.Dial(ctx, s.options)
	if err != nil {
		return err
	}
	s.client = c
	s.redial = func(ctx context.Context) (client.Client, error) { return temporalclient.Dial(ctx, s.options) }
	s.stops = append(s.stops, func() error { c.Close(); return nil })
	return temporalclient.CheckKeyset(ctx, c, s.cfg.TaskQueue, s.options)
}

// openStore opens the store of large batches, and makes the starter that works with
// it.
func (s *stack) openStore(ctx context.Context) error {
	var err error
	if s.store, err = store.Open(ctx, s.cfg.Store, store.Options{Log: s.log.Named("store"), Keyset: s.keyset, Namespace: s.temporal.Namespace()}); err != nil {
		return err
	}
	if err := s.store.Unlock(ctx); err != nil {
		return err
	}
	s.stops = append(s.stops, s.store.Close)
	s.starter = starter.New(s.client, starter.Options{
		DataConverter: s.converter,
		ContentKey:    []byte(s.cfg.ContentKey.Reveal()), NoContent: s.cfg.ContentKeyUnset,
		Namespace: s.temporal.Namespace(), TaskQueue: s.cfg.TaskQueue, InFlight: s.cfg.Limits.InFlight,
		MaxMessages: s.cfg.Limits.InlineMessages, MaxBytes: s.cfg.Limits.InlineBytes, GroupAbove: s.cfg.Limits.GroupAbove,
		Store: s.store, StoreURL: s.cfg.Store, Rates: s.cfg.Rates(), ActionPrice: s.cfg.ActionPrice,
		SearchMetadata: s.cfg.SearchMetadata, Log: s.log.Named("starter"),
		Redial: s.redial, TrackAnswers: temporalclient.TrackAnswers, Traces: s.traces,
	})
	if s.o.config == "" { // as `volley setup` does: delivery reports that come after the end of a batch lie in it
		if _, err := s.starter.SetupStore(ctx, false); err != nil {
			s.log.Warn("the store cannot be made", zap.Error(err))
		}
	}
	return nil
}

func (s *stack) startWorker(ctx context.Context) error {
	if s.o.noWorker {
		return nil
	}
	callbacks := callback.New(s.cfg.Callbacks())
	s.stops = append(s.stops, func() error { callbacks.Close(); return nil })
	own, err := temporalclient.ForWorker(ctx, s.client, s.options)
	if err != nil {
		return err
	}
	s.stops = append(s.stops, func() error { own.Close(); return nil })
	keys, err := keywatch.New(keywatch.Options{
		Client: s.client, Temporal: s.options, TaskQueue: s.cfg.TaskQueue, Role: "worker", Source: s.cfg.Keyset.Reveal(), Store: s.store,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		wg.Go(func() { keys.Run(ctx) })
		if err := keys.While(ctx, func(ctx context.Context) error {
			o := worker.Options{
				DataConverter: s.converter, Identity: s.identity,
				Namespace: s.temporal.Namespace(), TaskQueue: s.cfg.TaskQueue, Store: s.store, Reports: s.starter, Segments: s.starter, Callbacks: callbacks, Changes: s.starter.Changes(),
				Log: s.log.Named("worker"),
			}
			if s.suppressed != nil {
				o.Suppressions = s.suppressed
			}
			w, err := worker.New(own, s.accounts, o)
			if err != nil {
				return err
			}
			defer s.feedIndex(ctx, w)()
			return w.Run(ctx)
		}); err != nil {
			s.failed <- fmt.Errorf("worker: %w", err)
		}
		wg.Wait()
	}()
	s.stops = append(s.stops, func() error { cancel(); <-done; return nil })
	return nil
}

// startGateway serves the HTTP APIs to the tenants of the configuration.
func (s *stack) startGateway(ctx context.Context) error {
	if s.o.noGateway {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.o.gatewayPort)))
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	s.gateway = "http://" + l.Addr().String()
	reporter := s.starter.NewReporter()
	s.stops = append(s.stops, func() error { reporter.Close(); return nil })
	metrics, page, err := temporalclient.NewMetrics()
	if err != nil {
		return err
	}
	recorder := health.NewRecorder(nil)
	observeReport := temporalclient.ObserveReport(metrics)
	publisher := health.Publisher{Recorder: recorder, Server: s.client.WorkflowService(), Namespace: s.temporal.Namespace(), TaskQueue: s.cfg.TaskQueue, Process: s.identity + " gateway"}
	o := gateway.Options{
		Batches: s.starter, Tenants: s.cfg.Callers(), People: s.cfg.People(), Accounts: s.cfg.Accounts(), Limits: s.cfg.Intake(), Estimates: s.cfg.Estimates(),
		BlueskyWait: s.cfg.BlueskyWait, Readers: s.accounts, Reporter: reporter, Log: s.log.Named("gateway"),
		Metrics: page, Observe: temporalclient.ObserveHTTP(metrics), CountReports: temporalclient.CountReports(metrics), ObserveReport: func(account string) { observeReport(account); recorder.Reported(account) }, CountFailedLogin: temporalclient.CountFailedLogins(metrics),
	}
	if s.index != nil {
		o.Index, o.Suppressed, o.Suppressions, o.Persons = s.index, s.suppressed.Suppressed, s.persons(), s.persons()
		also := audit.NewCopier(s.index, s.log.Named("audit"))
		s.stops = append(s.stops, func() error { also.Close(); return nil })
		o.Audit = audit.New(audit.Options{Log: o.Log, Copy: also})
		s.audit = o.Audit
	}
	g := gateway.New(o)
	s.sandbox.ReportTo(s.gateway + "/reports")
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer publisher.Start(ctx)()
		if err := g.Serve(ctx, l); err != nil {
			s.failed <- err
		}
	}()
	s.stops = append(s.stops, func() error { cancel(); <-done; return nil })
	return nil
}

// wait returns when ctx ends, or when a part ends by itself.
func (s *stack) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// stop ends the parts, the last one first.
func (s *stack) stop() error {
	var errs []error
	for len(s.stops) > 0 {
		last := len(s.stops) - 1
		errs = append(errs, s.stops[last]())
		s.stops = s.stops[:last]
	}
	return errors.Join(errs...)
}
