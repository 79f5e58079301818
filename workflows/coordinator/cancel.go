package coordinator

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// stop cancels all of the batch: nothing more begins, what no workflow has counts as
// canceled, and what runs is told.
func (c *coordinator) stop(reason string) *delivery {
	if !c.Canceled && !c.ended() {
		c.Canceled, c.Reason = true, message.Clip(reason, message.MaxDetail)
		c.shut()
		c.interrupt()
		c.drop(message.UnrunOutcome{State: message.Canceled, Code: "canceled", Detail: c.Reason, Finished: c.Now()})
		c.Wake()
	}
	return c.want()
}

// onCancelAll cancels all of the batch, and counts what that did.
func (c *coordinator) onCancelAll(ctx workflow.Context, q message.CancelRequest) message.CancelResult {
	before := make([]message.Counts, len(c.segments))
	for i, p := range c.segments {
		before[i] = p.at(c.Now())
	}
	again := c.Canceled
	d := c.stop(q.Reason)
	c.await(ctx, d)
	if len(d.closed) > 0 { // what they ended with comes in a moment
		_, _ = workflow.AwaitWithTimeout(ctx, closeWait, func() bool { return !slices.ContainsFunc(d.closed, (*segment).runs) })
	}
	return message.CancelResult{Batch: c.batch.ID, Confirmed: true, Counts: c.tally(before, d, again)}
}

// tally counts what a cancel did. What segments answer is exact; of the others the last
// that is known counts, compared with what was known before.
func (c *coordinator) tally(before []message.Counts, d *delivery, again bool) message.CancelCounts {
	exact := d.result.Canceled
	var was, is message.Counts
	for i, p := range c.segments {
		if !slices.Contains(d.result.Answered, p.number) {
			for s, n := range p.at(c.Now()) {
				is[s] += n
				was[s] += before[i][s]
			}
		}
	}
	sent := is[message.Sent] + is[message.Delivered] + is[message.Undelivered]
	final := is.Total() - is.Open() - sent
	canceled := min(max(is[message.Canceled]-was[message.Canceled], 0), final)
	if again {
		canceled = 0 // by the cancel before
	}
	return message.CancelCounts{
		Canceled: exact.Canceled + canceled, Sent: exact.Sent + sent, InFlight: exact.InFlight + is.Open(), Ended: exact.Ended + final - canceled,
	}
}

// namedCancel is a call that cancels messages by name. The requests that come while one is
// under way gather in the next.
type namedCancel struct {
	contract.CancelMessagesInput
	names  int
	done   bool
	result contract.CancelMessagesResult
	err    error
}

// onCancel cancels all of the batch, or messages by name. The batch itself does not know
// them: an activity writes their names into the store, where whoever loads them finds
// them, and asks the segments that run.
func (c *coordinator) onCancel(ctx workflow.Context, q message.CancelRequest) (message.CancelResult, error) {
	if q.Messages == nil {
		return c.onCancelAll(ctx, q), nil
	}
	q.Messages, _ = c.targets(q.Messages)
	if len(c.named) == 0 {
		workflow.Go(c.Work, c.cancelNamed)
	}
	last := len(c.named) - 1
	if last < 0 || c.named[last].Call > 0 || c.named[last].names+len(q.Messages) > maxNamed {
		c.named = append(c.named, &namedCancel{CancelMessagesInput: contract.CancelMessagesInput{
			V: message.Version, Batch: message.WorkflowID(c.batch.Tenant, c.batch.ID),
		}})
		last++
	}
	n := c.named[last]
	k := len(n.Requests)
	n.Requests, n.names = append(n.Requests, q), n.names+len(q.Messages)
	_ = workflow.Await(ctx, func() bool { return n.done })
	if n.err != nil || k >= len(n.result.Results) {
		return message.CancelResult{}, n.err
	}
	return n.result.Results[k], nil
}

// cancelNamed makes the calls that wait, one at a time.
func (c *coordinator) cancelNamed(ctx workflow.Context) {
	ctx = workflow.WithActivityOptions(ctx, patientOptions(cancelToClose, cancelPatience, "cancel by name"))
	for ; len(c.named) > 0; c.named = c.named[1:] {
		n := c.named[0]
		c.calls++
		n.Call, n.At = c.calls, c.Now()
		n.err = workflow.ExecuteActivity(ctx, contract.CancelMessagesName, n.CancelMessagesInput).Get(ctx, &n.result)
		n.done = true
	}
}
