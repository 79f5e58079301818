package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"volley/dev/server"
)

func main() {
	server.Relax()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// modes are the subcommands, each with its own defaults in options.
func modes() map[string]func(context.Context, options, io.Writer) error {
	return map[string]func(context.Context, options, io.Writer) error{
		"compare": compare, "scale": scale, "pacing": pacing, "fair": fair, "due": due, "stragglers": stragglers, "gateway": atGateway, "index": atIndex, "encryption": atEncryption,
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	name := "compare"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	mode, ok := modes()[name]
	if !ok {
		return fmt.Errorf("unknown command %q, expected compare, scale, pacing, fair, due, stragglers, gateway, index or encryption", name)
	}
	o, err := parse(name, args)
	if err != nil {
		return err
	}
	return mode(ctx, o, out)
}
