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

	"volley/internal/health"
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

// AccountHealth is how an account stands. Breaker, InFlight and Errors are null where no
// worker that lives has told of them, LastReport where no gateway has, which is so until the
// first report since it started.
type AccountHealth struct {
	Name string `json:"name"`
	// Provider is empty where the account is held and not in the configuration.
	Provider string            `json:"provider"`
	Held     *message.HoldView `json:"held"`
	// Rate is what the account may send, such as 500/s; null is no limit.
	Rate *string `json:"rate"`
	// Used is how many attempts a second the server has handed out in the last half
	// minute; null where it does not say, or where groups were among them, of which each is
	// many messages, as Groups says.
	Used   *float64 `json:"used"`
	Groups bool     `json:"groups"`
	// Queued is how many attempts and groups wait at the server for a worker, or for the
	// rate; null where it does not say.
	Queued *int `json:"queued"`
	// Workers are those that polled for its attempts within 70 s.
	Workers int `json:"workers"`
	// Breaker is open where a batch lets nothing but probes through, as the account was
	// unavailable, and the last probe found it so; else it is closed.
	Breaker *string `json:"breaker"`
	// InFlight is how many requests are under way. A tenant is not told it, as those of
	// others are among them.
	InFlight   *int       `json:"inFlight"`
	LastReport *time.Time `json:"lastReport"`
	// Errors are the codes that the account answered in the last hour, the most frequent
	// first, at most ten. A tenant is not told them.
	Errors []AccountError `json:"errors"`
	// AsOf is when the oldest of the processes told what Breaker, InFlight, LastReport and
	// Errors say; null where nobody knows any of them.
	AsOf *time.Time `json:"asOf"`
}

// Values of AccountHealth.Breaker.
const (
	BreakerOpen   = "open"
	BreakerClosed = "closed"
)

// AccountError is a code that an account answered, how often, and when last.
type AccountError struct {
	Code  string    `json:"code"`
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
}

// AccountList answers Accounts.
type AccountList struct {
	Accounts []AccountHealth `json:"accounts"`
	// Holds are all that there are, or those that the tenant made who asks, in the order in
	// which they were made.
	Holds []HoldDocument `json:"holds"`
}

// Accounts tells how accounts stand, to an operator also those that are held and not among
// q.Accounts. Errors: ErrUnreachable.
func (s *Starter) Accounts(ctx context.Context, q AccountsQuery) (AccountList, error) {
	holds, err := s.Holds(ctx)
	if err != nil {
		return AccountList{}, err
	}
	accounts := slices.Clone(q.Accounts)
	list := AccountList{Holds: []HoldDocument{}}
	for i := range holds {
		x := &holds[i]
		if q.ByTenant == "" || x.By == message.HeldByTenant && x.Tenant == q.ByTenant {
			list.Holds = append(list.Holds, documentOf(x))
		}
		named := func(a AccountOf) bool { return a.Name == x.Account }
		if q.ByTenant == "" && x.Account != "" && !slices.ContainsFunc(accounts, named) {
			accounts = append(accounts, AccountOf{Name: x.Account})
		}
	}
	told, err := health.Read(ctx, s.server.Client.WorkflowService(), s.o.Namespace, s.o.TaskQueue, s.o.Now())
	if err != nil {
		return AccountList{}, server.Translate(ctx, "accounts", err)
	}
	list.Accounts = make([]AccountHealth, len(accounts))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	for i, a := range accounts {
		h := &list.Accounts[i]
		h.Name, h.Provider, h.Held = a.Name, a.Provider, heldAccount(holds, a.Name, q.ByTenant)
		if a.Rate > 0 {
			text := fmt.Sprintf("%g/s", a.Rate)
			h.Rate = &text
		}
		if x, known := told[a.Name]; known {
			h.tell(&x, q.ByTenant == "")
		}
		group.Go(func() error { return s.lookAtQueues(gctx, h) })
	}
	if err := group.Wait(); err != nil {
		return AccountList{}, server.Translate(ctx, "accounts", err)
	}
	return list, nil
}

// tell fills in what processes tell of an account. What it does for others than who asks is
// only for operators.
func (h *AccountHealth) tell(x *health.Account, operator bool) {
	h.AsOf = &x.AsOf
	if !x.Reported.IsZero() {
		h.LastReport = &x.Reported
	}
	if !x.Sends {
		return
	}
	breaker := BreakerClosed
	if x.Unavailable {
		breaker = BreakerOpen
	}
	h.Breaker = &breaker
	if !operator {
		return
	}
	h.InFlight, h.Errors = &x.InFlight, []AccountError{}
	for _, e := range x.Errors {
		h.Errors = append(h.Errors, AccountError(e))
	}
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
	h.Workers = s.workersOf(sends)
	h.Groups = groups.GetStats().GetTasksDispatchRate() > 0
	if sends.GetStats() != nil && groups.GetStats() != nil {
		queued := int(sends.GetStats().GetApproximateBacklogCount() + groups.GetStats().GetApproximateBacklogCount())
		h.Queued = &queued
	}
	if stats := sends.GetStats(); stats != nil && !h.Groups {
		used := float64(stats.GetTasksDispatchRate())
		h.Used = &used
	}
	return nil
}

// workersOf is how many workers poll a queue.
func (s *Starter) workersOf(queue *workflowservice.DescribeTaskQueueResponse) int {
	there := map[string]bool{}
	for _, p := range queue.GetPollers() {
		if s.o.Now().Sub(p.GetLastAccessTime().AsTime()) <= pollerAge {
			there[p.GetIdentity()] = true
		}
	}
	return len(there)
}

// Unserved are those of some accounts that no worker polls for. One of which the server
// does not tell is none.
func (s *Starter) Unserved(ctx context.Context, accounts []string) (none []string) {
	for _, name := range accounts {
		queue, err := s.describeQueue(ctx, contract.SendQueue(name))
		if err == nil && s.workersOf(queue) == 0 {
			none = append(none, name)
		}
	}
	return none
}

func (s *Starter) describeQueue(ctx context.Context, queue string) (*workflowservice.DescribeTaskQueueResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	return s.server.Client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: s.o.Namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportStats: true,
	})
}
