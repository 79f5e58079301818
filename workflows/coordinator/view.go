package coordinator

import (
	"cmp"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// status answers the query status. What runs counts as it last reported.
func (c *coordinator) status() message.Status {
	s := c.Status(c.batch, c.counts(), c.reasons(), workflow.Now(c.Root), c.rev)
	if c.Finished == 0 {
		s.Recent = c.recent()
	}
	if c.next < len(c.segments) {
		s.NextDueAt = message.At(c.segments[c.next].First) // they are in order
	}
	return s
}

// overview answers the query overview.
func (c *coordinator) overview() message.Overview {
	o := message.Overview{
		V: message.Version, Status: c.status(), Large: c.large(), Opened: c.opened, Fault: c.faults(), Missing: c.missing,
		Counts: make(map[int]message.Counts, c.running), Revs: make(map[int]int64, c.running),
		Reasons: map[int]message.Reasons{},
	}
	for _, p := range c.segments {
		switch n := p.at(c.Now()); {
		case !p.runs() && p.state != message.SegmentEnded:
			o.Waiting.Add(n)
		case p.runs():
			o.Counts[p.number] = n
			if p.known {
				o.Revs[p.number] = p.rev
				if len(p.reasons) > 0 {
					o.Reasons[p.number] = p.reasons
				}
			}
		}
	}
	return o
}

// faults is why the batch cannot be read, or why a segment cannot come to its end.
func (c *coordinator) faults() string {
	for _, p := range c.active() {
		if p.fault != "" {
			return cmp.Or(c.fault, p.fault)
		}
	}
	return c.fault
}

// large says how the segments stand.
func (c *coordinator) large() message.Large {
	l := message.Large{Dir: c.in.Dir, Rest: c.rest, RestOf: map[int]message.UnrunOutcome{}, Due: c.SendAt, DueRev: c.sendRev}
	if !c.opened {
		return l
	}
	states := make([]byte, len(c.segments))
	for i, p := range c.segments {
		states[i] = byte(p.state)
		if p.state == message.SegmentEnded {
			l.Ended.Add(p.counts)
			l.Reasons.Add(p.reasons)
		}
		if p.rest != nil {
			l.RestOf[p.number] = *p.rest
		}
	}
	l.Segments = string(states)
	return l
}

// show tells the Web UI and the lists how the batch stands, when that changed.
func (c *coordinator) show() {
	c.display.Show(&c.Progress, c.rev, c.details, c.counts)
}

func (c *coordinator) details() string {
	size := fmt.Sprintf("%s in %s", message.Plural(c.in.Total, "message"), message.Plural(len(c.segments), "segment"))
	return c.Details(size, c.counts(), c.reasons(), c.Reason, c.faults())
}
