package flowtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows"
	"volley/workflows/contract"
)

// Answer is what a scripted provider does with one attempt.
type Answer struct {
	Kind  string
	After time.Duration // Retry-After
	Hang  time.Duration // how long it takes; without a kind it is sent then
	Code  string
	Held  message.Holding
}

// Answers of a provider.
var (
	Takes       = Answer{Kind: contract.KindSent}
	Unavailable = Answer{Kind: "unavailable", Code: "http_503"}
	Throttled   = Answer{Kind: "throttled", Code: "http_429"}
	Rejects     = Answer{Kind: "rejected", Code: "http_404"}
	Doubtful    = Answer{Kind: "ambiguous", Code: "http_502"}
)

// attempt is one that reached the scripted provider.
type attempt struct {
	Index   int
	Account string
	At      time.Time
}

// NewEnv returns a test environment that logs nothing. A workflow that does not yield within a second is
// caught by real workers in the end-to-end tests; here, on a busy machine with the race
// detector, it may take longer.
func NewEnv(suite *testsuite.WorkflowTestSuite) *testsuite.TestWorkflowEnvironment {
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: 30 * time.Second})
	return env
}

// Bench is a test environment around one batch and a scripted provider.
type Bench struct {
	T   *testing.T
	Env *testsuite.TestWorkflowEnvironment

	Mu       sync.Mutex
	Send     func(in contract.SendInput, n int) Answer
	Ask      func(in contract.ReconcileInput, n int) contract.ReconcileResult
	Await    func(in contract.AwaitReleaseInput, n int) contract.AwaitReleaseResult
	Awaits   int
	Tries    map[int]int
	Asked    map[int]int
	Attempts []attempt
	Asks     []attempt
	updates  int
	Notifies int
}

// NewBench prepares an environment that knows SendBatch and a provider that takes all.
func NewBench(t *testing.T) *Bench {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	b := &Bench{
		T: t, Env: NewEnv(&suite), Tries: map[int]int{}, Asked: map[int]int{},
		Send: func(contract.SendInput, int) Answer { return Takes },
		Ask: func(contract.ReconcileInput, int) contract.ReconcileResult {
			return contract.ReconcileResult{Verdict: contract.VerdictCannotTell}
		},
		Await: func(contract.AwaitReleaseInput, int) contract.AwaitReleaseResult {
			return contract.AwaitReleaseResult{Released: true}
		},
	}
	b.Env.SetTestTimeout(time.Minute)
	b.Env.SetStartTime(Start)
	b.Env.RegisterWorkflowWithOptions(workflows.SendBatch, workflow.RegisterOptions{Name: contract.SendBatchName})
	b.Env.RegisterActivityWithOptions(b.onSend, activity.RegisterOptions{Name: contract.SendName})
	b.Env.RegisterActivityWithOptions(b.onAwait, activity.RegisterOptions{Name: contract.AwaitReleaseName})
	b.Env.RegisterActivityWithOptions(b.onAsk, activity.RegisterOptions{Name: contract.ReconcileName})
	return b
}

// Start is when every test begins.
var Start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func (b *Bench) onSend(ctx context.Context, in contract.SendInput) (contract.SendResult, error) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.Tries[in.Index]++
	now := b.Env.Now()
	b.Attempts = append(b.Attempts, attempt{in.Index, in.Account, now})
	a := b.Send(in, b.Tries[in.Index])
	res := contract.SendResult{V: 1, Kind: a.Kind, Code: a.Code, RetryAfter: a.After.Milliseconds(), At: now.UnixMilli(), Held: a.Held}
	if a.Hang > 0 {
		token := activity.GetInfo(ctx).TaskToken
		b.Env.RegisterDelayedCallback(func() {
			res.Kind, res.At = cmp.Or(a.Kind, contract.KindSent), b.Env.Now().UnixMilli()
			require.NoError(b.T, b.Env.CompleteActivity(token, res, nil))
		}, a.Hang)
		return res, activity.ErrResultPending
	}
	if a.Kind == contract.KindSent {
		res.ProviderID = fmt.Sprintf("p-%d", in.Index)
	}
	return res, nil
}

// onAwait returns at once where Await says why, and otherwise after a minute and a half.
func (b *Bench) onAwait(ctx context.Context, in contract.AwaitReleaseInput) (contract.AwaitReleaseResult, error) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.Awaits++
	res := b.Await(in, b.Awaits)
	if res.V = 1; res.Released || res.Probe {
		return res, nil
	}
	token := activity.GetInfo(ctx).TaskToken
	b.Env.RegisterDelayedCallback(func() {
		if !b.Env.IsWorkflowCompleted() {
			require.NoError(b.T, b.Env.CompleteActivity(token, res, nil))
		}
	}, 90*time.Second)
	return res, activity.ErrResultPending
}

func (b *Bench) onAsk(_ context.Context, in contract.ReconcileInput) (contract.ReconcileResult, error) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.Asked[in.Send.Index]++
	now := b.Env.Now()
	b.Asks = append(b.Asks, attempt{in.Send.Index, in.Send.Account, now})
	res := b.Ask(in, b.Asked[in.Send.Index])
	res.V, res.At = 1, now.UnixMilli()
	return res, nil
}

// Batch is n messages through the account "one", due now, which change may alter.
func Batch(n int, change ...func(*message.Batch)) contract.Input {
	b := message.Batch{
		V: 1, ID: "b", Tenant: "default", CreatedAt: Start, Dialect: "volley",
		Template: message.Template{Body: json.RawMessage(`{"text":"hi"}`)},
		Hops:     [][]message.Hop{{{Account: "one"}}},
		Policies: map[string]message.Policy{"one": {Provider: "webhook", Reconciles: true, Settle: 5000}},
	}
	for i := range n {
		b.Messages = append(b.Messages, message.Message{To: fmt.Sprintf("+1555%07d", i), Reference: fmt.Sprintf("r-%d", i)})
	}
	for _, f := range change {
		f(&b)
	}
	return contract.Input{V: 1, Batch: b}
}

