package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"volley/internal/chaos"
	"volley/internal/config"
	"volley/internal/store"
	"volley/internal/temporalclient"
	"volley/starter"
)

type chaosFlags struct {
	messages               int
	seed                   uint64
	faults, dispatch, json string
	here                   bool
}

func (a *app) chaosCommand() *cobra.Command {
	var f chaosFlags
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Prove on your own cluster that nothing is lost and nothing doubled",
		Long: `Sends messages to a sink of its own, through Temporal and two worker processes that it
starts, disturbs all of it, and compares what the sink took with what Volley says.
Workers are killed and stopped, their connections to Temporal and to the sink are cut
and slowed down, the sink refuses, drops and garbles, the store goes away; batches are
canceled, paused, rescheduled, terminated and redriven, and an account is held.

Queues, accounts, ids and the folder in the store are the run's own, and only processes
that it started are killed. --seed decides what comes in which order; when exactly it
hits is not repeatable. Exit code 1 is a promise that was not kept, or that there is no
proof either way.`,
		Example:           "  volley chaos --messages 2000 --seed 7 --faults 20%",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.chaos(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.IntVar(&f.messages, "messages", 1000, "how many messages are sent, `N`")
	fl.Uint64Var(&f.seed, "seed", 1, "what decides the faults, `S`")
	fl.StringVar(&f.faults, "faults", "20%", "the share `P` of requests that misbehave; other faults come the closer the larger it is")
	fl.StringVar(&f.dispatch, "dispatch", "both", "message, group or both")
	fl.BoolVar(&f.here, "here", false, "run in a namespace in which batches of others run")
	fl.StringVar(&f.json, "json", "", "write the report to a `file` as JSON, too")
	offer(cmd, "dispatch", "message", "group", "both")
	return cmd
}

func (a *app) chaos(ctx context.Context, f chaosFlags) error {
	faults, err := parseShare(f.faults)
	if err != nil {
		return usage("--faults %q, expected a share such as 20%% or 0.2", f.faults)
	}
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	settings, err := temporalclient.ClientOptions(temporalclient.Options{EnvLookup: a.env})
	if err != nil {
		return err
	}
	if _, err := keysetOf(c); err != nil {
		return err
	}
	if err := writable(f.json); err != nil {
		return err
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("the program itself, to run workers: %w", err)
	}
	o := chaos.Options{
		Messages: f.messages, Seed: f.seed, Faults: faults, Dispatch: f.dispatch, Here: f.here,
		Executable: executable, Env: a.env, Temporal: settings.HostPort, ServerName: a.serverName(settings), Store: c.Store,
		Keyset: c.Keyset.Reveal(), Open: func(ctx context.Context, file string) (*chaos.Cluster, error) {
			return a.openCluster(ctx, file, c.Keyset.Reveal())
		},
		Say: a.note,
	}
	rep, err := chaos.Run(ctx, o)
	var wrong *chaos.OptionError
	switch {
	case errors.As(err, &wrong):
		return usage("--%s", wrong)
	case err != nil:
		return err
	}
	b := build()
	rep.Version, rep.Commit = b.Version, b.Commit
	if err := a.showChaos(rep, f.json); err != nil {
		return err
	}
	if n := len(rep.Violations); n > 0 {
		return &exitError{code: exitFailed, err: fmt.Errorf("%s", plural(n, "violation"))}
	}
	return nil
}

// writable is an error where a file cannot be written, which is known before a run and not
// after it. Empty is no file.
func writable(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return usage("--json: %v", err)
	}
	return f.Close()
}

// showChaos prints a report, and writes it to a file where one is named.
func (a *app) showChaos(rep *chaos.Report, file string) error {
	if file != "" {
		text, err := json.MarshalIndent(rep, "", "  ")
		if err != nil {
			return fmt.Errorf("the report as JSON: %w", err)
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
	}
	if a.json() {
		return a.print(rep)
	}
	return rep.Text(a.stdout)
}

// serverName is what the certificate of a server with TLS is for, which workers cannot see
// from the proxy that they connect to; empty is a server without TLS, or that it is known.
func (a *app) serverName(o client.Options) string {
	if _, known := a.env.LookupEnv("TEMPORAL_TLS_SERVER_NAME"); known || o.ConnectionOptions.TLS == nil && o.Credentials == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(o.HostPort)
	if err != nil {
		return o.HostPort
	}
	return host
}

// parseShare reads a share of one, as 20% or 0.2.
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err == nil && !(v >= 0 && v <= 1) {
		err = errors.New("not from 0 to 1")
	}
	return v, err
}

// openCluster connects with the configuration of a chaos run.
func (a *app) openCluster(ctx context.Context, file, keyset string) (*chaos.Cluster, error) {
	c, err := config.Load(file, func(name string) (string, bool) {
		if name == chaos.KeysetVariable {
			return keyset, true
		}
		return a.env.LookupEnv(name)
	})
	if err != nil {
		return nil, err
	}
	k, err := keysetOf(c)
	if err != nil {
		return nil, err
	}
	log, err := a.logger("error")
	if err != nil {
		return nil, err
	}
	o := temporalclient.Options{Log: log, EnvLookup: a.env, Keyset: k}
	settings, err := temporalclient.ClientOptions(o)
	if err != nil {
		return nil, err
	}
	tc, err := temporalclient.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, c.Store, store.Options{Log: log, CacheBytes: commandCache, Keyset: k, Namespace: settings.Namespace})
	if err != nil {
		tc.Close()
		return nil, fmt.Errorf("store: %w", err)
	}
	so := starterOptions(c, settings, log)
	so.Store = st
	askAgain(&so, o)
	return newCluster(tc, st, starter.New(tc, so), c, settings.Namespace), nil
}

func newCluster(tc client.Client, st *store.Store, s *starter.Starter, c *config.Config, namespace string) *chaos.Cluster {
	return &chaos.Cluster{
		Batches: s, Router: c.Router(starter.DefaultTenant),
		OpenBatches: func(ctx context.Context) (int, error) {
			n, err := tc.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
				Namespace: namespace, Query: starter.OpenBatchesQuery(),
			})
			return int(n.GetCount()), err
		},
		Terminate: func(ctx context.Context, id string) error { return tc.TerminateWorkflow(ctx, id, "", "chaos") },
		History:   func(ctx context.Context, id string) ([]byte, error) { return temporalclient.History(ctx, tc, id) },
		Close: func() {
			_ = st.Close() // nothing is under way
			tc.Close()
		},
	}
}
