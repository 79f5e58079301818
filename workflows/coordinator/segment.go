package coordinator

import (
	"cmp"
	"fmt"
	"slices"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/callbacks"
	"volley/workflows/contract"
)

// segment is one segment of a large batch.
type segment struct {
	message.Segment
	number int
	state  message.SegmentState

	// counts are those of its workflow's last report, or of its end; before known
	// is set they follow from the times.
	counts  message.Counts
	reasons message.Reasons // those that came with the counts
	known   bool
	rev     int64

	// begun and ended are when its workflow was, in Unix ms.
	begun, ended int64

	// inWindow means that it has first attempts to make and holds a place in the window.
	inWindow bool

	rest *message.UnrunOutcome // what became of messages without an end of their own

	held bool // messages of it were held back

	fault string // why its ledger is not in the store yet

	child    workflow.ChildWorkflowFuture
	controls int // how many of the batch's controls it has
}

// waits reports whether the segment may still begin.
func (p *segment) waits() bool { return p.state == message.SegmentWaiting }

// runs reports whether the segment's workflow is under way.
func (p *segment) runs() bool {
	return p.state == message.SegmentRunning || p.state == message.SegmentRetrying
}

// at is how many of the segment's messages are in which state at a time in Unix ms.
func (p *segment) at(now int64) message.Counts {
	if p.known {
		return p.counts
	}
	var n message.Counts
	n[message.Rejected] = p.Rejected
	open := message.Scheduled
	if p.Last <= now {
		open = message.Accepted
	}
	n[open] = max(p.Count-p.Rejected, 0)
	return n
}

// whys are the reasons that go with at.
func (p *segment) whys() message.Reasons {
	if p.known {
		return p.reasons
	}
	return p.Reasons
}

// move makes all messages of the segment due at a time; each keeps its validity. Where
// their due times differed the ends of validity are bounds only.
func (p *segment) move(due int64) {
	p.FirstExpires = due + max(p.FirstExpires-p.Last, 0)
	p.Expires += due - p.First
	p.First, p.Last = due, due
}

// end ends all open messages of a segment alike. No workflow does.
func (c *coordinator) end(p *segment, s message.State, code, detail string) {
	n := p.at(c.Now())
	open := n.Open()
	c.CountEnds(s, code, c.batch.Account, open)
	n[message.Scheduled], n[message.Accepted], n[message.Sending], n[message.Retrying] = 0, 0, 0, 0
	p.reasons = p.whys().Of(n)
	p.reasons.Count(s, code, detail, open)
	n[s] += open
	p.counts, p.known, p.state = n, true, message.SegmentNever
}

// active lists the segments whose workflows are under way, in order.
func (c *coordinator) active() []*segment {
	return slices.DeleteFunc(slices.Clone(c.segments), func(p *segment) bool { return !p.runs() })
}

// counts are those of the batch. They always add up to its total.
func (c *coordinator) counts() message.Counts {
	var sum message.Counts
	now := c.Now()
	for _, p := range c.segments {
		for s, n := range p.at(now) {
			sum[s] += n
		}
	}
	return sum
}

// reasons are those of the batch, as far as segments told them.
func (c *coordinator) reasons() (sum message.Reasons) {
	for _, p := range c.segments {
		sum.Add(p.whys())
	}
	return sum
}

// recent is what segments did lately that have ended. Those that run tell it themselves.
func (c *coordinator) recent() *message.Recent {
	now := c.Now()
	r := message.Recent{Since: c.RecentSince(workflow.GetInfo(c.Root).WorkflowStartTime.UnixMilli(), now)}
	for _, p := range c.segments {
		if p.state != message.SegmentEnded || p.ended <= r.Since {
			continue
		}
		n := p.counts
		tried := n[message.Sent] + n[message.Delivered] + n[message.Undelivered] + n[message.Failed] + n[message.Unknown]
		r.Ended += float64(tried) * float64(p.ended-max(p.begun, r.Since)) / float64(max(p.ended-p.begun, 1))
	}
	return &r
}

// ended reports whether every message has ended.
func (c *coordinator) ended() bool { return c.counts().Open() == 0 }

