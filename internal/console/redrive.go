package console

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

// redriveStates are those of messages that their people did not get: what a redrive takes
// where nobody says which.
const redriveStates = "failed,expired,undelivered"

// redriveQuestion asks before messages are sent again.
func (c *Console) redriveQuestion(v *visit, ask *question, f filter, st *message.Status, name string, given url.Values) error {
	all := f.State == ""
	if all {
		f.State = redriveStates
		ask.Hidden = append(ask.Hidden, pair{"state", redriveStates})
	}
	states, err := message.ParseRedrive([]string{f.State})
	if err != nil {
		return &wrongError{err.Error()}
	}
	n := 0
	if f.Code == "" && f.IsZero() && st.Counts != nil {
		for _, s := range states {
			n += st.Counts[s]
		}
	} else if n, err = c.chosen(v, f, 0, func(s message.State) bool { return slices.Contains(states, s) }); err != nil {
		return err
	}
	ask.Title, ask.Yes = "Send again: "+name, "Send them again"
	ask.Asks = fmt.Sprintf("Send up to %s of %s again that %s %s?", message.Plural(n, "message"), name, verb(n, "is", "are"), listStates(states))
	if all {
		ask.Asks = fmt.Sprintf("Send up to %s of %s again, to those who did not get it?", message.Plural(n, "message"), name)
		ask.Notes = append(ask.Notes, "These are the messages that are "+listStates(states)+".")
	}
	ask.Notes = append(ask.Notes, "They become a new batch. Those that were sent again before are left out.")
	switch {
	case slices.Contains(states, message.Unknown):
		ask.Notes = append(ask.Notes, "Unknown ones may have arrived: these people may get the message a second time.")
	case st.Counts != nil && st.Counts[message.Unknown] > 0:
		ask.Notes = append(ask.Notes, message.Plural(st.Counts[message.Unknown], "message")+" that may have arrived "+verb(st.Counts[message.Unknown], "is", "are")+" left out, so that nobody gets it a second time.")
	}
	ask.Fields = append([]field{{Name: "account", Label: "Through", Hint: "another account; empty: as before", Value: given.Get("through"), Type: "text"}}, timeFields(given, v.now)...)
	ask.Fields[0].Name = "through"
	if c.o.ConfirmAbove > 0 && n > c.o.ConfirmAbove {
		ask.Number = n
	}
	return nil
}

func listStates(states []message.State) string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = stateWord(s)
	}
	return strings.Join(names, " or ")
}

// redrive sends messages of a batch again.
func (c *Console) redrive(v *visit, ref starter.Ref, f filter) (*view, error) {
	at, err := timeIn(v.PostForm)
	if err != nil {
		return c.controlQuestion(v, f, v.PostForm, sentence(err))
	}
	if f.State == "" {
		f.State = redriveStates
	}
	caller := c.caller(ref.Tenant)
	through := strings.TrimSpace(v.PostForm.Get("through"))
	q := starter.RedriveQuery{
		States: []string{f.State}, Selector: f.Selector, Code: f.Code, SendAfter: at, Through: through, Reroute: caller.Reroute,
		Allow: func(b *message.Batch) error { return caller.AllowAgain(b, through) },
	}
	var wrong error
	q.Ask = func(_ context.Context, p *starter.Proposal) error {
		if n := p.Total - p.Rejected; c.o.ConfirmAbove > 0 && n > c.o.ConfirmAbove {
			wrong = checkNumber(v.PostForm.Get("number"), n)
		}
		return wrong
	}
	s, err := c.changes.Redrive(v.Context(), ref, q)
	if wrong != nil {
		return c.controlQuestion(v, f, v.PostForm, sentence(wrong))
	}
	if err != nil {
		return nil, err
	}
	notes := []string{fmt.Sprintf("%s in the new batch.", isAre(s.Total))}
	if s.Existing {
		notes = []string{"These were sent again before, by this batch."}
	}
	if r := s.Redriven; r != nil && r.Unknown > 0 {
		notes = append(notes, message.Plural(r.Unknown, "message")+" left out, since they may have arrived.")
	}
	if r := s.Redriven; r != nil && r.AlreadyRedriven > 0 {
		notes = append(notes, message.Plural(r.AlreadyRedriven, "message")+" left out, since they were sent again before.")
	}
	return done("Sent again", batchPath(ref.Tenant, s.ID), "Open the new batch", notes...), nil
}

// caller is a tenant, or one of the name that may do nothing.
func (c *Console) caller(tenant string) intake.Caller {
	i := slices.IndexFunc(c.o.Callers, func(t intake.Caller) bool { return t.Tenant == tenant })
	if i < 0 {
		return intake.Caller{Tenant: tenant}
	}
	return c.o.Callers[i]
}
