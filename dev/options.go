package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
)

const (
	cmdUp   = "up"
	cmdDemo = "demo"
)

var errUsage = errors.New("wrong usage")

// options are the command line.
type options struct {
	command                                                                string
	temporalPort, uiPort, gatewayPort, sandboxPort, codecPort, consolePort int
	db, stateDir, config, examples                                         string
	noUI, noWorker, noGateway, noConsole, noIndex                          bool
	// hosts are names under which the sandbox and the Web UI answer beside their own.
	hosts []string
}

// parse reads the command line; flags may stand before or after the command.
func parse(args []string, stderr io.Writer) (options, error) {
	o := options{command: cmdUp}
	f := flag.NewFlagSet("dev", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintln(stderr, "usage: dev [up|demo] [flags]\n\nA port of 0 picks a free one.")
		f.PrintDefaults()
	}
	f.IntVar(&o.temporalPort, "temporal-port", 7233, "port of the Temporal server")
	f.IntVar(&o.uiPort, "ui-port", 8233, "port of Temporal's Web UI")
	f.IntVar(&o.gatewayPort, "gateway-port", 8080, "port of the gateway")
	f.IntVar(&o.sandboxPort, "sandbox-port", 8081, "port of the sandbox that answers like the providers")
	f.IntVar(&o.codecPort, "codec-port", 0, "port of the codec endpoint, by which the Web UI shows what payloads say")
	f.IntVar(&o.consolePort, "console-port", 8090, "port of the console")
	f.StringVar(&o.db, "db", "", "`file` that keeps all state across restarts; without it everything is in memory")
	f.StringVar(&o.stateDir, "state-dir", "", "`directory` for volley.yaml and what else is written (default ../.volley; demo: a temporary one)")
	f.StringVar(&o.config, "config", "", "`file` with the worker's configuration, instead of one whose accounts are the sandbox")
	f.StringVar(&o.examples, "examples", "../examples", "`directory` of the batches that demo sends")
	f.Func("allow-host", "`name` under which the sandbox and the Web UI answer beside localhost, 127.0.0.1 and [::1]; may be repeated", func(s string) error {
		o.hosts = append(o.hosts, s)
		return nil
	})
	f.BoolVar(&o.noUI, "no-ui", false, "leave out the Web UI")
	f.BoolVar(&o.noWorker, "no-worker", false, "leave out the worker")
	f.BoolVar(&o.noConsole, "no-console", false, "leave out the console")
	f.BoolVar(&o.noGateway, "no-gateway", false, "leave out the gateway")
	f.BoolVar(&o.noIndex, "no-index", false, "leave out the index that find and stats ask")

	var words []string
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return o, err
			}
			return o, fmt.Errorf("%w: %w", errUsage, err)
		}
		if args = f.Args(); len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	switch {
	case len(words) == 0:
	case len(words) == 1 && slices.Contains([]string{cmdUp, cmdDemo}, words[0]):
		o.command = words[0]
	default:
		return o, fmt.Errorf("%w: expected one of up, demo, got %q", errUsage, words)
	}
	if o.command == cmdDemo && o.noWorker {
		return o, fmt.Errorf("%w: a demo needs the worker", errUsage)
	}
	if o.command == cmdDemo && o.noGateway {
		return o, fmt.Errorf("%w: a demo needs the gateway", errUsage)
	}
	return o, nil
}
