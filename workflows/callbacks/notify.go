package callbacks

import (
	"fmt"
	"hash/fnv"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// notifier tells the events of one batch.
type notifier struct {
	ctx     workflow.Context
	in      contract.NotifyInput
	changed workflow.ReceiveChannel
	// poll is how long it waits for a signal before it looks all the same: a batch that
	// Temporal ended sends none.
	poll time.Duration
}

// Run tells a batch's events to its caller's endpoint, in the order in which they
// happen, and ends when the batch has ended and all of them were accepted or given
// up. Each Deliver goes on where the one before stopped.
func Run(ctx workflow.Context, in contract.NotifyInput) (contract.NotifyResult, error) {
	if in.V != message.Version || in.ID == "" {
		return contract.NotifyResult{}, flow.ErrNoBatch
	}
	n := &notifier{ctx: ctx, in: in, changed: workflow.GetSignalChannel(ctx, contract.SignalChanged)}
	n.busy()
	for {
		heard := n.drain()
		res, err := n.deliver()
		if err != nil {
			return n.result(), err
		}
		if heard || res.Told > 0 {
			n.busy()
		}
		n.note(res)
		switch {
		case res.Failure != nil && res.Failure.Gone:
			workflow.GetLogger(ctx).Warn("the endpoint of a batch's callbacks is gone")
			out := n.result()
			out.Gone = true
			return out, nil
		case res.Failure != nil && res.Failure.Never:
			workflow.GetLogger(ctx).Warn("the address of a batch's callbacks can never be reached", "code", res.Failure.Code)
			out := n.result()
			out.Never = true
			return out, nil
		case res.Ended && !n.drain():
			return n.result(), nil
		case res.Ended || res.More:
		default:
			if err := n.wait(res); err != nil {
				return n.result(), err
			}
		}
		if workflow.GetInfo(ctx).GetCurrentHistoryLength() >= maxNotified {
			n.drain() // what signals asked for the next run does first of all
			return contract.NotifyResult{}, workflow.NewContinueAsNewError(ctx, contract.NotifyName, n.in)
		}
	}
}

// deliver tells what can be told now, or gives it up when nothing was accepted for a
// day.
func (n *notifier) deliver() (contract.DeliverResult, error) {
	in := contract.DeliverInput{
		V: message.Version, ID: n.in.ID, Tenant: n.in.Tenant, Total: n.in.Total,
		Callbacks: n.in.Callbacks, Cursor: n.in.Cursor, GiveUp: n.late(),
	}
	ctx := workflow.WithActivityOptions(n.ctx, deliverOptions(contract.NotifyQueue(workflow.GetInfo(n.ctx).TaskQueueName)))
	var res contract.DeliverResult
	switch err := workflow.ExecuteActivity(ctx, contract.DeliverName, in).Get(ctx, &res); {
	case err != nil && ctx.Err() != nil:
		return res, ctx.Err()
	case err != nil:
		workflow.GetLogger(ctx).Warn("the events of a batch could not be delivered", "error", err)
		res = contract.DeliverResult{V: message.Version, Cursor: in.Cursor, Failure: &contract.DeliverFailure{Code: "activity"}}
	case in.GiveUp:
		workflow.GetLogger(ctx).Error("callbacks were given up: nothing was accepted for a day", "events", res.GivenUp)
		if !res.More {
			n.in.Failing = nil
		}
	}
	return res, nil
}

// late reports whether the endpoint has accepted nothing for so long that what is
// pending is given up.
func (n *notifier) late() bool {
	return n.in.Failing != nil && workflow.Now(n.ctx).UnixMilli()-n.in.Failing.Since >= giveUpAfter.Milliseconds()
}

// note takes over how far a delivery got.
func (n *notifier) note(res contract.DeliverResult) {
	n.in.Cursor, n.in.Told, n.in.GivenUp = res.Cursor, n.in.Told+res.Told, n.in.GivenUp+res.GivenUp
	if res.Told > 0 {
		n.in.Failing = nil
	}
	if res.Failure != nil {
		if n.in.Failing == nil {
			n.in.Failing = &contract.Failing{Since: workflow.Now(n.ctx).UnixMilli()}
		}
		n.in.Failing.Tries++
	}
}

// wait waits until there may be more to tell.
func (n *notifier) wait(res contract.DeliverResult) error {
	if f := res.Failure; f != nil {
		return workflow.Sleep(n.ctx, n.backoff(f))
	}
	if err := workflow.Sleep(n.ctx, time.Duration(res.After)*time.Millisecond); err != nil || res.Again {
		return err
	}
	timed, cancel := workflow.WithCancel(n.ctx)
	defer cancel()
	timer := workflow.NewTimerWithOptions(timed, n.poll, workflow.TimerOptions{Summary: "look by itself"})
	err := workflow.Await(n.ctx, func() bool { return timer.IsReady() || n.changed.Len() > 0 })
	if timer.IsReady() {
		n.poll = min(2*n.poll, pollMax)
	}
	return err
}

// busy means that the batch is moving, so that it is looked at sooner.
func (n *notifier) busy() {
	n.poll = pollFirst
	if n.in.Large && (n.in.Total <= FewMessages || n.in.Callbacks.Messages) {
		n.poll = pollMoving // its messages end without a signal
	}
}

// backoff is the wait before the next try: 1 s doubled for each one, at most 5 min,
// less up to a fifth, or what the endpoint asked for. It never goes beyond the time at
// which what is pending is given up.
func (n *notifier) backoff(f *contract.DeliverFailure) time.Duration {
	wait := min(notifyRetry<<min(n.in.Failing.Tries-1, maxDoublings), notifyRetryMax)
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

func (n *notifier) result() contract.NotifyResult {
	return contract.NotifyResult{V: message.Version, Cursor: n.in.Cursor, Told: n.in.Told, GivenUp: n.in.GivenUp}
}

// Times and bounds of Notify.
const (
	// giveUpAfter is how long an endpoint may accept nothing.
	giveUpAfter    = 24 * time.Hour
	notifyRetry    = time.Second
	notifyRetryMax = 5 * time.Minute
	maxDoublings   = 9 // they lead beyond notifyRetryMax
	// pollFirst doubles up to pollMax as long as nothing happens.
	pollFirst  = time.Minute
	pollMoving = 5 * time.Second
	pollMax    = time.Hour
	// maxNotified is how many events a run of Notify has at most.
	maxNotified = 4_000
	// FewMessages is how large a batch may be to have message events unasked.
	FewMessages = 1_000
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
