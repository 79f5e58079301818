package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// noBatch is the fault of workers whose store is not the starter's.
const noBatch = "the worker's store does not have the batch: starters and workers must be given the same store"

// open reads the manifest. A store that does not have it, or has it damaged, is
// asked for a few seconds only, since it is not the one that the starter wrote to; one that cannot
// be read is asked for as long as the messages may be sent.
func (c *conductor) open(ctx workflow.Context) {
	defer c.poke()
	ctx = workflow.WithActivityOptions(ctx, openOptions())
	in := activities.OpenInput{V: message.Version, Dir: c.in.Dir}
	begun, wait := c.now(), openRetry
	lacking := int64(0) // since when stores say that they do not have it
	for {
		asked := c.now()
		var res activities.OpenResult
		err := workflow.ExecuteActivity(ctx, OpenName, in).Get(ctx, &res)
		late := c.now()-begun >= openPatience.Milliseconds()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && res.Found:
			if err := c.take(res.Segments); err != nil {
				c.abandon(err.Error())
			}
			return
		case err == nil:
			if lacking == 0 {
				lacking = asked
			}
			if c.now()-lacking >= openPatience.Milliseconds() {
				c.missing = res.Fault == ""
				c.abandon(cmp.Or(res.Fault, noBatch))
				return
			}
			wait = openRetry
		default:
			lacking = 0
			fault := "the store could not be read: " + cause(err)
			if c.now() >= c.parts[0].Expires {
				c.abandon(fault)
				return
			}
			if late {
				if fault = message.Clip(fault, message.MaxDetail); c.fault != fault {
					c.fault = fault
					c.change()
					c.poke()
				}
				wait = min(2*wait, openRetryMax)
			}
		}
		if c.pauseFor(ctx, wait) != nil {
			return
		}
	}
}

func (c *conductor) pauseFor(ctx workflow.Context, d time.Duration) error {
	return workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{Summary: "store"}).Get(ctx, nil)
}

// cause is what an activity said when it failed, without Temporal's own words.
func cause(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	var late *temporal.TimeoutError
	if errors.As(err, &late) {
		return "it did not answer in time"
	}
	return err.Error()
}

// take takes over the segments that the manifest names.
func (c *conductor) take(segments []message.Segment) error {
	total, rejected := 0, 0
	for i := range segments {
		total += segments[i].Count
		rejected += segments[i].Rejected
	}
	if total != c.in.Total || rejected != c.in.Rejected {
		return fmt.Errorf("the store has %d messages, %d of them rejected, and the batch %d and %d: it has been changed",
			total, rejected, c.in.Total, c.in.Rejected)
	}
	c.opened, c.fault, c.segments = true, "", len(segments)
	c.parts = make([]*part, len(segments))
	for i, s := range segments {
		c.parts[i] = &part{Segment: s, number: i + 1, letter: message.SegmentWaiting}
		if c.sendAt > 0 {
			c.parts[i].move(c.sendAt)
		}
	}
	c.change()
	return nil
}

// abandon ends a batch that cannot be read. Nothing of it was sent.
func (c *conductor) abandon(fault string) {
	c.fault = message.Clip(fault, message.MaxDetail)
	workflow.GetLogger(c.root).Error("a batch could not be read from the store", "fault", c.fault)
	c.drop(message.Rest{State: message.Failed, Code: message.CodeStore, Detail: c.fault, Finished: c.now()})
	c.change()
}

// drop ends every segment that has not begun.
func (c *conductor) drop(rest message.Rest) {
	for ; c.next < c.segments; c.next++ {
		p := c.parts[c.next]
		canceled := len(p.canceled)
		n := p.settle(rest.State, c.now())
		p.letter = message.SegmentNever
		c.rest = &rest
		c.meter(rest.State, n)
		c.meter(message.Canceled, canceled)
		c.meter(message.Rejected, p.Rejected)
	}
}

// meter counts messages that ended without a workflow of their own.
func (c *conductor) meter(s message.State, n int) {
	if n > 0 {
		workflow.GetMetricsHandler(c.root).
			WithTags(map[string]string{"state": s.String(), "account": c.batch.Account}).
			Counter("volley_messages").Inc(int64(n))
	}
}
