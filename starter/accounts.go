package starter

import (
	"context"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// pollerAge is how long ago a worker that is still there has polled at most: a poll takes
// a minute when there is nothing to do.
const pollerAge = 70 * time.Second

// AccountsQuery says which accounts to look at.
type AccountsQuery struct {
	// Accounts are name, provider and rate of each; a rate of 0 is none.
	Accounts []AccountOf
	// ByTenant is the tenant who asks: only holds of its messages are shown. Empty is an
	// operator.
	ByTenant string
}

// AccountOf is an account of the configuration.
type AccountOf struct {
	Name, Provider string
	Rate           float64
}

// AccountHealth is how an account stands. Breaker, InFlight and LastReport are known to
// batches and workers only, Errors to an index only: without one they are null.
type AccountHealth struct {
	Name     string            `json:"name"`
	Provider string            `json:"provider"`
	Held     *message.HoldView `json:"held"`
	Breaker  *string           `json:"breaker"`
	// Rate is what the account may send, such as 500/s; null is no limit.
	Rate *string `json:"rate"`
	// Used is how many attempts a second the server hands out now; null where it does not
	// say, or where groups send, of which each is many messages.
	Used     *float64 `json:"used"`
	InFlight *int     `json:"inFlight"`
	// Workers are those that polled for its attempts within 70 s.
	Workers    int        `json:"workers"`
	LastReport *time.Time `json:"lastReport"`
	Errors     []struct{} `json:"errors"`
}

// AccountList answers Accounts.
type AccountList struct {
	Accounts []AccountHealth `json:"accounts"`
}

// Accounts tells how accounts stand. Errors: ErrUnreachable.
func (s *Starter) Accounts(ctx context.Context, q AccountsQuery) (AccountList, error) {
	holds, err := s.Holds(ctx)
	if err != nil {
		return AccountList{}, err
	}
	list := AccountList{Accounts: make([]AccountHealth, len(q.Accounts))}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	for i, a := range q.Accounts {
		h := &list.Accounts[i]
		h.Errors = []struct{}{}
		h.Name, h.Provider, h.Held = a.Name, a.Provider, heldAccount(holds, a.Name, q.ByTenant)
		if a.Rate > 0 {
			text := fmt.Sprintf("%g/s", a.Rate)
			h.Rate = &text
		}
		group.Go(func() error { return s.lookAtQueues(gctx, h) })
	}
	if err := group.Wait(); err != nil {
		return AccountList{}, server.Translate(ctx, "accounts", err)
	}
	return list, nil
}

// heldAccount is what holds all messages through an account, or all of a tenant's.
func heldAccount(holds []Hold, account, tenant string) *message.HoldView {
	i := slices.IndexFunc(holds, func(x Hold) bool {
		whole := x.Meta == "" && x.From == 0 && (x.Account == "" || x.Account == account)
		return whole && (x.Tenant == "" || x.Tenant == tenant)
	})
	if i < 0 {
		return nil
	}
	return holds[i].Told().View()
}

// lookAtQueues reads who polls for an account's attempts, and how many are handed out.
func (s *Starter) lookAtQueues(ctx context.Context, h *AccountHealth) error {
	sends, err := s.describeQueue(ctx, contract.SendQueue(h.Name))
	if err != nil {
		return err
	}
	groups, err := s.describeQueue(ctx, contract.GroupQueue(h.Name))
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, p := range sends.GetPollers() {
		if s.o.Now().Sub(p.GetLastAccessTime().AsTime()) <= pollerAge {
			there[p.GetIdentity()] = true
		}
	}
	h.Workers = len(there)
	if stats := sends.GetStats(); stats != nil && groups.GetStats().GetTasksDispatchRate() == 0 {
		used := float64(stats.GetTasksDispatchRate())
		h.Used = &used
	}
	return nil
}

func (s *Starter) describeQueue(ctx context.Context, queue string) (*workflowservice.DescribeTaskQueueResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	return s.server.Client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: s.o.Namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportStats: true,
	})
}
