package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"volley/internal/index"
	"volley/internal/indexer"
	"volley/worker"
)

// forgetIndex removes an index whose batches were in the memory of a process before.
func (s *stack) forgetIndex(file string) error {
	if s.o.db != "" {
		return nil
	}
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("index: %w", err)
		}
	}
	return nil
}

// openIndex opens the index of the configuration, if there is one.
func (s *stack) openIndex(ctx context.Context) error {
	x := s.cfg.Index
	if x.URL.IsZero() || s.o.noIndex {
		return nil
	}
	s.index = index.NewLater(func(ctx context.Context) (*index.Index, error) {
		return index.Open(ctx, index.Options{
			URL: x.URL.Reveal(), Keys: index.NewKeys(s.keyset, s.temporal.Namespace()), Retention: x.Retention, StatsRetention: x.StatsRetention, Log: s.log.Named("index"),
		})
	})
	s.stops = append(s.stops, s.index.Close)
	s.followSuppressions(ctx)
	return nil
}

// feedIndex fills the index beside a worker, where there is one, until what it returns is
// called.
func (s *stack) feedIndex(ctx context.Context, w *worker.Worker) (stop func()) {
	if s.index == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	feed := indexer.New(indexer.Options{
		Open:    func(ctx context.Context) (indexer.Index, error) { return s.index.Get(ctx) },
		Batches: s.starter, Owner: w.Identity(), Metadata: s.cfg.SearchMetadata, Retention: s.cfg.Index.Retention,
		Sending: func() bool { return w.Sending(time.Second) }, Log: s.log.Named("index"),
	})
	var running sync.WaitGroup
	running.Go(func() { feed.Run(ctx) })
	return func() { cancel(); running.Wait() }
}