// begin begins what may begin: segments in order, through a window of those that have
// first attempts to make. Whatever has messages that expire begins all the same: it is
// its workflow that ends them.
func (c *coordinator) begin() {
	if !c.opened {
		return
	}
	now := c.Now()
	if due := c.firstDue(); c.Started == 0 && !c.Canceled && due > 0 && due <= now {
		c.begins(now)
		c.change()
	}
	for _, p := range c.segments[c.next:] {
		if p.waits() && p.FirstExpires <= now {
			c.beginSegment(p)
		}
	}
	for !c.Paused && c.next < len(c.segments) && c.firstAttempts < window {
		p := c.segments[c.next]
		p.inWindow = true
		c.firstAttempts++
		c.beginSegment(p)
	}
}

// leaveWindow gives a segment's place in the window to the next one.
func (c *coordinator) leaveWindow(p *segment) {
	if p.inWindow {
		p.inWindow = false
		c.firstAttempts--
	}
}

// beginSegment begins the workflow of a segment and follows it to its end. Temporal's own
// cancel does not reach it; what it means for its messages comes as a control.
func (c *coordinator) beginSegment(p *segment) {
	in := contract.SegmentInput{
		V: message.Version, Dir: c.in.Dir, Number: p.number,
		ID: c.batch.ID, Tenant: c.batch.Tenant, Dialect: c.batch.Dialect,
		Dispatch: cmp.Or(c.batch.Dispatch, message.DispatchMessage), InFlight: c.batch.InFlight, Summaries: c.batch.Summaries, Guard: c.batch.Guard && !c.unguarded,
		Expires: p.Expires, Due: c.SendAt, DueAt: c.sendRev >> message.RevShift, Paused: c.Paused,
	}
	p.state, p.begun = message.SegmentRunning, c.Now()
	for c.next < len(c.segments) && !c.segments[c.next].waits() {
		c.next++
	}
	ctx := workflow.WithChildOptions(c.Work, workflow.ChildWorkflowOptions{
		WorkflowID:          fmt.Sprintf("%s~%04d", message.WorkflowID(c.batch.Tenant, c.batch.ID), p.number),
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_TERMINATE,
		WaitForCancellation: true,
		StaticSummary:       fmt.Sprintf("segment %d of %d", p.number, len(c.segments)),
	})
	p.controls = c.wanted
	p.child = workflow.ExecuteChildWorkflow(ctx, contract.SendSegmentName, in)
	c.running++
	c.change()
	workflow.Go(c.Work, func(ctx workflow.Context) {
		var res contract.SegmentResult
		err := p.child.Get(ctx, &res)
		if err != nil {
			workflow.GetLogger(ctx).Error("the workflow of a segment was ended by others", "number", p.number, "error", err)
			res, err = c.closeOut(ctx, p)
		}
		c.finish(p, res, err)
		c.Wake()
	})
}

// finish takes over how a segment's workflow ended.
func (c *coordinator) finish(p *segment, res contract.SegmentResult, err error) {
	c.leaveWindow(p)
	c.running--
	p.ended = c.Now()
	switch {
	case err != nil:
		workflow.GetLogger(c.Root).Error("what became of a segment cannot be told", "number", p.number, "error", err)
		p.known = false // what was known before says nothing of the end
		c.lose(p, message.Unknown, codeLost, "its workflow was ended, and nobody can tell how far it had come")
	case res.Unread:
		c.lose(p, message.Expired, "expired", "its validity ran out while the store could not be read")
	case res.Lost:
		c.lose(p, message.Failed, message.CodeStore, "the store has lost its segment")
	case res.Counts.Total() != p.Count || res.Counts.Open() > 0:
		c.lose(p, message.Unknown, contract.CodeSegmentLost, "its workflow did not tell what became of it")
	default:
		p.counts, p.reasons, p.known, p.state = res.Counts, res.Reasons, true, message.SegmentEnded
	}
	if b := c.batch.Callbacks; b != nil && (b.Messages || c.in.Total <= callbacks.FewMessages) {
		c.finalChanges++
	}
	c.rev = max(c.rev, res.Rev)
	c.begins(res.Started)
	c.change()
}

// lose gives up the messages of a segment whose workflow left no ledger. What is
// known to have ended keeps its end.
func (c *coordinator) lose(p *segment, s message.State, code, detail string) {
	workflow.GetLogger(c.Root).Error("a segment was lost", "number", p.number, "why", detail)
	if c.Canceled && !p.known && s != message.Unknown {
		s, code, detail = message.Canceled, "canceled", c.Reason // it never had one to send
	}
	p.rest = &message.UnrunOutcome{State: s, Code: code, Detail: detail, Finished: c.Now()}
	c.end(p, s, code, detail)
}
