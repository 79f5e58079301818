package coordinator_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// acts is one scripted segment.
type acts struct {
	*largeBench
	plan
	in     contract.SegmentInput
	parent string
	number int
	all    []int
	states map[int]message.State
	due    time.Time
	first  time.Time // when its first attempts end
	last   time.Time // when its other ones do
	paused bool
	rev    int64
	orders []contract.ControlSegmentsInput // those that it heard
	gone   bool
}

// segment is the scripted SendSegment.
func (b *largeBench) segment(ctx workflow.Context, in contract.SegmentInput) (contract.SegmentResult, error) {
	a := b.act(ctx, in)
	if a.lost || a.unread {
		return contract.SegmentResult{V: 1, Lost: a.lost, Unread: a.unread}, nil
	}
	ch := workflow.GetSignalChannel(ctx, "wake")
	for n := a.counts(); n.Open() > 0; n = a.counts() {
		sel := workflow.NewSelector(ctx)
		sel.AddReceive(ch, func(ch workflow.ReceiveChannel, _ bool) { ch.Receive(ctx, nil) })
		timed, cancel := workflow.WithCancel(ctx)
		if at := a.next(workflow.Now(ctx)); !at.IsZero() {
			sel.AddFuture(workflow.NewTimer(timed, at.Sub(workflow.Now(ctx))), func(workflow.Future) {})
		}
		sel.Select(ctx)
		cancel()
		if a.pass(ctx); a.gone {
			return contract.SegmentResult{}, fmt.Errorf("segment %d was terminated", a.number)
		}
	}
	return a.end(workflow.Now(ctx)), nil
}

func (b *largeBench) act(ctx workflow.Context, in contract.SegmentInput) *acts {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	info := workflow.GetInfo(ctx)
	a := &acts{
		largeBench: b, plan: b.plans[in.Number], in: in, parent: info.ParentWorkflowExecution.ID, number: in.Number,
		states: map[int]message.State{}, paused: in.Paused, due: flowtest.Start.Add(b.plans[in.Number].due),
	}
	b.ids[in.Number] = info.WorkflowExecution.ID
	b.inputs[in.Number], b.begun[in.Number], b.acts[in.Number] = in, workflow.Now(ctx), a
	b.order = append(b.order, in.Number)
	for _, i := range b.members(in.Number) {
		a.all = append(a.all, i)
		a.states[i] = message.Scheduled
		switch {
		case b.rejected[i]:
			a.states[i] = message.Rejected
		case b.canceled[i]:
			a.states[i] = message.Canceled
		}
	}
	if in.Due > 0 {
		a.due = time.UnixMilli(in.Due)
	}
	a.pass(ctx)
	return a
}

// pass lets time do what it does to a scripted segment.
func (a *acts) pass(ctx workflow.Context) {
	now := workflow.Now(ctx)
	if !a.due.Add(a.validity()).After(now) {
		for _, i := range a.all {
			if a.states[i].Waiting() {
				a.states[i] = message.Expired
			}
		}
	}
	if a.first.IsZero() && !a.paused && !a.due.After(now) {
		a.first = now.Add(max(a.plan.first, time.Second))
		for _, i := range a.all {
			if a.states[i] == message.Scheduled {
				a.states[i] = message.Accepted
				if a.is(a.flying, i) {
					a.states[i] = message.Sending
				}
			}
		}
	}
	if a.first.IsZero() || a.first.After(now) {
		return
	}
	if a.killed {
		a.gone = true
		return
	}
	again := false
	for _, i := range a.all {
		switch s := a.states[i]; {
		case s == message.Sending:
			a.states[i] = message.Sent
		case s == message.Accepted && a.is(a.held, i) && (a.last.IsZero() || a.last.After(now)):
			again = again || a.last.IsZero()
		case s == message.Accepted && !a.paused:
			a.states[i] = message.Sent
			if a.is(a.retried, i) {
				a.states[i] = message.Retrying
				again = true
			}
		case s == message.Retrying && !a.paused && !a.last.After(now):
			a.states[i] = message.Sent
		}
	}
	if again {
		a.last = now.Add(cmp.Or(a.retry, time.Minute))
		a.rev = max(a.rev+1, now.UnixMilli()<<10)
		f := workflow.SignalExternalWorkflow(ctx, a.parent, "", contract.SignalProgress, contract.Progress{
			Number: a.number, Counts: a.counts(), Rev: a.rev, FirstMade: true, Held: len(a.held) > 0,
		})
		workflow.Go(ctx, func(ctx workflow.Context) { _ = f.Get(ctx, nil) })
	}
}

func (a *acts) is(positions []int, i int) bool { return slices.Contains(positions, i%a.size) }

// next is when time does something again.
func (a *acts) next(now time.Time) time.Time {
	var next time.Time
	for _, at := range []time.Time{a.due, a.first, a.last, a.due.Add(a.validity())} {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

func (a *acts) counts() (n message.Counts) {
	for _, i := range a.all {
		n[a.states[i]]++
	}
	return n
}

func (a *acts) end(now time.Time) contract.SegmentResult {
	a.Mu.Lock()
	defer a.Mu.Unlock()
	a.ended[a.number] = now
	a.ledgers[a.number] = a.states
	return contract.SegmentResult{V: 1, Counts: a.counts(), Rev: now.UnixMilli() << 10, Finished: now.UnixMilli()}
}

// obey does what is wanted of it.
func (a *acts) obey(in contract.ControlSegmentsInput, res *contract.ControlSegmentsResult) {
	a.orders = append(a.orders, in)
	if in.Cancel != nil {
		n := a.cancel(*in.Cancel).Counts
		res.Canceled.Canceled += n.Canceled
		res.Canceled.Sent += n.Sent
		res.Canceled.InFlight += n.InFlight
		res.Canceled.Ended += n.Ended
		return
	}
	if in.SendAfter != "" {
		at, err := time.Parse(time.RFC3339, in.SendAfter)
		require.NoError(a.T, err)
		before := res.Rescheduled
		for _, i := range a.all {
			if s := a.states[i]; s == message.Scheduled || s == message.Accepted {
				a.states[i] = message.Scheduled
				res.Rescheduled++
			}
		}
		if res.Rescheduled > before {
			a.due, a.first = at, time.Time{}
		}
	}
	switch {
	case in.Pause:
		a.paused = true
		for _, i := range a.all {
			if a.states[i] == message.Sending {
				res.InFlight = append(res.InFlight, flowtest.ID(i))
			}
		}
	case in.Resume:
		a.paused = false
	}
}

func (a *acts) cancel(q message.CancelRequest) *message.CancelResult {
	res := &message.CancelResult{}
	for _, i := range a.all {
		if q.Messages != nil && !slices.Contains(q.Messages, flowtest.ID(i)) {
			continue
		}
		switch s := a.states[i]; {
		case s.Waiting():
			a.states[i] = message.Canceled
			res.Canceled = append(res.Canceled, flowtest.ID(i))
		case s == message.Sending:
			res.InFlight = append(res.InFlight, flowtest.ID(i))
		case s.Taken():
			res.Sent = append(res.Sent, flowtest.ID(i))
		default:
			res.Ended = append(res.Ended, flowtest.ID(i))
		}
	}
	res.Counts = message.CancelCounts{
		Canceled: len(res.Canceled), Sent: len(res.Sent), InFlight: len(res.InFlight), Ended: len(res.Ended),
	}
	return res
}
