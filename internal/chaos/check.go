package chaos

import (
	"fmt"
	"slices"
	"time"

	"volley/internal/message"
)

// clockTolerance is how far the clocks of workers, sink and Temporal may be apart.
const clockTolerance = time.Second

// Rules are the names of all rules, in the order in which Check applies them.
func Rules() []string {
	return []string{
		"ended", "counts", "rows", "sent", "lost", "twice", "early", "late", "expired early", "receipt", "resolved", "attempts",
		"cancel sets", "cancel", "pause", "hold",
	}
}

// Check compares what Volley said with what the sink got, and returns each promise that
// was not kept.
func Check(e *Evidence) []Violation {
	c := &checker{Evidence: e, byID: map[string][]*Request{}, byReference: map[string][]*Request{}}
	for i := range e.Requests {
		r := &e.Requests[i]
		if r.Question {
			continue
		}
		c.byID[r.ID] = append(c.byID[r.ID], r)
		c.byReference[r.Reference] = append(c.byReference[r.Reference], r)
	}
	for i := range e.Batches {
		c.batch(&e.Batches[i])
	}
	c.holds()
	return c.violations
}

type checker struct {
	*Evidence
	// byID and byReference are the requests to send a message.
	byID, byReference map[string][]*Request
	violations        []Violation
}

func (c *checker) say(rule string, b *Batch, index int, id, format string, args ...any) {
	c.violations = append(c.violations, Violation{Rule: rule, Batch: b.ID, Index: index, ID: id, Evidence: fmt.Sprintf(format, args...)})
}

// batch checks one batch. One that has no end has nothing else to be checked.
func (c *checker) batch(b *Batch) {
	for i := range b.Polls {
		c.counts(b, &b.Polls[i])
	}
	if b.Open != "" || !b.Final.State.Closed() {
		c.say("ended", b, -1, "", "the batch has not ended: state %s, counts %s, %s", b.Final.State, countsText(b.Final.Counts), b.Open)
		return
	}
	c.counts(b, &b.Final)
	c.rows(b)
	for i := range b.Rows {
		if row := &b.Rows[i]; row.Index >= 0 && row.Index < len(b.Messages) {
			c.message(b, row, &b.Messages[row.Index])
		}
	}
	states := map[string]message.State{}
	for i := range b.Rows {
		states[b.Rows[i].ID] = b.Rows[i].State
	}
	c.cancelTotals(b)
	for i := range b.Cancels {
		c.cancelSets(b, &b.Cancels[i], states)
	}
	for i := range b.Pauses {
		c.pause(b, &b.Pauses[i])
	}
}

// counts holds that the counts of a status add up.
func (c *checker) counts(b *Batch, s *message.Status) {
	switch {
	case s.Total != len(b.Messages):
		c.say("counts", b, -1, "", "a status at %s says %d messages, %d were started", stamp(s.AsOf), s.Total, len(b.Messages))
	case s.Counts == nil:
		c.say("counts", b, -1, "", "a status at %s has no counts", stamp(s.AsOf))
	case s.Counts.Total() != s.Total:
		c.say("counts", b, -1, "", "a status at %s (%s) counts %d of %d: %s", stamp(s.AsOf), s.State, s.Counts.Total(), s.Total, countsText(s.Counts))
	}
}

// rows holds that each message has one row in a final state, and that they are what the
// status counts.
func (c *checker) rows(b *Batch) {
	seen := make([]int, len(b.Messages))
	var counts message.Counts
	for i := range b.Rows {
		row := &b.Rows[i]
		counts[row.State]++
		if row.Index < 0 || row.Index >= len(seen) {
			c.say("rows", b, row.Index, row.ID, "the results have a message that was never started")
			continue
		}
		if seen[row.Index]++; seen[row.Index] == 2 {
			c.say("rows", b, row.Index, row.ID, "the results list the message more than once")
		}
		if !row.State.Final() {
			c.say("rows", b, row.Index, row.ID, "the batch has ended and the message is %s", row.State)
		}
		if want := b.Messages[row.Index].Reference; row.Reference == nil || *row.Reference != want {
			c.say("rows", b, row.Index, row.ID, "the results give the message another reference than %s", want)
		}
	}
	for i, n := range seen {
		if n == 0 {
			c.say("rows", b, i, "", "the results do not have the message")
		}
	}
	if b.Final.Counts != nil && counts != *b.Final.Counts {
		c.say("counts", b, -1, "", "the status says %s, the results are %s", countsText(b.Final.Counts), countsText(&counts))
	}
}

