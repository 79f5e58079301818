package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"volley/dev/server"
)

func main() {
	server.Relax()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(1)
	}
}

// run is the whole program. It returns when ctx ends or, for a demo, when all
// messages have ended; everything that it started has stopped by then.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == cmdChaos {
		return chaosCommand(ctx, args[1:], stdout, stderr)
	}
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	s, err := start(ctx, o, stderr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; --temporal-port, --ui-port, --gateway-port, --sandbox-port, --codec-port and --console-port choose others, and 0 picks a free one", err)
	}
	if err != nil {
		return err
	}
	if err := s.announce(stdout, stderr); err != nil {
		return errors.Join(err, s.stop())
	}
	if o.command == cmdDemo {
		err = demo(ctx, s, stdout, stderr)
	} else {
		err = s.wait(ctx)
		fmt.Fprintln(stderr, "\nStopping: attempts under way have 30 s to end. A second Ctrl-C ends it at once.")
	}
	return errors.Join(err, s.stop())
}
