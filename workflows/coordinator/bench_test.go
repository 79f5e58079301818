package coordinator_test

import (
	"cmp"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// plan is what a scripted segment does.
type plan struct {
	// due is how long after the start its messages are due.
	due time.Duration
	// first is how long its first attempts take; 0 is a second.
	first time.Duration
	// ttl is the validity of its messages; 0 is the default.
	ttl time.Duration
	// flying messages are under way meanwhile, the others wait; retried ones need
	// another attempt. Both are positions.
	flying, retried []int
	// held ones wait as long as those for their account to be released. Positions, too.
	held []int
	// retry is how long after the first attempts the other one is made; 0 is a minute.
	retry time.Duration
	// deaf ones answer no orders, lost ones find nothing in the store, for unread ones it
	// does not answer, and those that are killed fail instead of making their first attempts.
	deaf, lost, unread, killed bool
}

func (p plan) validity() time.Duration { return cmp.Or(p.ttl, message.DefaultTTL) }

// largeBench is a bench around one large batch, whose store and segments are
// scripted. Message i lies in segment i/size.
type largeBench struct {
	*flowtest.Bench
	n, size  int
	rejected map[int]bool
	plans    map[int]plan
	open     func(n int) (contract.OpenResult, error)
	absent   bool // CancelMessages does not find the batch

	// untold are segments of which nobody can tell what became of them.
	untold map[int]bool
	// closedOut are the questions for what became of segments that were killed.
	closedOut []contract.CloseOutInput

	opens  int
	inputs map[int]contract.SegmentInput
	ids    map[int]string
	order  []int // numbers, in the order in which they began
	// begun and ended are when segments did.
	begun, ended map[int]time.Time
	acts         map[int]*acts
	// canceled are those whose names are in the store, named the calls that wrote them.
	canceled map[int]bool
	named    []contract.CancelMessagesInput
	// controls are the calls that asked segments.
	controls []contract.ControlSegmentsInput
	ledgers  map[int]map[int]message.State
	closed   []message.Result
	checks   int
	busiest  int
}

func newLargeBench(t *testing.T, n, size int) *largeBench {
	t.Helper()
	b := &largeBench{
		Bench: flowtest.NewBench(t), n: n, size: size, rejected: map[int]bool{}, plans: map[int]plan{},
		inputs: map[int]contract.SegmentInput{}, ids: map[int]string{}, begun: map[int]time.Time{}, ended: map[int]time.Time{},
		acts: map[int]*acts{}, canceled: map[int]bool{}, ledgers: map[int]map[int]message.State{},
	}
	b.open = func(int) (contract.OpenResult, error) {
		return contract.OpenResult{V: 1, Found: true, Segments: b.manifest()}, nil
	}
	b.Env.RegisterWorkflowWithOptions(b.segment, workflow.RegisterOptions{Name: contract.SendSegmentName})
	for name, do := range map[string]any{
		contract.OpenName: b.onOpen, contract.CloseName: b.onClose,
		contract.ControlSegmentsName: b.onControl, contract.CancelMessagesName: b.onCancel,
		contract.CloseOutName: b.onCloseOut,
	} {
		b.Env.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name})
	}
	check := func() { b.check() }
	b.Env.SetOnChildWorkflowCompletedListener(func(*workflow.Info, converter.EncodedValue, error) { check() })
	b.Env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { check() })
	return b
}

// check asks for the overview and holds it to what is always true.
func (b *largeBench) check() {
	o := b.overview()
	b.checks++
	b.Consistent(o.Status, b.n)
	firsts := 0
	for i, l := range o.Large.Segments {
		p := b.plans[i+1]
		expires := flowtest.Start.Add(p.due + p.validity())
		if l == message.SegmentRunning && b.Env.Now().Before(expires) { // what expires needs no place in the window
			firsts++
		}
	}
	b.busiest = max(b.busiest, firsts)
	sum := o.Large.Ended
	sum.Add(o.Waiting)
	for _, n := range o.Counts {
		sum.Add(n)
	}
	require.Equal(b.T, *o.Status.Counts, sum, "the parts add up to the whole")
}

func (b *largeBench) overview() message.Overview {
	v, err := b.Env.QueryWorkflow(contract.QueryOverview)
	require.NoError(b.T, err)
	var o message.Overview
	require.NoError(b.T, v.Get(&o))
	return o
}

func (b *largeBench) manifest() []message.Segment {
	var all []message.Segment
	for i := 0; i < b.n; i += b.size {
		due := flowtest.Start.Add(b.plans[len(all)+1].due).UnixMilli()
		s := message.Segment{
			Count: min(b.size, b.n-i), First: due, Last: due, Expires: due + b.plans[len(all)+1].validity().Milliseconds(),
		}
		s.FirstExpires = s.Expires
		for k := i; k < i+s.Count; k++ {
			if b.rejected[k] {
				s.Rejected++
			}
		}
		all = append(all, s)
	}
	return all
}

func (b *largeBench) input(change ...func(*message.Batch)) contract.Input {
	in := flowtest.Batch(0, change...)
	in.Large = &contract.LargeInput{Dir: "default/2026-11-20/b~00000000", Total: b.n, Rejected: len(b.rejected)}
	return in
}

