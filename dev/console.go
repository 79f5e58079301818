package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"volley/internal/console"
	"volley/starter"
)

// startConsole serves the console to everybody on this machine.
func (s *stack) startConsole(ctx context.Context) error {
	if s.o.noConsole {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.o.consolePort)))
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	s.console = "http://" + l.Addr().String()
	o := console.Options{
		Batches: s.starter, Open: true, Hosts: s.o.hosts, Callers: s.cfg.Callers(), Limits: s.cfg.Intake(), ConfirmAbove: s.cfg.ConfirmAbove,
		Estimates: s.cfg.Estimates(), Audit: s.audit, SearchMetadata: s.cfg.SearchMetadata, Zone: time.Local, Log: s.log.Named("console"),
	}
	if s.index != nil {
		o.Index, o.Persons, o.Suppressed = s.index, s.persons(), s.suppressed.Suppressed
	}
	for _, a := range s.cfg.Accounts() {
		o.Accounts = append(o.Accounts, starter.AccountOf{Name: a.Name, Provider: a.Provider, Rate: a.Rate})
	}
	c := console.New(o)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Serve(ctx, l); err != nil {
			s.failed <- err
		}
	}()
	s.stops = append(s.stops, func() error { cancel(); <-done; return nil })
	return nil
}
