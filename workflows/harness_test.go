package workflows_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// answer is what a scripted provider does with one attempt.
type answer struct {
	kind  string
	after time.Duration // Retry-After
	hang  time.Duration // how long it takes; without a kind it is sent then
	code  string
}

var (
	takes       = answer{kind: activities.KindSent}
	unavailable = answer{kind: "unavailable", code: "http_503"}
	throttled   = answer{kind: "throttled", code: "http_429"}
	rejects     = answer{kind: "rejected", code: "http_404"}
	doubtful    = answer{kind: "ambiguous", code: "http_502"}
)

// attempt is one that reached the scripted provider.
type attempt struct {
	index   int
	account string
	at      time.Time
}

// bench is a test environment around one batch and a scripted provider.
type bench struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment

	mu       sync.Mutex
	send     func(in activities.SendInput, n int) answer
	ask      func(in activities.ReconcileInput, n int) activities.ReconcileResult
	tries    map[int]int
	asked    map[int]int
	attempts []attempt
	asks     []attempt
	updates  int
	notifies int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	b := &bench{
		t: t, env: suite.NewTestWorkflowEnvironment(), tries: map[int]int{}, asked: map[int]int{},
		send: func(activities.SendInput, int) answer { return takes },
		ask: func(activities.ReconcileInput, int) activities.ReconcileResult {
			return activities.ReconcileResult{Verdict: activities.VerdictCannotTell}
		},
	}
	b.env.SetTestTimeout(time.Minute)
	b.env.SetStartTime(start)
	b.env.RegisterWorkflowWithOptions(workflows.SendBatch, workflow.RegisterOptions{Name: workflows.SendBatchName})
	b.env.RegisterActivityWithOptions(b.onSend, activity.RegisterOptions{Name: workflows.SendName})
	b.env.RegisterActivityWithOptions(b.onAsk, activity.RegisterOptions{Name: workflows.ReconcileName})
	return b
}

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func (b *bench) onSend(ctx context.Context, in activities.SendInput) (activities.SendResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries[in.Index]++
	now := b.env.Now()
	b.attempts = append(b.attempts, attempt{in.Index, in.Account, now})
	a := b.send(in, b.tries[in.Index])
	res := activities.SendResult{V: 1, Kind: a.kind, Code: a.code, RetryAfter: a.after.Milliseconds(), At: now.UnixMilli()}
	if a.hang > 0 {
		token := activity.GetInfo(ctx).TaskToken
		b.env.RegisterDelayedCallback(func() {
			res.Kind, res.At = cmp.Or(a.kind, activities.KindSent), b.env.Now().UnixMilli()
			require.NoError(b.t, b.env.CompleteActivity(token, res, nil))
		}, a.hang)
		return res, activity.ErrResultPending
	}
	if a.kind == activities.KindSent {
		res.ProviderID = fmt.Sprintf("p-%d", in.Index)
	}
	return res, nil
}

func (b *bench) onAsk(_ context.Context, in activities.ReconcileInput) (activities.ReconcileResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[in.Send.Index]++
	now := b.env.Now()
	b.asks = append(b.asks, attempt{in.Send.Index, in.Send.Account, now})
	res := b.ask(in, b.asked[in.Send.Index])
	res.V, res.At = 1, now.UnixMilli()
	return res, nil
}

// batch is n messages through the account "one", due now, which change may alter.
func batch(n int, change ...func(*message.Batch)) workflows.Input {
	b := message.Batch{
		V: 1, ID: "b", Tenant: "default", CreatedAt: start, Dialect: "volley",
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
	return workflows.Input{V: 1, Batch: b}
}

// run runs the batch to its end and returns its result.
func (b *bench) run(in workflows.Input) message.Result {
	b.t.Helper()
	b.env.ExecuteWorkflow(workflows.SendBatchName, in)
	return b.result(len(in.Batch.Messages))
}

func (b *bench) result(n int) message.Result {
	b.t.Helper()
	require.True(b.t, b.env.IsWorkflowCompleted())
	require.NoError(b.t, b.env.GetWorkflowError())
	var res message.Result
	require.NoError(b.t, b.env.GetWorkflowResult(&res))
	b.consistent(res.Status, n)
	require.Len(b.t, res.Rows, n)
	var counts message.Counts
	for i, row := range res.Rows {
		require.Equal(b.t, i, row.Index)
		require.True(b.t, row.State.Final(), "message %d ended as %s", i, row.State)
		require.NotNil(b.t, row.FinishedAt)
		counts[row.State]++
	}
	require.Equal(b.t, counts, *res.Status.Counts)
	return res
}

func (b *bench) consistent(s message.Status, n int) {
	b.t.Helper()
	require.Equal(b.t, n, s.Total)
	require.Equal(b.t, n, s.Counts.Total(), "the counts do not add up: %v", *s.Counts)
	for _, c := range s.Counts {
		require.GreaterOrEqual(b.t, c, 0)
	}
}

// status asks the running batch.
func (b *bench) status() message.Status {
	b.t.Helper()
	v, err := b.env.QueryWorkflow(workflows.QueryStatus)
	require.NoError(b.t, err)
	var s message.Status
	require.NoError(b.t, v.Get(&s))
	return s
}

// at does something at a moment of the batch's life.
func (b *bench) at(d time.Duration, do func()) { b.env.RegisterDelayedCallback(do, d) }

// update sends an update and gives its answer to got, once there is one.
func update[A any](b *bench, name string, arg any, got func(A, error)) {
	b.t.Helper()
	cb := &testsuite.TestUpdateCallback{
		OnReject: func(err error) { var a A; got(a, err) },
		OnAccept: func() {},
		OnComplete: func(v any, err error) {
			a, _ := v.(A)
			got(a, err)
		},
	}
	b.updates++
	id := fmt.Sprintf("update-%d", b.updates)
	if arg == nil {
		b.env.UpdateWorkflow(name, id, cb)
		return
	}
	b.env.UpdateWorkflow(name, id, cb, arg)
}

func id(i int) string {
	return message.KeyOf("batch-b").MessageID(i)
}

// events are the names of a trail's events.
func events(res message.Result, i int) []message.Event {
	var out []message.Event
	for _, e := range res.Trails[i] {
		out = append(out, e.Event)
	}
	return out
}

type (
	activityInfo = activity.Info
	ctx          = context.Context
	values       = converter.EncodedValues
	value        = converter.EncodedValue
)
