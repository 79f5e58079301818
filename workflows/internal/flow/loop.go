package flow

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// ErrNoBatch is how a workflow ends whose input makes no sense.
var ErrNoBatch = temporal.NewNonRetryableApplicationError(
	"the input is not a batch of this version", contract.ErrInputType, nil)

// Loop is what the main coroutine of a workflow waits with: it sleeps until it is
// woken or until its one timer fires.
type Loop struct {
	// Root ends when Temporal cancels the workflow.
	Root workflow.Context
	// Work does not: what is under way is followed to its end.
	Work workflow.Context

	wake     workflow.Channel
	signals  []signal
	handlers int // control calls under way
	updates  int
	switched int64 // when the last pause or resume was asked for, in Unix ms

	// Round is the last one of which a control of a segment came.
	Round int

	counters map[counter]interface{ Inc(n int64) }

	armed  int64 // when the armed timer fires, in Unix ms; 0 is none
	timer  workflow.Future
	disarm workflow.CancelFunc
}

// NewLoop prepares the loop of a workflow.
func NewLoop(ctx workflow.Context) *Loop {
	work, _ := workflow.NewDisconnectedContext(ctx)
	return &Loop{
		Root: ctx, Work: work, wake: workflow.NewBufferedChannel(ctx, 1), counters: map[counter]interface{ Inc(n int64) }{},
	}
}

// Now is the workflow's time in Unix ms.
func (l *Loop) Now() int64 { return workflow.Now(l.Root).UnixMilli() }

// counter is what Count counts with: it has a name, and two tags.
type counter struct{ name, tag, value, account string }

// Count counts something of an account that a tag tells from others of its name.
func (l *Loop) Count(name, tag, value, account string) {
	key := counter{name, tag, value, account}
	l.counter(key, map[string]string{tag: value, "account": account}).Inc(1)
}

// CountEnds counts messages of an account that ended in a state. Only states with reasons
// have a code.
func (l *Loop) CountEnds(s message.State, code, account string, n int) {
	if n <= 0 {
		return
	}
	if !s.HasReason() {
		code = ""
	}
	key := counter{"volley_messages", s.String(), code, account}
	l.counter(key, map[string]string{"state": s.String(), "code": code, "account": account}).Inc(int64(n))
}

func (l *Loop) counter(key counter, tags map[string]string) interface{ Inc(n int64) } {
	c, ok := l.counters[key]
	if !ok {
		c = workflow.GetMetricsHandler(l.Root).WithTags(tags).Counter(key.name)
		l.counters[key] = c
	}
	return c
}

// Wake ends the sleep.
func (l *Loop) Wake() { l.wake.SendAsync(nil) }

// Updates is how many updates the run has taken.
func (l *Loop) Updates() int { return l.updates }

// Enter counts a call that somebody waits for, Leave that it has been answered.
func (l *Loop) Enter() { l.handlers++ }

// Leave ends what Enter began, and ends the sleep.
func (l *Loop) Leave() {
	l.handlers--
	l.Wake()
}

// Idle reports whether nobody waits for an answer.
func (l *Loop) Idle() bool {
	return l.handlers == 0 && workflow.AllHandlersFinished(l.Root)
}

// ArmedBefore reports whether the timer fires at or before a time in Unix ms.
func (l *Loop) ArmedBefore(at int64) bool { return l.armed != 0 && l.armed <= at }

// Sleep waits until Wake is called, the timer fires, which is set to a time in Unix
// ms, or something comes from canceled. With 0 the timer stays as it is; nil is no
// channel.
func (l *Loop) Sleep(at int64, canceled workflow.Channel) {
	l.arm(at)
	sel := workflow.NewSelector(l.Work)
	sel.AddReceive(l.wake, func(c workflow.ReceiveChannel, _ bool) { c.ReceiveAsync(nil) })
	if l.timer != nil {
		sel.AddFuture(l.timer, func(workflow.Future) { l.armed, l.timer, l.disarm = 0, nil, nil })
	}
	if canceled != nil {
		sel.AddReceive(canceled, func(workflow.ReceiveChannel, bool) {})
	}
	sel.Select(l.Work)
}

// arm keeps one timer, for the earliest time asked for.
func (l *Loop) arm(at int64) {
	if at == 0 || l.ArmedBefore(at) {
		return
	}
	l.Disarm()
	ctx, cancel := workflow.WithCancel(l.Work)
	wait := max(time.Duration(at-l.Now())*time.Millisecond, time.Millisecond)
	l.timer = workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: "next due"})
	l.armed, l.disarm = at, cancel
}

// Disarm cancels the timer.
func (l *Loop) Disarm() {
	if l.disarm != nil {
		l.disarm()
	}
	l.armed, l.timer, l.disarm = 0, nil, nil
}

// Yield lets every other coroutine run once. A signal goes straight to the listener
// that waits for it, which may not have run yet, and so does the end of an activity.
func Yield(ctx workflow.Context) {
	done := false
	workflow.Go(ctx, func(workflow.Context) { done = true })
	_ = workflow.Await(ctx, func() bool { return done })
}
