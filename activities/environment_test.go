package activities_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

// sender is a scripted account. It remembers what it was asked to send.
type sender struct {
	answer func(ctx context.Context, m message.Outgoing) (message.Receipt, error)

	mu   sync.Mutex
	seen []message.Outgoing
}

func (s *sender) Send(ctx context.Context, m message.Outgoing) (message.Receipt, error) {
	s.mu.Lock()
	s.seen = append(s.seen, m)
	s.mu.Unlock()
	if s.answer == nil {
		return message.Receipt{ProviderID: "p-1"}, nil
	}
	return s.answer(ctx, m)
}

func (s *sender) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// asker is a sender that can be asked.
type asker struct {
	sender
	tell func(ctx context.Context, q provider.Query) (provider.Answer, error)
}

func (a *asker) Reconcile(ctx context.Context, q provider.Query) (provider.Answer, error) {
	return a.tell(ctx, q)
}

// accounts are senders by account.
type accounts map[string]provider.Sender

func (a accounts) Sender(account string) (provider.Sender, bool) {
	s, ok := a[account]
	return s, ok
}

// environment runs activities as a workflow's worker does. The zero value is usable.
type environment struct {
	// workflow is the workflow's id, batch-b when empty.
	workflow string
	// startToClose is what workflows give an attempt, 30 s, when it is 0.
	startToClose time.Duration
	// process is the context from which every activity's derives.
	process context.Context
	metrics client.MetricsHandler
	log     slog.Handler // nil is nobody
}

// execute runs one activity and returns its result after a way through JSON.
func execute[R, Q any](t *testing.T, b environment, do func(context.Context, Q) (R, error), in Q) (R, error) {
	t.Helper()
	if b.workflow == "" {
		b.workflow = "batch-b"
	}
	if b.startToClose == 0 {
		b.startToClose = 30 * time.Second
	}
	var suite testsuite.WorkflowTestSuite
	if b.log == nil {
		b.log = slog.DiscardHandler
	}
	suite.SetLogger(log.NewStructuredLogger(slog.New(b.log)))
	if b.metrics != nil {
		suite.SetMetricsHandler(b.metrics)
	}
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Hour)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: b.workflow})
	env.SetWorkerOptions(worker.Options{BackgroundActivityContext: b.process})
	env.RegisterActivity(do)
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context) (res R, err error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: b.startToClose,
			RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		})
		err = workflow.ExecuteActivity(ctx, do, in).Get(ctx, &res)
		return res, err
	}, workflow.RegisterOptions{Name: "Once"})
	env.ExecuteWorkflow("Once")
	require.True(t, env.IsWorkflowCompleted())
	var res R
	if err := env.GetWorkflowError(); err != nil {
		return res, err
	}
	return res, env.GetWorkflowResult(&res)
}

// attempt sends through an account called hook.
func attempt(t *testing.T, b environment, s provider.Sender, in contract.SendInput) contract.SendResult {
	t.Helper()
	res, err := execute(t, b, activities.New(activities.Options{Senders: accounts{"hook": s}}).Send, in)
	require.NoError(t, err)
	return res
}

// input is a first attempt at a message that is due now and valid for an hour.
func input() contract.SendInput {
	now := time.Now()
	return contract.SendInput{
		V: message.Version, Dialect: "volley", Index: 7, Account: "hook", Attempt: 1,
		Due: now.UnixMilli(), Expires: now.Add(time.Hour).UnixMilli(),
		Template: message.Template{
			Body: json.RawMessage(`{"text":"Hi ${name}","x":[1]}`), Syntax: message.SyntaxBraces, TextPaths: [][]string{{"text"}},
		},
		Message: message.Message{To: "+15550001111", Params: map[string]string{"name": "Ann"}},
	}
}
