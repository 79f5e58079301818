package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/dev/s3test"
	"volley/internal/chaos"
	"volley/internal/config"
	"volley/internal/sabotage"
	"volley/internal/store"
	"volley/internal/temporalclient"
	"volley/starter"
)

const cmdChaos = "chaos"

// chaosOptions are the command line of chaos.
type chaosOptions struct {
	seeds    []uint64
	messages int
	faults   float64
	dispatch string
	// volley is the program that runs as workers, json the file for all reports.
	volley, json string
	// sabotages are promises that the program breaks; nil is an ordinary run. As many as
	// side run side by side.
	sabotages []string
	side      int
	// s3 keeps large batches in an S3 server of this process in place of a directory.
	s3 bool
}

// chaosCommand makes runs of internal/chaos against a server of its own, which is killed
// and started again in between.
func chaosCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseChaos(args, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "volley-chaos-")
	if err != nil {
		return fmt.Errorf("directory of the server: %w", err)
	}
	defer os.RemoveAll(dir)
	srv := &chaosServer{dir: dir, port: "0", store: "file://" + filepath.ToSlash(dir)}
	if o.s3 {
		bucket, err := s3test.New()
		if err != nil {
			return fmt.Errorf("S3 server: %w", err)
		}
		defer bucket.Close()
		srv.store = bucket.URL()
	}
	if err := srv.start(ctx); err != nil {
		return err
	}
	defer srv.kill()
	if o.sabotages != nil {
		return o.sabotage(ctx, srv, stdout, stderr)
	}
	return o.prove(ctx, srv, stdout, stderr)
}

func parseChaos(args []string, stderr io.Writer) (*chaosOptions, error) {
	o := &chaosOptions{}
	var seeds, broken string
	f := flag.NewFlagSet("dev chaos", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&seeds, "seeds", "1-3", "`seeds`, as 1-20 or 1,5,9")
	f.IntVar(&o.messages, "messages", 1000, "messages of each run")
	f.Float64Var(&o.faults, "faults", 0.2, "share of the sink's requests that misbehave")
	f.StringVar(&o.dispatch, "dispatch", "both", "message, group or both")
	f.StringVar(&o.volley, "volley", "../bin/volley", "`program` that runs as workers")
	f.StringVar(&o.json, "json", "", "`file` for all reports")
	f.StringVar(&broken, "sabotage", "", "`promises` that the program breaks, built with the tag sabotage; all is each of them")
	f.BoolVar(&o.s3, "s3", false, "keep large batches in an S3 server of its own in place of a directory")
	f.IntVar(&o.side, "side", 4, "how many sabotaged runs go side by side")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	var err error
	if o.seeds, err = parseSeeds(seeds); err != nil {
		return nil, fmt.Errorf("%w: --seeds: %w", errUsage, err)
	}
	switch broken {
	case "":
	case "all":
		for _, n := range sabotage.Names() {
			o.sabotages = append(o.sabotages, string(n))
		}
	default:
		o.sabotages = strings.Split(broken, ",")
	}
	if o.volley, err = filepath.Abs(o.volley); err != nil {
		return nil, fmt.Errorf("%w: --volley: %w", errUsage, err)
	}
	if o.json != "" { // known before the runs and not after them
		file, err := os.OpenFile(o.json, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("%w: --json: %w", errUsage, err)
		}
		_ = file.Close() // nothing was written
	}
	return o, nil
}

// parseSeeds reads 1-20 or 1,5,9.
func parseSeeds(s string) (all []uint64, err error) {
	for _, part := range strings.Split(s, ",") {
		first, last, several := strings.Cut(part, "-")
		from, err := strconv.ParseUint(first, 10, 32)
		if err != nil {
			return nil, err
		}
		to := from
		if several {
			if to, err = strconv.ParseUint(last, 10, 32); err != nil {
				return nil, err
			}
		}
		for n := from; n <= to; n++ {
			all = append(all, n)
		}
	}
	return all, nil
}

// errViolated means that a run found promises that were not kept.
var errViolated = errors.New("promises were not kept")

// prove makes a run for each seed. All of them have to be without a violation.
func (o *chaosOptions) prove(ctx context.Context, srv *chaosServer, stdout, stderr io.Writer) error {
	built, err := o.built(ctx)
	if err != nil {
		return err
	}
	var all []*chaos.Report
	violated := 0
	for _, seed := range o.seeds {
		rep, err := chaos.Run(ctx, o.run(srv, seed, os.Environ(), srv.restart, stderr))
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
		rep.Version, rep.Commit = built.Version, built.Commit
		all = append(all, rep)
		violated += min(len(rep.Violations), 1)
		if err := rep.Text(stdout); err != nil {
			return err
		}
		fmt.Fprintln(stdout)
	}
	if o.json != "" {
		text, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return fmt.Errorf("the reports as JSON: %w", err)
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o600); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
	}
	fmt.Fprintf(stdout, "chaos: %d of %d seeds without a violation\n", len(all)-violated, len(all))
	if violated > 0 {
		return errViolated
	}
	return nil
}

// built asks the program what it was built of.
func (o *chaosOptions) built(ctx context.Context) (v struct{ Version, Commit string }, err error) {
	out, err := exec.CommandContext(ctx, o.volley, "version", "-o", "json").Output()
	if err == nil {
		err = json.Unmarshal(out, &v)
	}
	if err != nil {
		return v, fmt.Errorf("the version of %s: %w", o.volley, err)
	}
	return v, nil
}

