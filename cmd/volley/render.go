package main

import (
	"strings"

	"volley/internal/intake"
	"volley/internal/message"
)

// rendered is a message with what its recipient would get, and through what.
type rendered struct {
	intake.Rendered

	through string
}

// render shows every message of a batch. A content that cannot be filled in is
// one more problem.
func (a *app) render(d *intake.Buffered, recipient func(int) string) []rendered {
	out := make([]rendered, len(d.Batch.Messages))
	for i := range out {
		m := &d.Batch.Messages[i]
		before := len(m.Problems)
		out[i] = a.renderOne(d.Batch, i, i, recipient)
		d.Problems = append(d.Problems, m.Problems[before:]...)
	}
	return out
}

// renderOne shows the message at i of b, whose index in the request is index. A
// content that cannot be filled in becomes a problem of the message.
func (a *app) renderOne(b *message.Batch, i, index int, recipient func(int) string) rendered {
	m := &b.Messages[i]
	return rendered{Rendered: intake.Render(b, m, index, recipient, a.now()), through: through(b, m)}
}

func (a *app) showRendered(m rendered) {
	now := a.now()
	a.printf("\n")
	t := &table{}
	t.row(cell{"message", faint}, cell{m.name(), 0})
	if m.Given != "" {
		t.row(cell{"written as", faint}, cell{m.Given, 0})
	}
	t.row(cell{"state", faint}, cell{m.State.Text(), stateColour(m.State)})
	if m.State == message.Rejected {
		t.row(cell{"why", faint}, cell{m.Code + ": " + m.Detail, 0})
		a.table(t)
		return
	}
	t.row(cell{"through", faint}, cell{m.through, 0})
	t.row(cell{"due", faint}, cell{when(*m.DueAt, now), 0})
	t.row(cell{"until", faint}, cell{when(*m.ExpiresAt, now), 0})
	if m.Text != nil && *m.Text != "" {
		t.row(cell{"text", faint}, cell{*m.Text, 0})
	}
	if m.SMS != nil {
		t.row(cell{"as SMS", faint}, cell{smsText(*m.SMS), 0})
	}
	t.row(cell{"content", faint}, cell{string(m.Content), 0})
	a.table(t)
}

// smsText says what a text takes as an SMS.
func smsText(s message.SMS) string {
	return plural(s.Parts, "part") + ", " + plural(s.Units, "character") + " of " + s.Encoding
}

// name is the message's place and recipient.
func (r rendered) name() string { return rowName(r.Row) }

// hopNames names hops with their channels.
func hopNames(hops []message.Hop) []string {
	names := make([]string, len(hops))
	for i, h := range hops {
		names[i] = h.Account
		if len(h.Channels) > 0 {
			names[i] += " (" + strings.Join(h.Channels, ", ") + ")"
		}
	}
	return names
}

// through names the hops of a message in the order in which they are tried, with the address
// that each takes where it is another than the one before.
func through(b *message.Batch, m *message.Message) string {
	hops := b.HopsOf(m)
	if len(hops) == 0 {
		channel := ""
		if len(m.Channels) > 0 {
			channel = m.Channels[0]
		}
		return strings.TrimSpace(channel + " (routing is not checked)")
	}
	names, last := hopNames(hops), m.Recipient()
	for i, h := range hops {
		switch a, ok := b.HopAddress(m, h); {
		case !ok:
			names[i] += ", which the recipient has no address for"
		case a.Value != last:
			names[i] += " to " + a.Value
			last = a.Value
		}
	}
	return strings.Join(names, ", then ")
}
