package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"volley/dev/sandbox"
	"volley/dev/server"
	"volley/internal/callback"
	"volley/internal/config"
	"volley/internal/gateway"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/internal/temporalclient"
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
	client   client.Client
	redial   func(context.Context) (client.Client, error)
	store    *store.Store
	starter  *starter.Starter
	// failed gets the error of a part that ended by itself.
	failed chan error
	// stops end the parts, in the order in which they were started.
	stops []func() error
}

// addresses is the first line on stdout. What is off is "".
type addresses struct {
	Temporal string `json:"temporal"`
	UI       string `json:"ui"`
	Gateway  string `json:"gateway"`
	Sandbox  string `json:"sandbox"`
	Codec    string `json:"codec"`
}

// start brings up all parts, or none.
func start(ctx context.Context, o options, stderr io.Writer) (*stack, error) {
	s := &stack{o: o, log: logger(o, stderr), failed: make(chan error, 3)}
	for _, part := range []func(context.Context) error{s.openState, s.startSandbox, s.configure, s.startTemporal, s.openStore, s.startWorker, s.startGateway} {
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
	srv := &http.Server{Handler: s.sandbox, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(s.log.Named("sandbox"))}
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
		text := sandboxConfig(s.address, filepath.Join(s.stateDir, "store"))
		if err := os.WriteFile(s.configFile, []byte(text), 0o600); err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	cfg, err := config.Load(s.configFile, os.LookupEnv)
	if err != nil {
		return err
	}
	s.cfg = cfg
	s.accounts, err = provider.Open(cfg.Accounts(), provider.Options{Log: s.log.Named("provider")})
	if err != nil {
		return err
	}
	s.stops = append(s.stops, func() error { s.accounts.Close(); return nil })
	return nil
}

func (s *stack) startTemporal(ctx context.Context) error {
	srv, err := server.Start(ctx, server.Options{
		DB: s.o.db, Port: s.o.temporalPort, UI: !s.o.noUI, UIPort: s.o.uiPort, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.temporal = srv
	s.stops = append(s.stops, srv.Stop)
	c, err := temporalclient.Dial(ctx, temporalclient.Options{Log: s.log.Named("sdk"), EnvLookup: s.env()})
	if err != nil {
		return err
	}
	s.client = c
	s.redial = func(ctx context.Context) (client.Client, error) {
		return temporalclient.Dial(ctx, temporalclient.Options{Log: s.log.Named("sdk"), EnvLookup: s.env()})
	}
	s.stops = append(s.stops, func() error { c.Close(); return nil })
	return nil
}

// openStore opens the store of large batches, and makes the starter that works with
// it.
func (s *stack) openStore(ctx context.Context) error {
	var err error
	if s.store, err = store.Open(ctx, s.cfg.Store, store.Options{Log: s.log.Named("store")}); err != nil {
		return err
	}
	s.stops = append(s.stops, s.store.Close)
	s.starter = starter.New(s.client, starter.Options{
		ContentKey: []byte(s.cfg.ContentKey.Reveal()), NoContent: s.cfg.ContentKeyUnset,
		Namespace: s.temporal.Namespace(), TaskQueue: s.cfg.TaskQueue, InFlight: s.cfg.Limits.InFlight,
		MaxMessages: s.cfg.Limits.InlineMessages, MaxBytes: s.cfg.Limits.InlineBytes, GroupAbove: s.cfg.Limits.GroupAbove,
		Store: s.store, StoreURL: s.cfg.Store, Rates: s.cfg.Rates(), ActionPrice: s.cfg.ActionPrice,
		SearchMetadata: s.cfg.SearchMetadata, Log: s.log.Named("starter"),
		Redial: s.redial, TrackAnswers: temporalclient.TrackAnswers,
	})
	return nil
}

func (s *stack) startWorker(ctx context.Context) error {
	if s.o.noWorker {
		return nil
	}
	callbacks := callback.New(s.cfg.Callbacks())
	s.stops = append(s.stops, func() error { callbacks.Close(); return nil })
	w, err := worker.New(s.client, s.accounts, worker.Options{
		Namespace: s.temporal.Namespace(), TaskQueue: s.cfg.TaskQueue, Store: s.store, Reports: s.starter, Segments: s.starter, Callbacks: callbacks, Changes: s.starter.Changes(),
		Log: s.log.Named("worker"),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			s.failed <- fmt.Errorf("worker: %w", err)
		}
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
	g := gateway.New(gateway.Options{
		Batches: s.starter, Tenants: s.cfg.Callers(), Accounts: s.cfg.Accounts(), Limits: s.cfg.Intake(),
		BlueskyWait: s.cfg.BlueskyWait, Readers: s.accounts, Reporter: reporter, Log: s.log.Named("gateway"),
		Metrics: page, Observe: temporalclient.ObserveHTTP(metrics), CountReports: temporalclient.CountReports(metrics),
	})
	s.sandbox.ReportTo(s.gateway + "/reports")
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
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

// announce prints the addresses, for programs and for people.
func (s *stack) announce(stdout, stderr io.Writer) error {
	a := addresses{Temporal: s.temporal.Address(), UI: s.temporal.UIAddress(), Gateway: s.gateway, Sandbox: s.address}
	if err := json.NewEncoder(stdout).Encode(a); err != nil {
		return err
	}
	ui, gw := cmp.Or(a.UI, "off"), cmp.Or(a.Gateway, "off")
	state := "in memory; it is gone when this process ends"
	if s.o.db != "" {
		state = s.o.db
	}
	fmt.Fprintf(stderr, "\n  Temporal   %s (server %s)\n  Web UI     %s\n  Gateway    %s\n  Sandbox    %s\n  State      %s\n",
		a.Temporal, server.Version(), ui, gw, a.Sandbox, state)
	if s.o.command == cmdUp {
		fmt.Fprintf(stderr, "\nUse it from another terminal, in the repository:\n\n"+
			"  export TEMPORAL_ADDRESS=%s VOLLEY_CONFIG=%s\n  go run ./cmd/volley start --dialect bird --watch examples/bird.json\n\n",
			a.Temporal, s.configFile)
		if s.gateway != "" && s.o.config == "" {
			fmt.Fprint(stderr, "Or over HTTP, in the format that you already use:\n\n")
			for _, e := range examples()[:5] {
				fmt.Fprintf(stderr, "  %s\n", e.call(s.gateway).curl("examples", false))
			}
			fmt.Fprintln(stderr)
		}
		fmt.Fprint(stderr, "Ctrl-C stops it.\n\n")
	}
	return nil
}

// env is the environment in which this process's own client finds the embedded
// server, whatever the user's environment and profile say.
func (s *stack) env() environ {
	return environ{
		"TEMPORAL_ADDRESS":     s.temporal.Address(),
		"TEMPORAL_NAMESPACE":   s.temporal.Namespace(),
		"TEMPORAL_CONFIG_FILE": os.DevNull,
	}
}

type environ map[string]string

// LookupEnv finds a variable.
func (e environ) LookupEnv(key string) (string, bool) {
	v, ok := e[key]
	return v, ok
}

// Environ lists the variables.
func (e environ) Environ() []string {
	var out []string
	for k, v := range e {
		out = append(out, k+"="+v)
	}
	return out
}
