package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// state is where the batch stands.
func (c *conductor) state() message.BatchState {
	switch {
	case c.finished > 0 && c.cancel:
		return message.BatchCanceled
	case c.finished > 0:
		return message.BatchCompleted
	case c.cancel:
		return message.BatchCanceling
	case c.paused:
		return message.BatchPaused
	case c.started > 0:
		return message.BatchRunning
	default:
		return message.BatchScheduled
	}
}

// status answers the query status. What runs counts as it last reported.
func (c *conductor) status() message.Status {
	counts := c.counts()
	b := c.batch
	s := message.Status{
		ID: b.ID, Dialect: b.Dialect, Tenant: b.Tenant, Account: b.Account,
		State: c.state(), Dispatch: b.Dispatch, CreatedAt: b.CreatedAt,
		SendAfter: message.At(c.sendAt), StartedAt: message.At(c.started), FinishedAt: message.At(c.finished),
		Total: c.in.Total, Counts: &counts, Metadata: b.Metadata, AsOf: workflow.Now(c.root).UTC(), Rev: c.rev,
	}
	if s.SendAfter == nil {
		s.SendAfter = message.At(b.SendAfter)
	}
	if s.Account == "" && len(b.Policies) == 1 {
		s.Account = workflow.DeterministicKeys(b.Policies)[0]
	}
	if s.Dispatch == "" {
		s.Dispatch = dispatchMessage
	}
	if s.Metadata == nil {
		s.Metadata = []byte("{}")
	}
	if b.RedriveOf != "" {
		s.RedriveOf = &b.RedriveOf
	}
	if c.next < c.segments {
		s.NextDueAt = message.At(c.parts[c.next].First) // they are in order
	}
	return s
}

// overview answers the query overview.
func (c *conductor) overview() message.Overview {
	o := message.Overview{V: message.Version, Status: c.status(), Large: c.large(), Opened: c.opened, Fault: c.fault, Missing: c.missing}
	if c.running > 0 {
		o.Counts, o.Revs = make(map[int]message.Counts, c.running), make(map[int]int64, c.running)
		for _, p := range c.active() {
			o.Counts[p.number] = p.at(c.now())
			if p.known {
				o.Revs[p.number] = p.rev
			}
		}
	}
	return o
}

// large says how the segments stand.
func (c *conductor) large() message.Large {
	l := message.Large{Dir: c.in.Dir, Rest: c.rest}
	if !c.opened {
		return l
	}
	letters := make([]byte, c.segments)
	room := maxReasons
	for i, p := range c.parts {
		switch {
		case i < c.segments:
			letters[i] = p.letter
		default:
			l.Retries = append(l.Retries, message.Retry{Number: p.number, Segments: p.of, Ended: !p.runs()})
		}
		if p.rest != nil {
			if l.RestOf == nil {
				l.RestOf = map[int]message.Rest{}
			}
			l.RestOf[p.number] = *p.rest
		}
		if !c.lists(p) {
			continue
		}
		for k, index := range p.canceled {
			reason := p.reasons[k]
			if room -= len(reason); room < 0 {
				reason = ""
			}
			l.Canceled, l.Reasons, l.Revs = append(l.Canceled, index), append(l.Reasons, reason), append(l.Revs, p.revs[k])
		}
	}
	l.Segments = string(letters)
	if c.next < c.segments || c.rest != nil {
		l.Due, l.DueRev = c.sendAt, c.sendRev
	}
	return l
}

// lists reports whether the batch itself says what was canceled by name in a part:
// no ledger has it, or will have it.
func (c *conductor) lists(p *part) bool {
	return !p.runs() && p.letter != message.SegmentEnded && (p.taker == nil || p.taker.rest != nil)
}

// show tells the Web UI and the lists how the batch stands, when that changed.
func (c *conductor) show() {
	state := c.state()
	if now := fmt.Sprintf("%s %d", state, c.rev); now != c.described {
		c.described = now
		workflow.SetCurrentDetails(c.root, c.details())
	}
	if !c.indexed || string(state) == c.shown && c.sendAt == c.shownDue {
		return
	}
	c.shown, c.shownDue = string(state), c.sendAt
	attrs := []temporal.SearchAttributeUpdate{attrState.ValueSet(c.shown)}
	if state.Closed() {
		n := c.counts()
		attrs = append(attrs, attrFailed.ValueSet(int64(n[message.Failed]+n[message.Undelivered]+n[message.Unknown])))
	}
	if c.sendAt > 0 {
		attrs = append(attrs, attrDue.ValueSet(time.UnixMilli(c.sendAt).UTC()))
	}
	if err := workflow.UpsertTypedSearchAttributes(c.root, attrs...); err != nil {
		workflow.GetLogger(c.root).Warn("search attributes were not updated", "error", err)
	}
}

// details is a small table of the counts.
func (c *conductor) details() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** · %d messages in %d segments", c.state(), c.in.Total, c.segments)
	for _, why := range []string{c.reason, c.fault} {
		if why != "" {
			fmt.Fprintf(&b, " · %s", why)
		}
	}
	b.WriteString("\n\n| state | messages |\n|---|---:|\n")
	n := c.counts()
	for _, s := range message.States() {
		if n[s] > 0 {
			fmt.Fprintf(&b, "| %s | %d |\n", s, n[s])
		}
	}
	return b.String()
}
