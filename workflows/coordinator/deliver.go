package coordinator

import (
	"cmp"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// delivery is one round in which what is wanted of the batch is brought to the segments
// that run. What is asked for during a round waits for the next one, which brings the
// last of it: so a burst of controls takes the events of two activities, whatever the
// number of segments.
type delivery struct {
	done   bool
	result contract.ControlSegmentsResult
	closed []*segment // those that had ended when they were asked
}

// want brings what is wanted now to the segments that run. The delivery that it returns
// is done once all have been asked.
func (c *coordinator) want() *delivery {
	c.wanted++
	if c.gathering == nil {
		c.gathering = &delivery{}
	}
	if !c.delivering {
		c.delivering = true
		workflow.Go(c.Work, c.deliver)
	}
	return c.gathering
}

// await waits until a delivery is done.
func (c *coordinator) await(ctx workflow.Context, d *delivery) contract.ControlSegmentsResult {
	_ = workflow.Await(ctx, func() bool { return d.done })
	return d.result
}

// deliver makes rounds until every segment that runs has what is wanted.
func (c *coordinator) deliver(ctx workflow.Context) {
	for wait := askAgain; ; {
		d := cmp.Or(c.gathering, &delivery{})
		c.gathering = nil
		c.round(ctx, d)
		d.done = true
		switch {
		case c.gathering != nil:
			wait = askAgain
		case len(c.behind()) == 0:
			c.delivering = false
			return
		default:
			_, _ = workflow.AwaitWithTimeout(ctx, wait, func() bool { return c.gathering != nil || len(c.behind()) == 0 })
			wait = min(2*wait, askAgainMax)
		}
	}
}

// behind are the segments that run and do not have what is wanted now.
func (c *coordinator) behind() []*segment {
	return slices.DeleteFunc(c.active(), func(p *segment) bool { return p.controls >= c.wanted })
}

// round asks the segments that are behind once. A cancel of all breaks it off.
func (c *coordinator) round(ctx workflow.Context, d *delivery) {
	asked, wanted := c.behind(), c.wanted
	if len(asked) == 0 {
		return
	}
	for _, p := range asked {
		_ = p.child.GetChildWorkflowExecution().Get(ctx, nil) // one that cannot start has ended
	}
	in := c.brings(asked)
	ctx, c.interrupt = workflow.WithCancel(ctx)
	defer c.interrupt()
	ctx = workflow.WithActivityOptions(ctx, patientOptions(controlToClose, controlPatience, "ask "+message.Plural(len(asked), "segment")))
	if err := workflow.ExecuteActivity(ctx, contract.ControlSegmentsName, in).Get(ctx, &d.result); err != nil {
		workflow.GetLogger(c.Root).Warn("segments could not be asked", "error", flow.Cause(err))
		return
	}
	for _, p := range asked {
		if slices.Contains(d.result.Later, p.number) {
			continue
		}
		p.controls = wanted
		c.recount(p, d.result.Counts[p.number], d.result.Revs[p.number])
		if !slices.Contains(d.result.Answered, p.number) {
			d.closed = append(d.closed, p)
		}
	}
}

// brings is what is wanted, as far as not all of some segments have it.
func (c *coordinator) brings(asked []*segment) contract.ControlSegmentsInput {
	c.rounds++
	in := contract.ControlSegmentsInput{V: message.Version, Batch: message.WorkflowID(c.batch.Tenant, c.batch.ID), Round: c.rounds}
	least := c.wanted
	for _, p := range asked {
		in.Segments = append(in.Segments, p.number)
		least = min(least, p.controls)
	}
	if c.Canceled {
		in.Cancel = &message.CancelRequest{Reason: c.Reason}
		return in
	}
	if c.moveWanted > least {
		in.SendAfter = time.UnixMilli(c.SendAt).UTC().Format(time.RFC3339Nano)
	}
	if c.pauseWanted > least {
		in.Pause, in.Resume = c.Paused, !c.Paused
	}
	return in
}
