package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"volley/workflows/contract"
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
	// poll takes a minute when there is nothing to do. Only a worker that was killed
	// is counted for so long; one that stops says so.
	polled = 70 * time.Second
)

// server tells who polls a queue and who has stopped; the service of a client is one.
type server interface {
	DescribeTaskQueue(
		context.Context, *workflowservice.DescribeTaskQueueRequest, ...grpc.CallOption,
	) (*workflowservice.DescribeTaskQueueResponse, error)
	ListWorkers(context.Context, *workflowservice.ListWorkersRequest, ...grpc.CallOption) (*workflowservice.ListWorkersResponse, error)
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
	server    server
	namespace string
	sharer    sharer
	identity  string
	accounts  []string
	log       *zap.Logger
	// serverNow is the server's time; nil is this machine's.
	serverNow func() time.Time

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
	for tick := time.Tick(s.every()); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			s.updateAll(ctx)
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
		seen, workers := s.update(ctx, account)
		if seen && workers > 1 {
			pause(ctx, s.every()+shareSlack)
		}
		if seen || !pause(ctx, joinEvery) {
			return
		}
	}
}

// pause reports whether ctx let it last.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// updateAll sets the share of every account. Where the server does not answer, the last
// one stays.
func (s *shares) updateAll(ctx context.Context) {
	var wg sync.WaitGroup
	for _, account := range s.accounts {
		wg.Go(func() { s.update(ctx, account) })
	}
	wg.Wait()
}

// update sets the share of an account, and tells how many workers there are and
// whether this one is seen among them.
func (s *shares) update(ctx context.Context, account string) (seen bool, workers int) {
	ctx, cancel := context.WithTimeout(ctx, shareWait)
	defer cancel()
	there, err := s.polling(ctx, contract.SendQueue(account))
	if err != nil {
		if ctx.Err() != context.Canceled {
			s.log.Warn("who shares an account's rate could not be read", zap.String("account", account), zap.Error(err))
		}
		return false, 0
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

// polling is who polls a queue: the server remembers for minutes who has, so those
// that have stopped since are taken out.
func (s *shares) polling(ctx context.Context, queue string) (map[string]bool, error) {
	res, err := s.server.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: s.namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY,
	})
	if err != nil {
		return nil, err
	}
	now := time.Now
	if s.serverNow != nil {
		now = s.serverNow
	}
	there := map[string]bool{}
	for _, p := range res.GetPollers() {
		if now().Sub(p.GetLastAccessTime().AsTime()) <= polled {
			there[p.GetIdentity()] = true
		}
	}
	if len(there) == 0 || len(there) == 1 && there[s.identity] {
		return there, nil
	}
	stopped, err := s.server.ListWorkers(ctx, &workflowservice.ListWorkersRequest{
		Namespace: s.namespace, Query: fmt.Sprintf("WorkerStatus = 'ShuttingDown' AND TaskQueue = '%s'", queue),
	})
	if err != nil {
		// A server that keeps no list of workers is no reason to use less of the rate
		// than the pollers say.
		s.log.Debug("which workers have stopped could not be read", zap.String("queue", queue), zap.Error(err))
		return there, nil
	}
	for _, w := range stopped.GetWorkers() {
		delete(there, w.GetWorkerIdentity())
	}
	return there, nil
}
