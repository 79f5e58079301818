package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"volley/internal/audit"
	"volley/internal/console"
	"volley/starter"
)

// consoleFlags say where the console is.
type consoleFlags struct {
	listen string
	hosts  []string
	// given means that somebody chose the address.
	given func() bool
}

// defaultConsole is where the console is unless somebody says otherwise.
const defaultConsole = "127.0.0.1:8090"

func (f *consoleFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.listen, "console-listen", defaultConsole, "`address` of the console; empty is no console")
	fl.StringSliceVar(&f.hosts, "console-host", nil, "`name` under which the console answers beside localhost and addresses, such as that of a proxy\nbefore it; may be repeated")
	f.given = func() bool { return fl.Changed("console-listen") }
}

// servedConsole is a console with its listener; the zero value is none.
type servedConsole struct {
	pages *console.Console
	l     net.Listener
	log   *zap.Logger
}

// suppressedFunc reports at acceptance whether a tenant's messages are not sent.
type suppressedFunc = func(tenant, region string, addresses []string) bool

// open listens for the console. Without people there is none, since nobody could log in.
// Where the default address is taken, as by another gateway on this machine, there is none
// either.
func (f *consoleFlags) open(ctx context.Context, s *service, log *audit.Log, suppressed suppressedFunc) (servedConsole, error) {
	people := s.config.People()
	switch {
	case f.listen == "":
		return servedConsole{}, nil
	case people.Empty() && f.given():
		return servedConsole{}, usage("--console-listen: the configuration has no people who could log in")
	case people.Empty():
		s.log.Info("there is no console, since the configuration has no people who could log in")
		return servedConsole{}, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.listen)
	if errors.Is(err, syscall.EADDRINUSE) && !f.given() {
		s.log.Warn("there is no console, since its address is taken; --console-listen names another one", zap.String("address", f.listen))
		return servedConsole{}, nil
	}
	if err != nil {
		return servedConsole{}, fmt.Errorf("--console-listen: %w", err)
	}
	o := console.Options{
		Batches: s.batches, People: people, Hosts: f.hosts, Callers: s.config.Callers(), Limits: s.config.Intake(), Estimates: s.config.Estimates(),
		ConfirmAbove: s.config.ConfirmAbove, SearchMetadata: s.config.SearchMetadata, Audit: log, Log: s.log.Named("console"),
	}
	if s.index != nil {
		o.Index, o.Persons, o.Suppressed = s.index, s.persons(), suppressed
	}
	for _, x := range s.config.Accounts() {
		o.Accounts = append(o.Accounts, starter.AccountOf{Name: x.Name, Provider: x.Provider, Rate: x.Rate})
	}
	return servedConsole{console.New(o), l, s.log}, nil
}

// close closes a listener that beside has not.
func (c servedConsole) close() {
	if c.l != nil {
		_ = c.l.Close() // it may be closed
	}
}

// beside serves the console while work runs. That the console fails does not end work.
func (c servedConsole) beside(ctx context.Context, work func(context.Context) error) error {
	if c.pages == nil {
		return work(ctx)
	}
	serving, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if err := c.pages.Serve(serving, c.l); err != nil {
			c.log.Error("the console stopped", zap.Error(err))
		}
	})
	return work(ctx)
}
