package workflows

import (
	"fmt"
	"hash/fnv"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// NotifyInput is what Notify runs: whose events are told, where to, and what has
// been told already.
type NotifyInput struct {
	V int `json:"v"`
	// ID, Tenant, Dialect and Total are the batch's; Large is true if its messages are
	// in the store.
	ID        string            `json:"id"`
	Tenant    string            `json:"tenant"`
	Dialect   string            `json:"dialect"`
	Total     int               `json:"total"`
	Large     bool              `json:"large,omitempty"`
	Callbacks message.Callbacks `json:"callbacks"`
	Cursor    activities.Cursor `json:"cursor"`
	// Told and GivenUp count what went before.
	Told    int `json:"told,omitempty"`
	GivenUp int `json:"givenUp,omitempty"`
	// Failing carries over what is known of an endpoint that does not accept.
	Failing *Failing `json:"failing,omitempty"`
}

// Failing is how an endpoint fails.
type Failing struct {
	// Since is when it did not accept for the first time in a row, in Unix ms.
	Since int64 `json:"since"`
	// Tries is how often it has not.
	Tries int `json:"tries"`
}

// NotifyResult is how Notify ended. With its cursor it can be started again, for
// what a batch that has ended still learns.
type NotifyResult struct {
	V      int               `json:"v"`
	Cursor activities.Cursor `json:"cursor"`
	// Told is how many requests were accepted, GivenUp how many events never were.
	Told    int `json:"told"`
	GivenUp int `json:"givenUp"`
	// Gone means that the endpoint wants no more events (410).
	Gone bool `json:"gone,omitempty"`
}

// NotifyID is the id of the workflow that tells the events of a batch's workflow.
func NotifyID(workflowID string) string { return workflowID + "~notify" }

// NotifyQueue is the task queue on which callbacks are delivered, given that of the
// workflows. It is one of its own, so that endpoints that hang keep nobody from the
// store.
func NotifyQueue(queue string) string { return queue + "-notify" }

// notifier tells the events of one batch.
type notifier struct {
	ctx     workflow.Context
	in      NotifyInput
	changed workflow.ReceiveChannel
	// poll is how long it waits for a signal before it looks all the same: a batch that
	// Temporal ended sends none.
	poll time.Duration
}

// Notify tells a batch's events to its caller's endpoint, in the order in which they
// happen, and ends when the batch has ended and all of them were accepted or given
// up. Each Deliver goes on where the one before stopped.
func Notify(ctx workflow.Context, in NotifyInput) (NotifyResult, error) {
	if in.V != message.Version || in.ID == "" {
		return NotifyResult{}, errNoBatch
	}
	n := &notifier{ctx: ctx, in: in, changed: workflow.GetSignalChannel(ctx, SignalChanged)}
	n.busy()
	for {
		heard := n.drain()
		res, err := n.deliver()
		if err != nil {
			if ctx.Err() != nil {
				return n.result(false), ctx.Err()
			}
			workflow.GetLogger(ctx).Warn("the events of a batch could not be delivered", "error", err)
			res = activities.DeliverResult{V: message.Version, Cursor: n.in.Cursor, Failure: &activities.DeliverFailure{Code: "activity"}}
		}
		if heard || res.Told > 0 {
			n.busy()
		}
		n.note(res)
		switch {
		case res.Failure != nil && res.Failure.Gone:
			workflow.GetLogger(ctx).Warn("the endpoint of a batch's callbacks is gone")
			return n.result(true), nil
		case res.Ended && !n.drain():
			return n.result(false), nil
		case res.Ended || res.More:
		default:
			if err := n.wait(res); err != nil {
				return n.result(false), err
			}
		}
		if workflow.GetInfo(ctx).GetCurrentHistoryLength() >= maxNotified {
			n.drain() // what signals asked for the next run does first of all
			return NotifyResult{}, workflow.NewContinueAsNewError(ctx, NotifyName, n.in)
		}
	}
}

// deliver tells what can be told now, or gives it up when nothing was accepted for a
// day.
func (n *notifier) deliver() (activities.DeliverResult, error) {
	in := activities.DeliverInput{
		V: message.Version, ID: n.in.ID, Tenant: n.in.Tenant, Total: n.in.Total,
		Callbacks: n.in.Callbacks, Cursor: n.in.Cursor, GiveUp: n.late(),
	}
	ctx := workflow.WithActivityOptions(n.ctx, deliverOptions(NotifyQueue(workflow.GetInfo(n.ctx).TaskQueueName)))
	var res activities.DeliverResult
	err := workflow.ExecuteActivity(ctx, DeliverName, in).Get(ctx, &res)
	if err == nil && in.GiveUp {
		workflow.GetLogger(n.ctx).Error("callbacks were given up: nothing was accepted for a day", "events", res.GivenUp)
		if !res.More {
			n.in.Failing = nil
		}
	}
	return res, err
}

// late reports whether the endpoint has accepted nothing for so long that what is
// pending is given up.
func (n *notifier) late() bool {
	return n.in.Failing != nil && workflow.Now(n.ctx).UnixMilli()-n.in.Failing.Since >= giveUpAfter.Milliseconds()
}

// note takes over how far a delivery got.
func (n *notifier) note(res activities.DeliverResult) {
	n.in.Cursor = res.Cursor
	n.in.Told += res.Told
	n.in.GivenUp += res.GivenUp
	if res.Told > 0 {
		n.in.Failing = nil
	}
	if res.Failure == nil {
		return
	}
	if n.in.Failing == nil {
		n.in.Failing = &Failing{Since: workflow.Now(n.ctx).UnixMilli()}
	}
	n.in.Failing.Tries++
}

// wait waits until there may be more to tell.
func (n *notifier) wait(res activities.DeliverResult) error {
	if f := res.Failure; f != nil {
		return workflow.Sleep(n.ctx, n.backoff(f))
	}
	if res.After > 0 {
		if err := workflow.Sleep(n.ctx, time.Duration(res.After)*time.Millisecond); err != nil || res.Again {
			return err
		}
	}
	timed, cancel := workflow.WithCancel(n.ctx)
	timer := workflow.NewTimerWithOptions(timed, n.poll, workflow.TimerOptions{Summary: "look by itself"})
	sel := workflow.NewSelector(n.ctx)
	sel.AddFuture(timer, func(workflow.Future) { n.poll = min(2*n.poll, pollMax) })
	sel.AddReceive(n.changed, func(c workflow.ReceiveChannel, _ bool) {
		c.ReceiveAsync(nil)
		n.busy()
	})
	sel.Select(n.ctx)
	cancel()
	return n.ctx.Err()
}

// busy means that the batch is moving, so that it is looked at sooner.
func (n *notifier) busy() {
	n.poll = pollFirst
	if n.in.Large && (n.in.Total <= fewMessages || n.in.Callbacks.Messages) {
		n.poll = pollMoving // its messages end without a signal
	}
}

// backoff is the wait before the next try: 1 s doubled for each one, at most 5 min,
// less up to a fifth, or what the endpoint asked for. It never goes beyond the time at
// which what is pending is given up.
func (n *notifier) backoff(f *activities.DeliverFailure) time.Duration {
	wait := notifyRetry
	for i := 1; i < n.in.Failing.Tries && wait < notifyRetryMax; i++ {
		wait *= 2
	}
	wait = min(wait, notifyRetryMax)
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s/%d", n.in.Tenant, n.in.ID, n.in.Failing.Tries)
	wait -= wait * time.Duration(h.Sum32()%1000) / 5000
	wait = max(wait, time.Duration(f.RetryAfter)*time.Millisecond)
	left := time.UnixMilli(n.in.Failing.Since).Add(giveUpAfter).Sub(workflow.Now(n.ctx))
	return max(min(wait, left), time.Millisecond)
}

// drain takes all signals that are there: one look answers them all.
func (n *notifier) drain() (some bool) {
	for n.changed.ReceiveAsync(nil) {
		some = true
	}
	return some
}

func (n *notifier) result(gone bool) NotifyResult {
	return NotifyResult{V: message.Version, Cursor: n.in.Cursor, Told: n.in.Told, GivenUp: n.in.GivenUp, Gone: gone}
}

// Times and bounds of Notify.
const (
	// giveUpAfter is how long an endpoint may accept nothing.
	giveUpAfter    = 24 * time.Hour
	notifyRetry    = time.Second
	notifyRetryMax = 5 * time.Minute
	// pollFirst doubles up to pollMax as long as nothing happens.
	pollFirst  = time.Minute
	pollMoving = 5 * time.Second
	pollMax    = time.Hour
	// maxNotified is how many events a run of Notify has at most.
	maxNotified = 4_000
	// fewMessages is how large a batch may be to have message events unasked.
	fewMessages = 1_000
	// deliverToClose is more than a delivery takes: it begins no request after 20 s.
	deliverToClose   = 2 * time.Minute
	deliverHeartbeat = time.Minute
	deliverRetryMax  = time.Minute
)

// deliverOptions are those of one delivery. It fails when the batch cannot be read,
// or the worker delivers nothing, and is tried until it can.
func deliverOptions(queue string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:             queue,
		StartToCloseTimeout:   deliverToClose,
		HeartbeatTimeout:      deliverHeartbeat,
		DisableEagerExecution: true,
		RetryPolicy:           &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: deliverRetryMax},
		Summary:               "callbacks",
	}
}