// message holds what is promised of every message.
func (c *checker) message(b *Batch, row *message.Row, m *Message) {
	requests := c.byID[row.ID]
	accepted := acceptedOf(requests)
	say := func(rule, format string, args ...any) { c.say(rule, b, row.Index, row.ID, format, args...) }
	account := c.Accounts[b.Account]
	switch {
	case row.State.Taken() && len(accepted) == 0:
		say("sent", "it is %s and the sink never took it; %s", row.State, story(requests))
	case len(accepted) > 0 && !row.State.Taken() && row.State != message.Unknown:
		say("lost", "the sink took it and it is %s (%s); %s", row.State, row.Code, story(requests))
	}
	if all := acceptedOf(c.byReference[m.Reference]); len(all) > 1 && !account.Resends {
		say("twice", "the sink took it %d times; %s", len(all), story(all))
	}
	c.times(b, row, m, requests)
	if row.ProviderID != "" && !slices.ContainsFunc(accepted, func(r *Request) bool { return r.Receipt == row.ProviderID }) {
		say("receipt", "providerId is %s, which the sink did not give to it; %s", row.ProviderID, story(requests))
	}
	if row.State == message.Unknown && account.Asked && !b.Hurried && !b.Terminated && len(b.Cancels) == 0 {
		say("resolved", "it is unknown (%s) although the sink could be asked; %s", row.Detail, story(requests))
	}
	if len(requests) > row.Attempts {
		say("attempts", "the sink got %d requests, %d attempts are counted; %s", len(requests), row.Attempts, story(requests))
	}
}

// times holds that nothing leaves before it is due or after its validity.
func (c *checker) times(b *Batch, row *message.Row, m *Message, requests []*Request) {
	first, last := m.Due, m.Expires
	for _, x := range b.Reschedules {
		if x.At.Before(first) {
			first = x.At
		}
		last = later(last, later(x.At, x.Answered).Add(m.Expires.Sub(m.Due)))
		if !x.Confirmed && row.ExpiresAt != nil {
			last = later(last, *row.ExpiresAt)
		}
	}
	// A message that was moved before any attempt has the new times only.
	if row.DueAt != nil && row.DueAt.After(first) {
		first = *row.DueAt
	}
	if row.ExpiresAt != nil && row.ExpiresAt.Before(last) {
		last = *row.ExpiresAt
	}
	for _, r := range requests {
		switch {
		case r.Arrived.Before(first.Add(-clockTolerance)):
			c.say("early", b, row.Index, row.ID, "it was due at %s and came at %s", stamp(first), stamp(r.Arrived))
		case r.Stamped.After(last.Add(clockTolerance)):
			c.say("late", b, row.Index, row.ID, "its validity ended at %s and it was sent at %s", stamp(last), stamp(r.Stamped))
		}
	}
	if row.State == message.Expired && row.FinishedAt != nil && row.ExpiresAt != nil && row.FinishedAt.Before(row.ExpiresAt.Add(-clockTolerance)) {
		c.say("expired early", b, row.Index, row.ID, "it expired at %s, its validity ends at %s", stamp(*row.FinishedAt), stamp(*row.ExpiresAt))
	}
}

// index is that of a message of a batch; -1 is that it has none of this id.
func (c *checker) index(b *Batch, id string) int {
	i := slices.IndexFunc(b.Rows, func(r message.Row) bool { return r.ID == id })
	if i < 0 {
		return -1
	}
	return b.Rows[i].Index
}

func acceptedOf(requests []*Request) (all []*Request) {
	for _, r := range requests {
		if r.Accepted {
			all = append(all, r)
		}
	}
	return all
}

// story is what the sink saw of a message.
func story(requests []*Request) string {
	if len(requests) == 0 {
		return "the sink got no request"
	}
	text := "the sink got"
	for i, r := range requests {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %s %s", stamp(r.Arrived), r.Answer)
	}
	return text
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// countsText lists the states that have messages.
func countsText(c *message.Counts) string {
	if c == nil {
		return "none"
	}
	text := ""
	for _, s := range message.States() {
		if c[s] != 0 {
			text += fmt.Sprintf(" %s=%d", s, c[s])
		}
	}
	return "[" + text + " ]"
}
