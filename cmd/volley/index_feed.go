package main

import (
	"context"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"volley/internal/config"
	"volley/internal/index"
	"volley/internal/indexer"
	"volley/starter"
	"volley/worker"
)

// quietFor is how long after a request no message counts as leaving any more.
const quietFor = time.Second

// feedIndex fills the index beside a worker, if there is one, until what it returns is
// called.
func (s *service) feedIndex(ctx context.Context, w *worker.Worker) (stop func()) {
	if s.index == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	feed := indexer.New(indexer.Options{
		Open:    func(ctx context.Context) (indexer.Index, error) { return s.index.Get(ctx) },
		Batches: s.batches, Owner: w.Identity(), Metadata: s.config.SearchMetadata, Retention: s.config.Index.Retention,
		Sending: func() bool { return w.Sending(quietFor) }, Metrics: s.metrics, Log: s.log,
	})
	var wg sync.WaitGroup
	wg.Go(func() { feed.Run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

func (a *app) indexRebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild",
		Short: "Make the index anew from Temporal and the store",
		Long: `Takes every batch anew into the index that Temporal still has, one after the other; what
find and stats say of a batch is missing while that goes on. Batches that Temporal no
longer has, the audit and suppressions stay as they are. Workers may run meanwhile. A
rebuild that was interrupted goes on where it was when the command is repeated.

An index that is empty needs no rebuild: workers fill it.`,
		Example:           "  volley index rebuild",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return a.withIndex(ctx, func(x *index.Index) error {
				return a.on(ctx, func(b batches) error { return a.rebuildIndex(ctx, x, b) })
			})
		},
	}
}

// rebuiltIndex is what a rebuild tells at its end.
type rebuiltIndex struct {
	Batches int  `json:"batches"`
	Failed  int  `json:"failed"`
	Resumed bool `json:"resumed"`
}

func (a *app) rebuildIndex(ctx context.Context, x *index.Index, b indexer.Batches) error {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	log, err := a.logger("warn")
	if err != nil {
		return err
	}
	since, resumed, err := x.Rebuild(ctx)
	if err != nil {
		return err
	}
	feed := indexer.New(indexer.Options{
		Open: func(context.Context) (indexer.Index, error) { return x, nil }, Batches: b, Metadata: c.SearchMetadata, Retention: c.Index.Retention, Log: log,
	})
	done := rebuiltIndex{Resumed: resumed}
	err = feed.Rebuild(ctx, since, func(ref starter.Ref, err error) {
		done.Batches++
		if err != nil {
			done.Failed++
			log.Warn("a batch could not be read", zap.String("batch_id", ref.ID), zap.String("tenant", ref.Tenant), zap.Error(err))
		}
	})
	if err != nil {
		return err
	}
	if err := x.Rebuilt(ctx); err != nil {
		return err
	}
	if a.json() {
		return a.print(done)
	}
	a.printf("%s taken in anew, %s could not be read\n", plural(done.Batches-done.Failed, "batch"), number(done.Failed))
	return nil
}
