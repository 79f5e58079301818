package chaos

import (
	"fmt"
	"slices"

	"volley/internal/message"
)

// cancelTotals holds that the messages which cancels say they ended are those that ended
// so. Where an answer is missing nothing can be said.
func (c *checker) cancelTotals(b *Batch) {
	said := 0
	for i := range b.Cancels {
		if x := &b.Cancels[i]; !x.Result.Confirmed {
			return
		} else if x.Result.Canceled == nil {
			said += x.Result.Counts.Canceled
		} else {
			said += len(x.Result.Canceled)
		}
	}
	if len(b.Cancels) == 0 || b.Terminated {
		return
	}
	var rows, inFlight int
	for i := range b.Rows {
		if b.Rows[i].State == message.Canceled {
			rows++
		}
	}
	for i := range b.Cancels {
		inFlight += b.Cancels[i].Result.Counts.InFlight
	}
	// What was in flight may end as canceled, too.
	if rows < said || rows > said+inFlight {
		c.say("cancel sets", b, -1, "", "the cancels say that they ended %d and that %d were in flight, and %d are canceled; the answers: %+v", said, inFlight, rows, b.Cancels)
	}
}

// cancelSets holds that the sets of one cancel are disjoint, complete and true.
func (c *checker) cancelSets(b *Batch, x *Cancel, states map[string]message.State) {
	res := &x.Result
	if !res.Confirmed {
		return
	}
	want := len(x.Named)
	if x.Named == nil {
		want = len(b.Messages)
	}
	n := res.Counts
	if x.Named == nil && n.Canceled > 0 && !b.Terminated && b.Final.State != message.BatchCanceled {
		c.say("cancel", b, -1, "", "the cancel of all ended %d messages, and the batch is %s", n.Canceled, b.Final.State)
	}
	if sum := n.Canceled + n.Sent + n.InFlight + n.Ended; sum != want {
		c.say("cancel sets", b, -1, "", "the sets have %d messages, %d were meant: %+v", sum, want, n)
	}
	if res.Canceled == nil && res.Sent == nil && res.InFlight == nil && res.Ended == nil {
		return // only counted
	}
	if lists := (message.CancelCounts{Canceled: len(res.Canceled), Sent: len(res.Sent), InFlight: len(res.InFlight), Ended: len(res.Ended)}); lists != n {
		c.say("cancel sets", b, -1, "", "the counts are %+v, the lists have %+v", n, lists)
	}
	seen := map[string]bool{}
	for id, effect := range res.All() {
		if seen[id] {
			c.say("cancel sets", b, c.index(b, id), id, "it is in more than one set")
		}
		seen[id] = true
		c.canceledMessage(b, x, id, effect, states)
	}
}

// canceledMessage holds what a set says of one message, and that nothing left for it after
// the answer unless it was in flight.
func (c *checker) canceledMessage(b *Batch, x *Cancel, id string, effect message.CancelEffect, states map[string]message.State) {
	state, ok := states[id]
	index := c.index(b, id)
	switch {
	case !ok:
		c.say("cancel sets", b, index, id, "a set names a message that the batch does not have")
	case effect == message.CancelCanceled && state != message.Canceled:
		c.say("cancel sets", b, index, id, "the cancel says that it ended it, and it is %s; %s", state, story(c.byID[id]))
	case effect == message.CancelSent && !state.Taken():
		c.say("cancel sets", b, index, id, "the cancel says that it was sent, and it is %s; %s", state, story(c.byID[id]))
	}
	after := 0
	for _, r := range c.byID[id] {
		if r.Stamped.After(x.Answered) {
			after++
		}
	}
	if effect == message.CancelInFlight {
		c.inFlight(b, x, id, index, after)
		return
	}
	for _, r := range c.byID[id] {
		if r.Stamped.After(x.Answered) {
			c.say("cancel", b, index, id, "the cancel was answered at %s, and a request left at %s; %s", stamp(x.Answered), stamp(r.Stamped), story(c.byID[id]))
		}
	}
}

// inFlight holds that an attempt at a message had left when the cancel was answered, and
// that no other is made. The request of one that had begun may leave after the answer.
func (c *checker) inFlight(b *Batch, x *Cancel, id string, index, after int) {
	if index < 0 || index >= len(b.Messages) {
		return
	}
	if due := b.Messages[index].Due; len(b.Reschedules) == 0 && due.After(x.Answered.Add(clockTolerance)) {
		c.say("cancel sets", b, index, id, "the cancel says that it was in flight at %s, and it was due at %s", stamp(x.Answered), stamp(due))
	}
	if after > 1 {
		c.say("cancel", b, index, id, "it was in flight when the cancel was answered at %s, and %d requests left after that; %s", stamp(x.Answered), after, story(c.byID[id]))
	}
}

// pause holds that nothing leaves while a batch is paused but what had left.
func (c *checker) pause(b *Batch, p *Pause) {
	if !p.Listed {
		return
	}
	for i := range b.Rows {
		row := &b.Rows[i]
		if slices.Contains(p.InFlight, row.ID) {
			continue
		}
		for _, r := range c.byID[row.ID] {
			if r.Stamped.After(p.Answered) && r.Stamped.Before(p.Until) {
				c.say("pause", b, row.Index, row.ID, "the batch was paused from %s to %s, and a request left at %s", stamp(p.Answered), stamp(p.Until), stamp(r.Stamped))
			}
		}
	}
}

// holds holds that nothing leaves through an account while it is held.
func (c *checker) holds() {
	for _, h := range c.Holds {
		for i := range c.Requests {
			r := &c.Requests[i]
			if !r.Question && r.Account == h.Account && r.Stamped.After(h.From) && r.Stamped.Before(h.Until) {
				c.violations = append(c.violations, Violation{
					Rule: "hold", Batch: r.Batch, Index: r.Index, ID: r.ID,
					Evidence: fmt.Sprintf("account %s was to be held from %s to %s, and a request left at %s", h.Account, stamp(h.From), stamp(h.Until), stamp(r.Stamped)),
				})
			}
		}
	}
}
