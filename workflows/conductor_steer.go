package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// onPause lets nothing more leave and names messages that have left.
func (c *conductor) onPause(ctx workflow.Context, _ nothing) (message.PauseResult, error) {
	res := message.PauseResult{Batch: c.batch.ID, InFlight: []string{}}
	if !c.pause() {
		return res, nil
	}
	parts := c.active()
	reports := c.ask(ctx, parts, func(*part) Order { return Order{Pause: true} })
	for _, p := range parts {
		res.InFlight = append(res.InFlight, reports[p.number].InFlight...)
	}
	res.InFlight = res.InFlight[:min(len(res.InFlight), maxNamed)]
	return res, nil
}

// pause lets nothing more begin, and reports whether segments are to know.
func (c *conductor) pause() bool {
	if c.cancel || c.ended() {
		return false
	}
	if !c.paused {
		c.paused = true
		c.change()
	}
	return true
}

func (c *conductor) onResume(workflow.Context, nothing) (message.ResumeResult, error) {
	c.resume()
	return message.ResumeResult{Batch: c.batch.ID}, nil
}

func (c *conductor) resume() {
	if c.cancel || c.ended() {
		return
	}
	if c.paused {
		c.paused = false
		c.change()
	}
	c.tell(Order{Resume: true})
	c.poke()
}

// onReschedule moves every message without an attempt; each keeps its validity.
func (c *conductor) onReschedule(ctx workflow.Context, q message.RescheduleRequest) (message.RescheduleResult, error) {
	res := message.RescheduleResult{Batch: c.batch.ID, Unchanged: c.in.Total}
	at, err := dueAfter(workflow.Now(c.root), c.batch.Horizon, q.SendAfter)
	if err != nil {
		return res, err
	}
	waiting := 0
	for _, p := range c.parts {
		if p.waits() {
			waiting += p.at(c.now()).Open()
		}
	}
	if !c.reschedule(at) {
		return res, nil
	}
	res.Rescheduled = waiting
	parts := c.active()
	reports := c.ask(ctx, parts, func(*part) Order { return moveTo(at) })
	for _, p := range parts {
		res.Rescheduled += reports[p.number].Rescheduled
	}
	res.Unchanged = c.in.Total - res.Rescheduled
	return res, nil
}

// reschedule moves what has not begun, and reports whether segments are to know.
func (c *conductor) reschedule(at int64) bool {
	if c.cancel || c.ended() {
		return false
	}
	c.sendAt = at
	for _, p := range c.parts {
		if p.waits() || p.letter == message.SegmentRunning && !p.known {
			p.move(at)
		}
	}
	c.change()
	c.sendRev = c.rev
	c.poke()
	return true
}

// moveTo is the order of a reschedule. Its time is one that every reader reads
// alike.
func moveTo(at int64) Order {
	return Order{Reschedule: &message.RescheduleRequest{SendAfter: time.UnixMilli(at).UTC().Format(time.RFC3339Nano)}}
}

// dueAfter reads a time, or a duration from now, within a horizon in ms.
func dueAfter(now time.Time, horizon int64, s string) (int64, error) {
	ahead := time.Duration(horizon) * time.Millisecond
	if ahead <= 0 {
		ahead = oneYear
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 {
			return 0, temporal.NewApplicationError(
				fmt.Sprintf("sendAfter: %q is neither an RFC 3339 time nor a duration from now such as 10m", s), ErrInputType)
		}
		at = now.Add(d)
	}
	if at.After(now.Add(ahead)) {
		return 0, temporal.NewApplicationError(
			fmt.Sprintf("sendAfter: %s is more than %s ahead", at.UTC().Format(time.RFC3339), ahead), ErrInputType)
	}
	// A time before now is now: validity counts from when it can be sent.
	return max(at.UnixMilli(), now.UnixMilli()), nil
}
