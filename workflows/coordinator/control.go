package coordinator

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

var errLarge = temporal.NewNonRetryableApplicationError(
	"the messages of a large batch are not in its workflow: query those of its segments, or use volley", contract.ErrLargeType, nil)

// setup registers what the batch answers to.
func (c *coordinator) setup() error {
	flow.On(c.Loop, contract.SignalProgress, c.progress)
	err := errors.Join(
		c.Query(contract.QueryStatus, "Counts by state, times and totals; running segments by their last report.",
			func() (message.Status, error) { return c.status(), nil }),
		c.Query(contract.QueryOverview, "The status, and how each segment stands.", func() (message.Overview, error) { return c.overview(), nil }),
		c.Query(contract.QueryMessages, "Not for large batches.", func(flow.Nothing) (message.Page, error) { return message.Page{}, errLarge }),
		c.Query(contract.QueryMessage, "Not for large batches.", func(flow.Nothing) (message.Row, error) { return message.Row{}, errLarge }),
		c.Control(flow.Controls{
			Names:  func(names []string) error { _, err := c.targets(names); return err },
			Ended:  c.ended,
			Due:    func(sendAfter string) error { _, err := c.dueAfter(sendAfter); return err },
			Cancel: c.onCancel, Pause: c.onPause, Resume: c.onResume, Reschedule: c.onReschedule,
		}),
	)
	c.Listen()
	return err
}

// dueAfter reads a time or a duration from now, within the dialect's horizon.
func (c *coordinator) dueAfter(sendAfter string) (int64, error) {
	return flow.DueAfter(workflow.Now(c.Root), c.batch.Horizon, sendAfter)
}

// progress takes over what a segment tells when its first attempts have been made.
func (c *coordinator) progress(g contract.Progress) {
	if g.Number < 1 || g.Number > len(c.segments) || !c.segments[g.Number-1].runs() {
		return
	}
	p := c.segments[g.Number-1]
	c.recount(p, g.Counts, g.Rev)
	p.reasons = g.Reasons
	p.fault = g.Fault
	if g.Held && !p.held {
		p.held = true
		c.finalChanges++
	}
	if g.FirstMade {
		p.state = message.SegmentRetrying
		c.leaveWindow(p)
	}
	c.begins(g.Started)
	c.change()
}

// recount takes over the counts that a running segment had at a rev of its own.
func (c *coordinator) recount(p *segment, n message.Counts, rev int64) {
	if p.runs() && n.Total() == p.Count && rev >= p.rev {
		p.counts, p.known, p.rev = n, true, rev
		c.rev = max(c.rev, rev)
	}
}

// targets are the ids of the messages named, each once. Names that the batch does not
// have are passed over and are the error.
func (c *coordinator) targets(names []string) ([]string, error) {
	some, unknown := flow.Named(names, c.key, func(i int) (int, bool) { return i, i >= 0 && i < c.in.Total })
	ids := make([]string, len(some))
	for k, i := range some {
		ids[k] = c.key.MessageID(i)
	}
	return ids, unknown
}

// onPause lets nothing more leave and names messages that have left.
func (c *coordinator) onPause(ctx workflow.Context, _ flow.Nothing) (message.PauseResult, error) {
	return message.PauseResult{Batch: c.batch.ID, InFlight: append([]string{}, c.pause(ctx, true)...)}, nil
}

// onResume lets the batch go on.
func (c *coordinator) onResume(ctx workflow.Context, _ flow.Nothing) (message.ResumeResult, error) {
	c.unguarded = true // somebody has looked at it
	c.pause(ctx, false)
	return message.ResumeResult{Batch: c.batch.ID}, nil
}

// pause pauses or resumes, and names messages that a pause found under way.
func (c *coordinator) pause(ctx workflow.Context, paused bool) []string {
	if c.Canceled || c.ended() {
		return nil
	}
	if c.Paused != paused {
		c.Paused = paused
		if !paused {
			c.Resumed = c.Now()
		}
		c.change()
	}
	c.Wake()
	d := c.want()
	c.pauseWanted = c.wanted
	return c.await(ctx, d).InFlight
}

// onReschedule moves every message without an attempt; each keeps its validity.
func (c *coordinator) onReschedule(ctx workflow.Context, q message.RescheduleRequest) (message.RescheduleResult, error) {
	res := message.RescheduleResult{Batch: c.batch.ID, Unchanged: c.in.Total}
	at, err := c.dueAfter(q.SendAfter)
	if err != nil || c.Canceled || c.ended() {
		return res, err
	}
	c.SendAt = at
	for _, p := range c.segments {
		if p.waits() {
			res.Rescheduled += p.at(c.Now()).Open()
		}
		if p.waits() || p.state == message.SegmentRunning && !p.known {
			p.move(at)
		}
	}
	c.change()
	c.sendRev = c.rev
	c.Wake()
	d := c.want()
	c.moveWanted = c.wanted
	res.Rescheduled += c.await(ctx, d).Rescheduled
	res.Unchanged = c.in.Total - res.Rescheduled
	return res, nil
}