// sabotage shows that each broken promise is found by one of the seeds, and that nothing is
// found where none is broken. The server stays up: it is the same for runs side by side.
func (o *chaosOptions) sabotage(ctx context.Context, srv *chaosServer, stdout, stderr io.Writer) error {
	names := append([]string{""}, o.sabotages...)
	var saying sync.Mutex
	errs := make([]error, len(names))
	limit := make(chan struct{}, o.side)
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			line, err := o.sabotaged(ctx, srv, name, stderr)
			errs[i] = err
			saying.Lock()
			defer saying.Unlock()
			if line != "" {
				fmt.Fprintln(stdout, line)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// sabotaged runs a program that breaks a promise, seed after seed until it is found.
func (o *chaosOptions) sabotaged(ctx context.Context, srv *chaosServer, name string, stderr io.Writer) (string, error) {
	env := append(os.Environ(), "VOLLEY_SABOTAGE="+name)
	for _, seed := range o.seeds {
		rep, err := chaos.Run(ctx, o.run(srv, seed, env, nil, stderr))
		switch {
		case err != nil:
			return "", fmt.Errorf("sabotage %q, seed %d: %w", name, seed, err)
		case len(rep.Violations) == 0 && name == "":
			return fmt.Sprintf("%-10s seed %d: nothing found, as it should be", "none", seed), nil
		case name == "":
			return fmt.Sprintf("%-10s seed %d: %+v", "none", seed, rep.Violations[0]), errViolated
		case len(rep.Violations) > 0:
			v := rep.Violations[0]
			rules := map[string]int{}
			for _, v := range rep.Violations {
				rules[v.Rule]++
			}
			_ = os.RemoveAll(rep.Logs) // it is known why
			return fmt.Sprintf("%-10s seed %d: caught, %v; %s: %s message %d: %s", name, seed, rules, v.Rule, v.Batch, v.Index, v.Evidence), nil
		}
	}
	return fmt.Sprintf("%-10s not caught", name), fmt.Errorf("sabotage %s: no seed of %v caught it", name, o.seeds)
}

// run are the options of one run.
func (o *chaosOptions) run(srv *chaosServer, seed uint64, env []string, restart func(context.Context) error, stderr io.Writer) chaos.Options {
	env = slices.DeleteFunc(slices.Clone(env), func(s string) bool { return strings.HasPrefix(s, "TEMPORAL_") })
	return chaos.Options{
		Messages: o.messages, Seed: seed, Faults: o.faults, Dispatch: o.dispatch, Here: true,
		Executable: o.volley, Env: append(env, "TEMPORAL_CONFIG_FILE="+os.DevNull), Temporal: srv.address,
		Store: srv.store, Open: srv.open, RestartServer: restart,
		Say: func(format string, args ...any) { fmt.Fprintf(stderr, "chaos: "+format+"\n", args...) },
	}
}

// chaosServer is a Temporal server in a process of its own, which keeps its state in a file.
type chaosServer struct {
	// store is the address of the store.
	store string

	dir, port, address string
	cmd                *exec.Cmd
}

// start starts the server and waits until it answers.
func (s *chaosServer) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("the program itself, to run the server: %w", err)
	}
	//nolint:noctx // it is ended by kill, not by a context
	cmd := exec.Command(self, "up", "--no-ui", "--no-worker", "--no-gateway", "--temporal-port", s.port, "--sandbox-port", "0",
		"--state-dir", s.dir, "--db", filepath.Join(s.dir, "temporal.db"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.cmd = cmd
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var a addresses
	if err != nil || json.Unmarshal(line, &a) != nil {
		s.kill()
		return fmt.Errorf("the server did not start: %q", line)
	}
	s.address = a.Temporal
	_, s.port, _ = strings.Cut(a.Temporal, ":")
	return nil
}

func (s *chaosServer) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // how it ended does not matter
}

// restart kills the server and starts it again. A port that is not free yet is tried
// again.
func (s *chaosServer) restart(ctx context.Context) error {
	s.kill()
	var err error
	for range 20 {
		if err = s.start(context.WithoutCancel(ctx)); err == nil {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return err
}

// open connects with the configuration of a run.
func (s *chaosServer) open(ctx context.Context, file string) (*chaos.Cluster, error) {
	cfg, err := config.Load(file, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	o := temporalclient.Options{Log: zap.NewNop(), EnvLookup: environ{"TEMPORAL_ADDRESS": s.address, "TEMPORAL_CONFIG_FILE": os.DevNull}}
	c, err := temporalclient.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, cfg.Store, store.Options{})
	if err != nil {
		c.Close()
		return nil, err
	}
	batches := starter.New(c, starter.Options{
		TaskQueue: cfg.TaskQueue, InFlight: cfg.Limits.InFlight, MaxMessages: cfg.Limits.InlineMessages, MaxBytes: cfg.Limits.InlineBytes,
		Store: st, StoreURL: cfg.Store, Rates: cfg.Rates(), SearchMetadata: cfg.SearchMetadata, TrackAnswers: temporalclient.TrackAnswers,
		Redial: func(ctx context.Context) (client.Client, error) { return temporalclient.Dial(ctx, o) },
	})
	return &chaos.Cluster{
		Batches: batches, Router: cfg.Router(starter.DefaultTenant),
		OpenBatches: func(context.Context) (int, error) { return 0, nil }, // the server is this process's own
		Terminate:   func(ctx context.Context, id string) error { return c.TerminateWorkflow(ctx, id, "", "chaos") },
		History:     func(ctx context.Context, id string) ([]byte, error) { return temporalclient.History(ctx, c, id) },
		Close:       func() { _ = st.Close(); c.Close() },
	}, nil
}
