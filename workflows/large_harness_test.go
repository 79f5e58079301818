package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// plan is what a scripted segment does.
type plan struct {
	// due is how long after the start its messages are due.
	due time.Duration
	// first is how long its first attempts take; 0 is a second.
	first time.Duration
	// flying messages are under way meanwhile, the others wait; left ones need
	// another attempt. Both are positions.
	flying, left []int
	// tail is how long it runs on for those left; 0 leaves them to a retry.
	tail time.Duration
	// deaf ones answer no orders, lost ones find nothing in the store, and those
	// that are killed fail instead of making their first attempts.
	deaf, lost, killed bool
}

// largeBench is a bench around one large batch, whose store and segments are
// scripted. Message i lies in segment i/size.
type largeBench struct {
	*bench
	n, size  int
	rejected map[int]bool
	plans    map[int]plan
	open     func(n int) (activities.OpenResult, error)
	absent   bool // Locate and Load do not find the batch

	opens   int
	inputs  map[int]workflows.SegmentInput
	ids     map[int]string
	order   []int // numbers, in the order in which they began
	begun   map[int]time.Time
	ended   map[int]time.Time
	orders  map[int][]workflows.Order
	ledgers map[int]map[int]message.State
	closed  []message.Result
	checks  int
	busiest int
}

func newLargeBench(t *testing.T, n, size int) *largeBench {
	t.Helper()
	b := &largeBench{
		bench: newBench(t), n: n, size: size, rejected: map[int]bool{}, plans: map[int]plan{},
		inputs: map[int]workflows.SegmentInput{}, ids: map[int]string{}, begun: map[int]time.Time{}, ended: map[int]time.Time{},
		orders: map[int][]workflows.Order{}, ledgers: map[int]map[int]message.State{},
	}
	b.open = func(int) (activities.OpenResult, error) {
		return activities.OpenResult{V: 1, Found: true, Segments: b.manifest()}, nil
	}
	b.env.RegisterWorkflowWithOptions(b.segment, workflow.RegisterOptions{Name: workflows.SendSegmentName})
	for name, do := range map[string]any{
		workflows.OpenName: b.onOpen, workflows.LoadName: b.onLoad, workflows.LocateName: b.onLocate, workflows.CloseName: b.onClose,
	} {
		b.env.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name})
	}
	check := func() { b.check() }
	b.env.SetOnChildWorkflowCompletedListener(func(*workflow.Info, value, error) { check() })
	b.env.SetOnActivityCompletedListener(func(*activityInfo, value, error) { check() })
	return b
}

// check asks for the overview and holds it to what is always true.
func (b *largeBench) check() {
	o := b.overview()
	b.checks++
	b.consistent(o.Status, b.n)
	firsts := 0
	for _, l := range o.Large.Segments {
		if l == message.SegmentRunning {
			firsts++
		}
	}
	b.busiest = max(b.busiest, firsts)
	running := 0
	for _, n := range o.Counts {
		running += n.Total()
	}
	require.LessOrEqual(b.t, running, b.n)
}

func (b *largeBench) overview() message.Overview {
	v, err := b.env.QueryWorkflow(workflows.QueryOverview)
	require.NoError(b.t, err)
	var o message.Overview
	require.NoError(b.t, v.Get(&o))
	return o
}

func (b *largeBench) manifest() []message.Segment {
	var all []message.Segment
	for i := 0; i < b.n; i += b.size {
		due := start.Add(b.plans[len(all)+1].due).UnixMilli()
		s := message.Segment{
			Count: min(b.size, b.n-i), First: due, Last: due, Expires: due + message.DefaultTTL.Milliseconds(),
		}
		for k := i; k < i+s.Count; k++ {
			if b.rejected[k] {
				s.Rejected++
			}
		}
		all = append(all, s)
	}
	return all
}

func (b *largeBench) input(change ...func(*message.Batch)) workflows.Input {
	in := batch(0, change...)
	in.Large = &workflows.LargeInput{Dir: "default/2026-11-20/b~00000000", Total: b.n, Rejected: len(b.rejected)}
	return in
}

// run runs the batch to its end and returns its result.
func (b *largeBench) run(change ...func(*message.Batch)) message.Result {
	b.t.Helper()
	b.env.ExecuteWorkflow(workflows.SendBatchName, b.input(change...))
	require.True(b.t, b.env.IsWorkflowCompleted())
	require.NoError(b.t, b.env.GetWorkflowError())
	var res message.Result
	require.NoError(b.t, b.env.GetWorkflowResult(&res))
	b.consistent(res.Status, b.n)
	require.Zero(b.t, res.Status.Counts.Open(), "%v", *res.Status.Counts)
	require.NotNil(b.t, res.Status.FinishedAt)
	require.NotNil(b.t, res.Large)
	require.Empty(b.t, res.Rows)
	require.LessOrEqual(b.t, b.busiest, 16)
	for number, id := range b.ids {
		require.Equal(b.t, fmt.Sprintf("batch-b~%04d", number), id)
	}
	for _, r := range b.closed {
		require.Equal(b.t, res, r, "what is kept is the result")
	}
	for _, r := range res.Large.Retries {
		require.True(b.t, r.Ended)
	}
	return res
}

func (b *largeBench) onOpen(context.Context, activities.OpenInput) (activities.OpenResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opens++
	return b.open(b.opens)
}

func (b *largeBench) onLoad(_ context.Context, in activities.LoadInput) (activities.LoadResult, error) {
	if b.absent {
		return activities.LoadResult{V: 1}, nil
	}
	res := activities.LoadResult{V: 1, Found: true}
	for _, i := range b.members(in.Sources[0].Segment) {
		l := message.Line{Index: i}
		if b.rejected[i] {
			l.Code = "invalid"
		}
		res.Lines = append(res.Lines, l)
	}
	return res, nil
}

func (b *largeBench) onLocate(_ context.Context, in activities.LocateInput) (activities.LocateResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	res := activities.LocateResult{V: 1, Found: make([]activities.Located, len(in.Indexes))}
	for k, i := range in.Indexes {
		if b.absent {
			continue
		}
		f := activities.Located{Segment: i/b.size + 1, Pos: i % b.size}
		if f.Segment <= len(in.Large.Segments) {
			f.State = b.endOf(in.Large, f.Segment, i)
		}
		res.Found[k] = f
	}
	return res, nil
}

// endOf does what the store's reader does.
func (b *largeBench) endOf(l message.Large, number, i int) *message.State {
	switch l.Segments[number-1] {
	case message.SegmentWaiting:
		if b.rejected[i] {
			return new(message.Rejected)
		}
	case message.SegmentNever:
		switch {
		case b.rejected[i]:
			return new(message.Rejected)
		case slices.Contains(l.Canceled, i):
			return new(message.Canceled)
		}
		if rest, ok := l.RestOf[number]; ok {
			return &rest.State
		}
		return &l.Rest.State
	case message.SegmentEnded, message.SegmentLeft:
		s := b.ledgers[number][i]
		for _, r := range l.Retries {
			if at, ok := b.ledgers[r.Number][i]; ok && r.Ended {
				s = at
			}
		}
		if s.Final() {
			return &s
		}
	}
	return nil
}

func (b *largeBench) onClose(_ context.Context, in activities.CloseInput) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = append(b.closed, in.Result)
	return nil
}

// members are the indexes of a segment's messages.
func (b *largeBench) members(number int) []int {
	var all []int
	for i := (number - 1) * b.size; i < min(number*b.size, b.n); i++ {
		all = append(all, i)
	}
	return all
}
