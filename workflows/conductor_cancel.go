package workflows

import (
	"strconv"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// onCancel ends what has not left and answers with what became of it.
func (c *conductor) onCancel(ctx workflow.Context, q message.CancelRequest) (message.CancelResult, error) {
	if q.Messages == nil {
		return c.onCancelAll(ctx, q), nil
	}
	targets, _ := c.targets(q.Messages)
	s := c.newSearch(targets, q.Reason, locatePatience)
	if err := s.run(ctx); err != nil {
		return message.CancelResult{}, err
	}
	return s.result(), nil
}

// onCancelSignal does the same and answers nobody.
func (c *conductor) onCancelSignal(q message.CancelRequest) {
	if q.Messages == nil {
		c.cancelAll(q)
		return
	}
	if c.ended() {
		return
	}
	targets, err := c.targets(q.Messages)
	if err != nil {
		workflow.GetLogger(c.root).Warn("a signal names messages that are not in the batch", "error", err)
	}
	c.handlers++
	c.locating++ // from now on, not from when the coroutine runs
	workflow.Go(c.work, func(ctx workflow.Context) {
		s := c.newSearch(targets, q.Reason, signalPatience)
		s.struck = func() { c.locating--; s.struck = nil }
		if err := s.run(ctx); err != nil {
			workflow.GetLogger(c.root).Error("messages were not canceled", "error", err)
		}
		if s.struck != nil {
			s.struck()
		}
		c.handlers--
		c.poke()
	})
}

// cancelAll cancels all of the batch and waits for nothing.
func (c *conductor) cancelAll(q message.CancelRequest) {
	q = message.CancelRequest{Reason: message.Clip(q.Reason, message.MaxDetail)}
	c.stop(q.Reason)
	c.tell(Order{Cancel: &q})
}

// stop lets nothing more begin and counts as canceled what no workflow has.
func (c *conductor) stop(reason string) {
	if c.cancel || c.ended() {
		return
	}
	c.cancel, c.reason = true, reason
	c.shut()
	c.drop(message.Rest{State: message.Canceled, Code: "canceled", Detail: reason, Finished: c.now()})
	c.strikeGathered()
	c.change()
	c.poke()
}

// onCancelAll cancels all of the batch. Ids are listed only of batches that are
// not larger than what one answer can name.
func (c *conductor) onCancelAll(ctx workflow.Context, q message.CancelRequest) message.CancelResult {
	q = message.CancelRequest{Reason: message.Clip(q.Reason, message.MaxDetail)}
	s := c.newSearch(nil, q.Reason, reportWait)
	before := make([]message.Counts, len(c.parts))
	for i, p := range c.parts {
		before[i] = p.at(c.now())
		if !c.cancel && before[i].Open() > 0 {
			s.fresh[p] = true
			for _, number := range p.of {
				s.fresh[c.part(number)] = true
			}
		}
	}
	parts := c.active()
	c.stop(q.Reason)
	few := c.in.Total <= maxListed
	if few {
		q.Messages = make([]string, c.in.Total)
		for i := range q.Messages {
			q.Messages[i] = strconv.Itoa(i) // each segment passes over those of others
			s.indexes = append(s.indexes, i)
		}
	}
	reports := c.ask(ctx, parts, func(*part) Order { return Order{Cancel: &q} })
	if few {
		s.listen(parts, reports)
		if s.complete(ctx) {
			return s.result()
		}
	}
	return message.CancelResult{Batch: c.batch.ID, Confirmed: true, Counts: c.tally(before, reports)}
}

// tally counts what a cancel did. What a segment answers is exact; of the others
// the last that is known counts, compared with what was known before.
func (c *conductor) tally(before []message.Counts, reports map[int]Report) message.CancelCounts {
	var sum message.CancelCounts
	var was, is message.Counts
	for i, p := range c.parts {
		var share message.Counts // none has a retry that began since: its segments have it
		if i < len(before) {
			share = before[i]
		}
		if a := reports[p.number].Cancel; a != nil && a.Counts.Canceled+a.Counts.Sent+a.Counts.InFlight+a.Counts.Ended == share.Total() {
			sum.Canceled += a.Counts.Canceled
			sum.Sent += a.Counts.Sent
			sum.InFlight += a.Counts.InFlight
			sum.Ended += a.Counts.Ended
			continue
		}
		for s, n := range p.at(c.now()) {
			is[s] += n
			was[s] += share[s]
		}
	}
	sent := is[message.Sent] + is[message.Delivered] + is[message.Undelivered]
	final := is.Total() - is.Open() - sent
	canceled := min(max(is[message.Canceled]-was[message.Canceled], 0), final)
	sum.Canceled += canceled
	sum.Sent += sent
	sum.InFlight += is.Open()
	sum.Ended += final - canceled
	return sum
}
