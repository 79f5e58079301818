package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// part is one segment of a large batch, or a retry, which takes over what
// segments left.
type part struct {
	message.Segment
	number int
	letter byte  // one of message.Large's; a retry's is r, w, e or x
	of     []int // of a retry: the segments whose messages it has
	void   bool  // of a retry: it began when all of the batch had been canceled

	// counts are those of its workflow's last report, or of its end; before known
	// is set they follow from the times.
	counts message.Counts
	known  bool
	rev    int64

	// left are the counts of what it left, as long as no retry has it.
	left        message.Counts
	leftExpires int64
	taker       *part // the retry that has it

	// canceled are messages that were canceled by name before its workflow began, or,
	// once it has left some, before that of the retry does, with reasons and the
	// batch's revs.
	canceled []int
	reasons  []string
	revs     message.Revs
	rest     *message.Rest // what became of messages without an end of their own

	child  workflow.ChildWorkflowFuture
	orders []Order // to be passed on, in this order
	posted bool    // a coroutine passes them on
}

// waits reports whether the part may still begin.
func (p *part) waits() bool { return p.letter == message.SegmentWaiting }

// runs reports whether the part's workflow is under way.
func (p *part) runs() bool {
	return p.letter == message.SegmentRunning || p.letter == message.SegmentRetrying
}

// at is how many of the part's messages are in which state at a time in Unix ms,
// without those that a retry has taken over.
func (p *part) at(now int64) message.Counts {
	if p.known {
		return p.counts
	}
	var n message.Counts
	n[message.Rejected], n[message.Canceled] = p.Rejected, len(p.canceled)
	open := message.Scheduled
	if p.Last <= now {
		open = message.Accepted
	}
	n[open] = max(p.Count-p.Rejected-len(p.canceled), 0)
	return n
}

// move makes all messages of the part due at a time; each keeps its validity.
func (p *part) move(due int64) {
	p.Expires += due - p.First
	p.First, p.Last = due, due
}

// settle ends all open messages of the part in one state and returns how many
// they were.
func (p *part) settle(s message.State, now int64) int {
	p.counts, p.known = p.at(now), true
	n := p.counts.Open()
	closeOpen(&p.counts, s)
	return n
}

// closeOpen counts all that is open as being in a final state.
func closeOpen(n *message.Counts, s message.State) {
	n[s] += n.Open()
	n[message.Scheduled], n[message.Accepted], n[message.Sending], n[message.Retrying] = 0, 0, 0, 0
}

// strike cancels one open message of the part, which no workflow has, at a rev of
// the batch, and reports whether it was.
func (p *part) strike(index int, reason string, rev int64) bool {
	if slices.Contains(p.canceled, index) {
		return false
	}
	if p.letter == message.SegmentLeft {
		if p.left[message.Retrying] == 0 {
			return false
		}
		for _, n := range []*message.Counts{&p.left, &p.counts} {
			n[message.Retrying]--
			n[message.Canceled]++
		}
	}
	p.canceled, p.reasons, p.revs = append(p.canceled, index), append(p.reasons, reason), append(p.revs, rev)
	return true
}

// fitReasons shortens reasons that take more than maxReasons bytes.
func fitReasons(all []string) []string {
	n := 0
	for _, s := range all {
		n += len(s)
	}
	if n <= maxReasons {
		return all
	}
	short := make([]string, len(all))
	for i, s := range all {
		short[i] = message.Clip(s, maxReasons/len(all))
	}
	return short
}

// part finds a part by its number; nil is none.
func (c *conductor) part(number int) *part {
	if !c.opened || number < 1 || number > len(c.parts) {
		return nil
	}
	return c.parts[number-1]
}

// active lists the parts whose workflows are under way, in order.
func (c *conductor) active() []*part {
	var some []*part
	for _, p := range c.parts {
		if p.runs() {
			some = append(some, p)
		}
	}
	return some
}

// counts are those of the batch. They always add up to its total.
func (c *conductor) counts() message.Counts {
	var sum message.Counts
	now := c.now()
	for _, p := range c.parts {
		n := p.at(now)
		for s := range n {
			sum[s] += n[s]
		}
	}
	return sum
}

// ended reports whether every message has ended.
func (c *conductor) ended() bool { return c.counts().Open() == 0 }
