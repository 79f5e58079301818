package workflows_test

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows"
)

// acts is one scripted segment, or a retry.
type acts struct {
	*largeBench
	plan
	in     workflows.SegmentInput
	parent string
	number int
	all    []int
	states map[int]message.State
	due    time.Time
	first  time.Time // when its first attempts end
	last   time.Time // when its other ones do
	paused bool
	rev    int64
	gone   bool
}

// segment is the scripted SendSegment.
func (b *largeBench) segment(ctx workflow.Context, in workflows.SegmentInput) (workflows.SegmentResult, error) {
	a := b.act(ctx, in)
	if a.lost {
		return workflows.SegmentResult{V: 1, Lost: true}, nil
	}
	ch := workflow.GetSignalChannel(ctx, "order")
	for !a.over(workflow.Now(ctx)) {
		sel := workflow.NewSelector(ctx)
		sel.AddReceive(ch, func(ch workflow.ReceiveChannel, _ bool) {
			var o workflows.Order
			ch.Receive(ctx, &o)
			a.obey(ctx, o)
		})
		timed, cancel := workflow.WithCancel(ctx)
		if at := a.next(workflow.Now(ctx)); !at.IsZero() {
			sel.AddFuture(workflow.NewTimer(timed, at.Sub(workflow.Now(ctx))), func(workflow.Future) {})
		}
		sel.Select(ctx)
		cancel()
		if a.pass(ctx); a.gone {
			return workflows.SegmentResult{}, fmt.Errorf("segment %d was terminated", a.number)
		}
	}
	return a.end(workflow.Now(ctx)), nil
}

func (b *largeBench) act(ctx workflow.Context, in workflows.SegmentInput) *acts {
	b.mu.Lock()
	defer b.mu.Unlock()
	info := workflow.GetInfo(ctx)
	a := &acts{
		largeBench: b, plan: b.plans[in.Number], in: in, parent: info.ParentWorkflowExecution.ID, number: in.Number,
		states: map[int]message.State{}, paused: in.Paused, due: start.Add(b.plans[in.Number].due),
	}
	b.ids[in.Number] = info.WorkflowExecution.ID
	b.inputs[in.Number], b.begun[in.Number] = in, workflow.Now(ctx)
	b.order = append(b.order, in.Number)
	for _, src := range in.Sources {
		for _, i := range b.members(src.Segment) {
			switch {
			case src.Left && !b.ledgers[src.Segment][i].Final():
				a.states[i] = message.Retrying
			case src.Left:
				continue
			case b.rejected[i]:
				a.states[i] = message.Rejected
			}
			a.all = append(a.all, i)
			a.states[i] += 0
			if s := a.states[i]; !s.Final() && (in.Cancel != nil || slices.Contains(in.Canceled, i)) {
				a.states[i] = message.Canceled
			}
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
	if !a.due.Add(message.DefaultTTL).After(now) {
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
		case s == message.Accepted && !a.paused:
			a.states[i] = message.Sent
			if a.is(a.left, i) {
				a.states[i] = message.Retrying
				again = true
			}
		case s == message.Retrying && (a.in.Sources[0].Left || !a.last.IsZero() && !a.last.After(now)):
			a.states[i] = message.Sent
		}
	}
	if again && a.tail > 0 {
		a.last = now.Add(a.tail)
		rep := a.report(0, now)
		rep.FirstMade = true
		a.tell(ctx, rep)
	}
}

func (a *acts) is(positions []int, i int) bool { return slices.Contains(positions, i%a.size) }

// next is when time does something again.
func (a *acts) next(now time.Time) time.Time {
	var next time.Time
	for _, at := range []time.Time{a.due, a.first, a.last, a.due.Add(message.DefaultTTL)} {
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

func (a *acts) over(time.Time) bool {
	n := a.counts()
	return n.Open() == n[message.Retrying] && (n.Open() == 0 || a.tail == 0 && !a.in.Sources[0].Left && !a.paused)
}

func (a *acts) end(now time.Time) workflows.SegmentResult {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended[a.number] = now
	a.ledgers[a.number] = a.states
	n := a.counts()
	return workflows.SegmentResult{
		V: 1, Counts: n, Rev: now.UnixMilli() << 10, Left: n.Open(), Finished: now.UnixMilli(),
		Expires: start.Add(message.DefaultTTL).UnixMilli(),
	}
}

func (a *acts) report(token int64, now time.Time) workflows.Report {
	a.rev = max(a.rev+1, now.UnixMilli()<<10)
	return workflows.Report{Number: a.number, Token: token, Counts: a.counts(), Rev: a.rev}
}

func (a *acts) tell(ctx workflow.Context, rep workflows.Report) {
	f := workflow.SignalExternalWorkflow(ctx, a.parent, "", "report", rep)
	workflow.Go(ctx, func(ctx workflow.Context) { _ = f.Get(ctx, nil) })
}

// obey does what an order says, and answers it.
func (a *acts) obey(ctx workflow.Context, o workflows.Order) {
	a.mu.Lock()
	a.orders[a.number] = append(a.orders[a.number], o)
	a.mu.Unlock()
	if a.deaf {
		return
	}
	rep := workflows.Report{}
	switch {
	case o.Cancel != nil:
		rep.Cancel = a.cancel(*o.Cancel)
	case o.Pause:
		a.paused = true
		for _, i := range a.all {
			if a.states[i] == message.Sending {
				rep.InFlight = append(rep.InFlight, id(i))
			}
		}
	case o.Resume:
		a.paused = false
	case o.Reschedule != nil:
		at, err := time.Parse(time.RFC3339, o.Reschedule.SendAfter)
		require.NoError(a.t, err)
		for _, i := range a.all {
			if s := a.states[i]; s == message.Scheduled || s == message.Accepted {
				a.states[i] = message.Scheduled
				rep.Rescheduled++
			} else {
				rep.Unchanged++
			}
		}
		a.due, a.first = at, time.Time{}
	}
	if o.Token > 0 {
		whole := a.report(o.Token, workflow.Now(ctx))
		whole.Cancel, whole.InFlight, whole.Rescheduled, whole.Unchanged = rep.Cancel, rep.InFlight, rep.Rescheduled, rep.Unchanged
		a.tell(ctx, whole)
	}
}

func (a *acts) cancel(q message.CancelRequest) *message.CancelResult {
	res := &message.CancelResult{}
	for _, i := range a.all {
		if q.Messages != nil && !slices.Contains(q.Messages, strconv.Itoa(i)) && !slices.Contains(q.Messages, id(i)) {
			continue
		}
		switch s := a.states[i]; {
		case s.Waiting():
			a.states[i] = message.Canceled
			res.Canceled = append(res.Canceled, id(i))
		case s == message.Sending:
			res.InFlight = append(res.InFlight, id(i))
		case s.Taken():
			res.Sent = append(res.Sent, id(i))
		default:
			res.Ended = append(res.Ended, id(i))
		}
	}
	res.Counts = message.CancelCounts{
		Canceled: len(res.Canceled), Sent: len(res.Sent), InFlight: len(res.InFlight), Ended: len(res.Ended),
	}
	if q.Messages == nil {
		res.Canceled, res.Sent, res.InFlight, res.Ended = nil, nil, nil, nil
	}
	return res
}
