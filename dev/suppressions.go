package main

import (
	"context"
	"sync"

	"volley/internal/person"
	"volley/internal/suppression"
)

// followSuppressions follows the suppression list for the worker and the gateway, where
// there is an index, until the stack stops; both of them stop first.
func (s *stack) followSuppressions(ctx context.Context) {
	if s.index == nil {
		return
	}
	s.suppressed = suppression.New(suppression.Options{
		Open:         func(ctx context.Context) (suppression.Source, error) { return s.index.Get(ctx) },
		SendsUnknown: s.cfg.SendsUnsuppressed, Log: s.log.Named("suppressions"),
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { s.suppressed.Run(ctx) })
	s.stops = append(s.stops, func() error { cancel(); running.Wait(); return nil })
}

// persons is what the gateway and the console do about one person; it needs the index.
func (s *stack) persons() *person.Service {
	return &person.Service{Index: s.index, Batches: s.starter, Store: s.store}
}
