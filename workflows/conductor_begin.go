package workflows

import (
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// begin begins what may begin: segments in order, through a window of those that
// have first attempts to make, and retries of what segments left.
func (c *conductor) begin() {
	if !c.opened {
		return
	}
	now := c.now()
	if due := c.firstDue(); c.started == 0 && !c.cancel && due > 0 && due <= now {
		c.begins(now)
		c.change()
	}
	if c.locating > 0 && !c.cancel {
		return // a message that is to be canceled may be in what would begin
	}
	for c.next < c.segments && c.firsts < window && c.running < c.most() {
		p := c.parts[c.next]
		if c.paused && p.Expires > now {
			break // in a paused batch nothing begins but what can only expire
		}
		c.beginSegment(p)
	}
	for c.running < c.most() {
		some := c.enough(now)
		if len(some) == 0 {
			break
		}
		c.beginRetry(some)
	}
}

// most is how many workflows may run at once.
func (c *conductor) most() int {
	if c.batch.AwaitReports > 0 {
		return maxAwaiting
	}
	return maxRunning
}

// input is what all workflows of the batch are told.
func (c *conductor) input(p *part) SegmentInput {
	return SegmentInput{
		V: message.Version, Dir: c.in.Dir, Number: p.number,
		ID: c.batch.ID, Tenant: c.batch.Tenant, Dialect: c.batch.Dialect,
		Dispatch: dispatchMessage, InFlight: c.batch.InFlight, Summaries: c.batch.Summaries,
		Expires: p.Expires, Paused: c.paused,
	}
}

func (c *conductor) beginSegment(p *part) {
	in := c.input(p)
	in.Sources = []activities.Source{{Segment: p.number}}
	if c.batch.Dispatch != "" {
		in.Dispatch = c.batch.Dispatch
	}
	in.Due, in.Canceled, in.Reasons, in.Revs = c.sendAt, p.canceled, fitReasons(p.reasons), p.revs
	p.letter = message.SegmentRunning
	c.next++
	c.firsts++
	c.launch(p, in, fmt.Sprintf("segment %d of %d", p.number, c.segments))
}

// enough are the gathered segments whose messages the next retry takes, as many
// as it may have; none as long as it is better to wait for more.
func (c *conductor) enough(now int64) []*part {
	some, n := 0, 0
	for _, p := range c.gathered {
		if n += p.left.Total(); some > 0 && n > retryMessages {
			break
		}
		some++
	}
	full := n >= retryMessages
	last := c.next >= c.segments && c.firsts == 0
	switch {
	case some == 0:
		return nil
	case c.cancel:
	case c.paused:
		if c.gathered[0].leftExpires > now {
			return nil
		}
	case full || last:
	case c.retryAt <= now:
		c.retryWait = min(2*c.retryWait, gatherMax)
	default:
		return nil
	}
	return c.gathered[:some]
}

// beginRetry lets one workflow take over what several segments left. In a canceled
// batch it writes down that all of that is canceled.
func (c *conductor) beginRetry(some []*part) {
	p := &part{number: len(c.parts) + 1, letter: message.SegmentRetrying, known: true}
	for _, s := range some {
		p.of = append(p.of, s.number)
		p.Expires = max(p.Expires, s.leftExpires)
	}
	in := c.input(p)
	for _, s := range some {
		in.Sources = append(in.Sources, activities.Source{Segment: s.number, Left: true})
		in.Canceled, in.Reasons, in.Revs = append(in.Canceled, s.canceled...), append(in.Reasons, s.reasons...), append(in.Revs, s.revs...)
		for state, n := range s.left {
			s.counts[state] -= n
			p.counts[state] += n
		}
		s.left, s.taker = message.Counts{}, p
	}
	in.Reasons = fitReasons(in.Reasons)
	p.Count = p.counts.Total()
	if c.cancel {
		p.void = true
		in.Cancel = &message.CancelRequest{Reason: c.reason}
	}
	c.gathered = append([]*part(nil), c.gathered[len(some):]...)
	if len(c.gathered) == 0 {
		c.retryAt = 0
	}
	c.parts = append(c.parts, p)
	c.launch(p, in, fmt.Sprintf("retry of what %d segments left", len(p.of)))
}

// launch begins a part's workflow and follows it to its end. Temporal's own cancel
// does not reach it; what it means for its messages comes as an order.
func (c *conductor) launch(p *part, in SegmentInput, summary string) {
	ctx := workflow.WithChildOptions(c.work, workflow.ChildWorkflowOptions{
		WorkflowID:          c.segmentID(p.number),
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_TERMINATE,
		WaitForCancellation: true,
		StaticSummary:       summary,
	})
	p.child = workflow.ExecuteChildWorkflow(ctx, SendSegmentName, in)
	c.running++
	c.change()
	workflow.Go(c.work, func(ctx workflow.Context) {
		var res SegmentResult
		err := p.child.Get(ctx, &res)
		c.finish(p, res, err)
		c.poke()
	})
}

// segmentID is the id of the workflow of a batch's segment.
func (c *conductor) segmentID(number int) string {
	return fmt.Sprintf("%s~%04d", message.WorkflowID(c.batch.Tenant, c.batch.ID), number)
}

// finish takes over how a part's workflow ended.
func (c *conductor) finish(p *part, res SegmentResult, err error) {
	log := workflow.GetLogger(c.root)
	if p.letter == message.SegmentRunning {
		c.firsts--
	}
	c.running--
	switch {
	case err != nil:
		log.Error("the workflow of a segment was ended by others", "number", p.number, "error", err)
		c.lose(p, message.Unknown, codeLost, "its workflow was ended before it could tell")
	case res.Lost:
		log.Error("a segment could not be read from the store", "number", p.number)
		c.lose(p, message.Failed, message.CodeStore, "the store has lost its segment")
	case res.Counts.Total() != p.Count || res.Left != res.Counts.Open() || p.of != nil && res.Left > 0:
		log.Error("the workflow of a segment ended with counts that do not fit", "number", p.number, "counts", res.Counts)
		c.lose(p, message.Unknown, codeLost, "its workflow did not tell what became of it")
	default:
		p.counts, p.known, p.letter = res.Counts, true, message.SegmentEnded
		if res.Left > 0 {
			c.gather(p, res)
		}
	}
	p.orders = nil
	if b := c.batch.Callbacks; b != nil && (b.Messages || c.in.Total <= fewMessages) {
		c.news++
	}
	c.rev = max(c.rev, res.Rev)
	c.begins(res.Started)
	c.change()
}

// lose gives up the messages of a part whose workflow left no ledger. What is
// known to have ended keeps its end.
func (c *conductor) lose(p *part, s message.State, code, detail string) {
	if c.cancel && (p.void || !p.known && code == message.CodeStore) {
		s, code, detail = message.Canceled, "canceled", c.reason // it never had one to send
	}
	n := p.settle(s, c.now())
	p.letter = message.SegmentNever
	p.rest = &message.Rest{State: s, Code: code, Detail: detail, Finished: c.now()}
	c.meter(s, n)
}

// gather keeps what a segment left for a retry.
func (c *conductor) gather(p *part, res SegmentResult) {
	p.letter = message.SegmentLeft
	p.left, p.canceled, p.reasons, p.revs = message.Counts{}, nil, nil, nil
	p.left[message.Retrying], p.leftExpires = res.Left, res.Expires
	for _, s := range []message.State{message.Scheduled, message.Accepted, message.Sending} {
		p.counts[message.Retrying] += p.counts[s]
		p.counts[s] = 0
	}
	if len(c.gathered) == 0 {
		c.retryAt = c.now() + c.retryWait
	}
	c.gathered = append(c.gathered, p)
	if c.cancel {
		c.strikeGathered()
	}
}

// strikeGathered counts all that waits for a retry as canceled.
func (c *conductor) strikeGathered() {
	for _, p := range c.gathered {
		closeOpen(&p.left, message.Canceled)
		closeOpen(&p.counts, message.Canceled)
	}
}