// Run runs the batch to its end and returns its result.
func (b *Bench) Run(in contract.Input) message.Result {
	b.T.Helper()
	b.Env.ExecuteWorkflow(contract.SendBatchName, in)
	return b.Result(len(in.Batch.Messages))
}

// Result is that of a small batch of n messages, each of which has ended.
func (b *Bench) Result(n int) message.Result {
	b.T.Helper()
	require.True(b.T, b.Env.IsWorkflowCompleted())
	require.NoError(b.T, b.Env.GetWorkflowError())
	var res message.Result
	require.NoError(b.T, b.Env.GetWorkflowResult(&res))
	b.Consistent(res.Status, n)
	require.Len(b.T, res.Rows, n)
	var counts message.Counts
	for i, row := range res.Rows {
		require.Equal(b.T, i, row.Index)
		require.True(b.T, row.State.Final(), "message %d ended as %s", i, row.State)
		require.NotNil(b.T, row.FinishedAt)
		counts[row.State]++
	}
	require.Equal(b.T, counts, *res.Status.Counts)
	return res
}

// Consistent holds a status of n messages to what is always true.
func (b *Bench) Consistent(s message.Status, n int) {
	b.T.Helper()
	require.Equal(b.T, n, s.Total)
	require.Equal(b.T, n, s.Counts.Total(), "the counts do not add up: %v", *s.Counts)
	for _, c := range s.Counts {
		require.GreaterOrEqual(b.T, c, 0)
	}
}

// Status asks the running batch.
func (b *Bench) Status() message.Status {
	b.T.Helper()
	v, err := b.Env.QueryWorkflow(contract.QueryStatus)
	require.NoError(b.T, err)
	var s message.Status
	require.NoError(b.T, v.Get(&s))
	return s
}

// At does something at a moment of the batch's life.
func (b *Bench) At(d time.Duration, do func()) { b.Env.RegisterDelayedCallback(do, d) }

// Update sends an update and gives its answer to got, once there is one.
func Update[A any](b *Bench, name string, arg any, got func(A, error)) {
	b.T.Helper()
	b.updates++
	UpdateAs(b, name, fmt.Sprintf("update-%d", b.updates), arg, got)
}

// UpdateAs is Update with an id.
func UpdateAs[A any](b *Bench, name, id string, arg any, got func(A, error)) {
	b.T.Helper()
	cb := &testsuite.TestUpdateCallback{
		OnReject: func(err error) { var a A; got(a, err) },
		OnAccept: func() {},
		OnComplete: func(v any, err error) {
			a, _ := v.(A)
			got(a, err)
		},
	}
	if arg == nil {
		b.Env.UpdateWorkflow(name, id, cb)
		return
	}
	b.Env.UpdateWorkflow(name, id, cb, arg)
}

// ID is the id of the message at i.
func ID(i int) string {
	return message.KeyOf("batch-b").MessageID(i)
}

// Events are the names of a trail's events.
func Events(res message.Result, i int) []message.Event {
	var out []message.Event
	for _, e := range res.Trails[i] {
		out = append(out, e.Event)
	}
	return out
}

// Report signals reports.
func (b *Bench) Report(reports ...message.Report) {
	b.Env.SignalWorkflow(contract.SignalReports, contract.Reports{V: 1, Reports: reports})
}

// Hears registers a Notify that outlives the batch by weeks, and notes when it is told
// of changes. Signals to one that no batch has started count as well.
func (b *Bench) Hears() *[]time.Time {
	var heard []time.Time
	b.Env.RegisterWorkflowWithOptions(func(ctx workflow.Context, in contract.NotifyInput) error {
		require.Equal(b.T, "batch-b~notify", workflow.GetInfo(ctx).WorkflowExecution.ID)
		require.Equal(b.T, "b", in.ID)
		b.Notifies++
		ch := workflow.GetSignalChannel(ctx, contract.SignalChanged)
		for {
			if ok, _ := ch.ReceiveWithTimeout(ctx, 1_000*time.Hour, nil); !ok {
				return nil
			}
			heard = append(heard, workflow.Now(ctx))
		}
	}, workflow.RegisterOptions{Name: contract.NotifyName})
	b.Env.OnSignalExternalWorkflow("default-test-namespace", "batch-b~notify", "", contract.SignalChanged, nil).
		Return(func(string, string, string, string, any) error {
			heard = append(heard, time.Time{})
			return nil
		})
	return &heard
}

// WithCallbacks asks for the events of the batch itself.
func WithCallbacks(b *message.Batch) {
	b.Callbacks = &message.Callbacks{URL: "https://example.com", Format: "volley"}
}

// SegmentInput is that of the third segment of a large batch.
func SegmentInput(dispatch string) contract.SegmentInput {
	return contract.SegmentInput{
		V: 1, Dir: "default/2026-11-20/b~00000000", Number: 3,
		ID: "b", Tenant: "default", Dialect: "volley", Dispatch: dispatch, Expires: Start.Add(36 * time.Hour).UnixMilli(),
	}
}

// Says is a report of the message at i.
func Says(i int, s message.State, change ...func(*message.Report)) message.Report {
	p := message.Report{ID: ID(i), State: s, Account: "one"}
	if s == message.Undelivered {
		p.Code, p.Detail = "gone", "the handset is off"
	}
	for _, f := range change {
		f(&p)
	}
	return p
}
