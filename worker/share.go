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
	// shareEvery is how often a worker looks who else sends through an account, and
	// lookEvery how much longer each account makes that, up to shareLimit.
	shareEvery = 2 * time.Second
	lookEvery  = 200 * time.Millisecond
	shareLimit = 10 * time.Second
	// shareSlack is how much longer than that the looks of another worker may take.
	shareSlack = 500 * time.Millisecond
	// shareWait bounds one look, joinWait how long a worker that has come looks for
	// itself, every joinEvery.
	shareWait = 5 * time.Second
	joinWait  = 10 * time.Second
	joinEvery = 100 * time.Millisecond
	// polled is how long ago a worker that is still there has polled at most: a
	// poll takes a minute when there is nothing to do.
	polled = 70 * time.Second
)

// describer tells who polls a queue; client.Client is one.
type describer interface {
	DescribeTaskQueue(ctx context.Context, queue string, kind enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error)
}

// sharer is what takes a worker's share; *activities.Activities is one.
type sharer interface {
	Share(account string, processes int)
	Hold(account string)
	Release(account string)
}

// shares keeps the sum of all workers' rates at each account's: it gives this
// worker its part of a rate among those that poll for the account's attempts. A
// worker that comes sends nothing until the others must have seen it.
type shares struct {
	describe describer
	sharer   sharer
	identity string
	accounts []string
	log      *zap.Logger

	mu     sync.Mutex
	counts map[string]int
}

// hold keeps this worker from sending until watch has it join the others. It comes
// before the first poll.
func (s *shares) hold() {
	for _, account := range s.accounts {
		s.sharer.Hold(account)
	}
}

// every is how much time there is between two looks.
func (s *shares) every() time.Duration {
	return min(shareLimit, max(shareEvery, time.Duration(len(s.accounts))*lookEvery))
}

// watch joins the others and then looks until ctx ends.
func (s *shares) watch(ctx context.Context) {
	if len(s.accounts) == 0 {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, account := range s.accounts {
		wg.Go(func() { s.join(ctx, account) })
	}
	tick := time.NewTicker(s.every())
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

// join ends hold for an account: at once for a worker that sees itself polling and
// nobody else, and otherwise when the others have looked since they could see it.
// Of two that come at once, at least one sees the other.
func (s *shares) join(ctx context.Context, account string) {
	defer s.sharer.Release(account)
	began := time.Now()
	for time.Since(began) < joinWait {
		look, cancel := context.WithTimeout(ctx, shareWait)
		seen, workers := s.lookAt(look, account)
		cancel()
		if seen {
			if workers > 1 {
				pause(ctx, s.every()+shareSlack)
			}
			return
		}
		if !pause(ctx, joinEvery) {
			return
		}
	}
}

// pause reports whether ctx let it last.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
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

// lookAt sets the share of an account, and tells how many workers there are and
// whether this one is seen among them.
func (s *shares) lookAt(ctx context.Context, account string) (seen bool, workers int) {
	res, err := s.describe.DescribeTaskQueue(ctx, workflows.SendQueue(account), enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		if ctx.Err() != context.Canceled {
			s.log.Warn("who shares an account's rate could not be read", zap.String("account", account), zap.Error(err))
		}
		return false, 0
	}
	there := map[string]bool{}
	for _, p := range res.GetPollers() {
		if time.Since(p.GetLastAccessTime().AsTime()) <= polled {
			there[p.GetIdentity()] = true
		}
	}
	seen = there[s.identity]
	there[s.identity] = true
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[account] != len(there) {
		s.counts[account] = len(there)
		s.log.Info("an account's rate is shared", zap.String("account", account), zap.Int("workers", len(there)))
		s.sharer.Share(account, len(there))
	}
	return seen, len(there)
}