// run runs the batch to its end and returns its result.
func (b *largeBench) run(change ...func(*message.Batch)) message.Result {
	b.T.Helper()
	b.Env.ExecuteWorkflow(contract.SendBatchName, b.input(change...))
	require.True(b.T, b.Env.IsWorkflowCompleted())
	require.NoError(b.T, b.Env.GetWorkflowError())
	var res message.Result
	require.NoError(b.T, b.Env.GetWorkflowResult(&res))
	b.Consistent(res.Status, b.n)
	require.Zero(b.T, res.Status.Counts.Open(), "%v", *res.Status.Counts)
	require.NotNil(b.T, res.Status.FinishedAt)
	require.NotNil(b.T, res.Large)
	require.Empty(b.T, res.Rows)
	require.LessOrEqual(b.T, b.busiest, 16)
	for number, id := range b.ids {
		require.Equal(b.T, fmt.Sprintf("batch-b~%04d", number), id)
	}
	for _, r := range b.closed {
		require.Equal(b.T, res, r, "what is kept is the result")
	}
	return res
}

func (b *largeBench) onOpen(context.Context, contract.OpenInput) (contract.OpenResult, error) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.opens++
	return b.open(b.opens)
}

// onControl asks segments, in a moment, or in four seconds where one does not answer.
func (b *largeBench) onControl(ctx context.Context, in contract.ControlSegmentsInput) (contract.ControlSegmentsResult, error) {
	token, wait := activity.GetInfo(ctx).TaskToken, 10*time.Millisecond
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.controls = append(b.controls, in)
	for _, number := range in.Segments {
		if b.plans[number].deaf {
			wait = 4 * time.Second
		}
	}
	b.Env.RegisterDelayedCallback(func() {
		res := contract.ControlSegmentsResult{V: 1}
		for _, number := range in.Segments {
			_, closed := b.ended[number]
			switch a := b.acts[number]; {
			case closed || a.gone:
			case a.deaf:
				res.Later = append(res.Later, number)
			default:
				a.obey(in, &res)
				res.Answered = append(res.Answered, number)
				require.NoError(b.T, b.Env.SignalWorkflowByID(b.ids[number], "wake", nil))
			}
		}
		require.NoError(b.T, b.Env.CompleteActivity(token, res, nil))
	}, wait)
	return contract.ControlSegmentsResult{}, activity.ErrResultPending
}

// onCancel writes names, and asks who has the messages, after a moment.
func (b *largeBench) onCancel(ctx context.Context, in contract.CancelMessagesInput) (contract.CancelMessagesResult, error) {
	if b.absent {
		return contract.CancelMessagesResult{}, temporal.NewNonRetryableApplicationError("the store does not have it", "store", nil)
	}
	token := activity.GetInfo(ctx).TaskToken
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.named = append(b.named, in)
	b.Env.RegisterDelayedCallback(func() {
		res := contract.CancelMessagesResult{V: 1}
		for _, q := range in.Requests {
			res.Results = append(res.Results, b.cancelNamed(q))
		}
		require.NoError(b.T, b.Env.CompleteActivity(token, res, nil))
	}, time.Second)
	return contract.CancelMessagesResult{}, activity.ErrResultPending
}

func (b *largeBench) cancelNamed(q message.CancelRequest) message.CancelResult {
	res := message.CancelResult{Batch: "b", Confirmed: true, Canceled: []string{}, Sent: []string{}, InFlight: []string{}, Ended: []string{}}
	for _, id := range q.Messages {
		_, i, _ := message.ParseID(id)
		before := b.canceled[i]
		b.canceled[i] = true
		state, into := message.Scheduled, &res.Canceled
		if b.rejected[i] {
			state = message.Rejected
		}
		if a := b.acts[i/b.size+1]; a != nil {
			state = a.states[i]
			if _, closed := b.ended[a.number]; !closed {
				a.cancel(message.CancelRequest{Messages: []string{id}})
				require.NoError(b.T, b.Env.SignalWorkflowByID(b.ids[a.number], "wake", nil))
			}
		}
		switch {
		case state.Taken():
			into = &res.Sent
		case state == message.Sending:
			into = &res.InFlight
		case state.Final() || before:
			into = &res.Ended
		}
		*into = append(*into, id)
	}
	res.Counts = message.CancelCounts{Canceled: len(res.Canceled), Sent: len(res.Sent), InFlight: len(res.InFlight), Ended: len(res.Ended)}
	return res
}

func (b *largeBench) onClose(_ context.Context, in contract.CloseInput) error {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.closed = append(b.closed, in.Result)
	return nil
}

// onCloseOut closes out a segment that was killed before it had sent anything.
func (b *largeBench) onCloseOut(_ context.Context, in contract.CloseOutInput) (contract.SegmentResult, error) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.closedOut = append(b.closedOut, in)
	if b.untold[in.Number] {
		return contract.SegmentResult{}, temporal.NewNonRetryableApplicationError("nobody knows", "", nil)
	}
	res := contract.SegmentResult{V: 1, Rev: 5}
	for _, i := range b.members(in.Number) {
		if b.rejected[i] {
			res.Counts[message.Rejected]++
		} else {
			res.Counts[in.Rest.State]++
		}
	}
	return res, nil
}

// members are the indexes of a segment's messages.
func (b *largeBench) members(number int) []int {
	var all []int
	for i := (number - 1) * b.size; i < min(number*b.size, b.n); i++ {
		all = append(all, i)
	}
	return all
}
