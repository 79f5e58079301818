package worker

import (
	"context"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.uber.org/zap"

	"volley/workflows"
)

const (
	// shareEvery is how often a worker looks who else sends through an account.
	shareEvery = 10 * time.Second
	// shareWait bounds one look.
	shareWait = 5 * time.Second
	// polled is how long ago a worker that is still there has polled at most: a
	// poll takes a minute when there is nothing to do.
	polled = 70 * time.Second
)

// describer tells who polls a queue; client.Client is one.
type describer interface {
	DescribeTaskQueue(ctx context.Context, queue string, kind enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error)
}

// shares keeps the sum of all workers' rates at each account's: it gives this
// worker its part of a rate among those that poll for the account's attempts.
type shares struct {
	describe describer
	set      func(account string, workers int)
	identity string
	accounts []string
	log      *zap.Logger

	mu     sync.Mutex
	counts map[string]int
}

// watch looks until ctx ends.
func (s *shares) watch(ctx context.Context) {
	if len(s.accounts) == 0 {
		return
	}
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.look(ctx)
		}
	}
}

// look sets the share of every account. Where the server does not answer, the last
// one stays.
func (s *shares) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shareWait)
	defer cancel()
	var wg sync.WaitGroup
	for _, account := range s.accounts {
		wg.Go(func() { s.lookAt(ctx, account) })
	}
	wg.Wait()
}

func (s *shares) lookAt(ctx context.Context, account string) {
	res, err := s.describe.DescribeTaskQueue(ctx, workflows.SendQueue(account), enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		if ctx.Err() != context.Canceled {
			s.log.Warn("who shares an account's rate could not be read", zap.String("account", account), zap.Error(err))
		}
		return
	}
	workers := map[string]bool{s.identity: true}
	for _, p := range res.GetPollers() {
		if time.Since(p.GetLastAccessTime().AsTime()) <= polled {
			workers[p.GetIdentity()] = true
		}
	}
	s.mu.Lock()
	changed := s.counts[account] != len(workers)
	s.counts[account] = len(workers)
	s.mu.Unlock()
	if changed {
		s.log.Info("an account's rate is shared", zap.String("account", account), zap.Int("workers", len(workers)))
		s.set(account, len(workers))
	}
}
