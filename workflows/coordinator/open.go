package coordinator

import (
	"cmp"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// noBatch is the fault of workers whose store is not the starter's.
const noBatch = "the worker's store does not have the batch: starters and workers must be given the same store"

// open reads the manifest. A store that does not have it, or has it damaged, is
// asked for a few seconds only; one that cannot be read or is away is asked for as long
// as the messages may be sent.
func (c *coordinator) open(ctx workflow.Context) {
	defer c.Wake()
	ctx = workflow.WithActivityOptions(ctx, openOptions())
	in := contract.OpenInput{V: message.Version, Dir: c.in.Dir}
	begun, wait := c.Now(), openRetry
	lacking := int64(0) // since when stores say that they do not have it
	for {
		asked := c.Now()
		var res contract.OpenResult
		err := workflow.ExecuteActivity(ctx, contract.OpenName, in).Get(ctx, &res)
		fault := cmp.Or(res.Fault, noBatch)
		if err != nil {
			fault = "the store could not be read: " + flow.Cause(err)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && res.Found:
			c.take(res.Segments)
			return
		case err == nil && !res.Away:
			lacking, wait = cmp.Or(lacking, asked), openRetry
			if c.Now()-lacking >= openPatience.Milliseconds() {
				c.missing = res.Fault == ""
				c.abandon(fault)
				return
			}
		case c.Now() >= c.segments[0].Expires:
			c.abandon(fault)
			return
		default:
			lacking = 0
			if c.Now()-begun >= openPatience.Milliseconds() {
				c.missing = err == nil
				c.note(fault)
				wait = min(2*wait, openRetryMax)
			}
		}
		if workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: "store"}).Get(ctx, nil) != nil {
			return
		}
	}
}

// note says why the batch cannot be read, as long as that lasts.
func (c *coordinator) note(fault string) {
	if fault = message.Clip(fault, message.MaxDetail); c.fault != fault {
		c.fault = fault
		c.change()
		c.Wake()
	}
}

// take takes over the segments that the manifest names.
func (c *coordinator) take(segments []message.Segment) {
	total, rejected := 0, 0
	for i := range segments {
		total += segments[i].Count
		rejected += segments[i].Rejected
	}
	if total != c.in.Total || rejected != c.in.Rejected {
		c.abandon(fmt.Sprintf("the store has %d messages, %d of them rejected, and the batch %d and %d: it has been changed",
			total, rejected, c.in.Total, c.in.Rejected))
		return
	}
	c.opened, c.fault, c.missing = true, "", false
	c.segments = make([]*segment, len(segments))
	for i, s := range segments {
		if s.FirstExpires == 0 { // nothing is to be sent, or its writer did not say
			s.FirstExpires = min(s.First+validity(c.batch), s.Expires)
		}
		c.segments[i] = &segment{Segment: s, number: i + 1, state: message.SegmentWaiting}
		if c.SendAt > 0 {
			c.segments[i].move(c.SendAt)
		}
	}
	c.change()
}

// abandon ends a batch that cannot be read. Nothing of it was sent.
func (c *coordinator) abandon(fault string) {
	c.fault = message.Clip(fault, message.MaxDetail)
	workflow.GetLogger(c.Root).Error("a batch could not be read from the store", "fault", c.fault)
	c.drop(message.UnrunOutcome{State: message.Failed, Code: message.CodeStore, Detail: c.fault, Finished: c.Now()})
}

// drop ends every segment that has not begun.
func (c *coordinator) drop(rest message.UnrunOutcome) {
	for ; c.next < len(c.segments); c.next++ {
		if p := c.segments[c.next]; p.waits() {
			c.rest = &rest
			for _, why := range p.Reasons.Of(message.Counts{message.Rejected: p.Rejected}) {
				c.CountEnds(message.Rejected, why.Code, c.batch.Account, why.Count)
			}
			c.end(p, rest.State, rest.Code, rest.Detail)
		}
	}
	c.change()
}
