package main

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/message"
)

// validateDocument is what validate answers.
type validateDocument struct {
	Total    int              `json:"total"`
	Valid    int              `json:"valid"`
	Problems message.Problems `json:"problems"`
	// Messages is there with --render.
	Messages *[]rendered `json:"messages,omitempty"`
}

// rendered is a row with what the recipient would get; a rejected one has null.
type rendered struct {
	message.Row
	Text    *string         `json:"text"`
	Content json.RawMessage `json:"content"`

	way []message.Hop
}

func (a *app) validateCommand() *cobra.Command {
	var in input
	var render bool
	cmd := &cobra.Command{
		Use:   "validate --dialect D FILE|-",
		Short: "Check a request without sending anything",
		Long: `Lists every problem of a request with its place. It needs no server; without a
configuration it does not check which account a message would take.`,
		Example: "  volley validate --dialect sinch --render batch.json",
		Args:    needs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.validate(in, args[0], render)
		},
	}
	in.flags(a, cmd)
	cmd.Flags().BoolVar(&render, "render", false, "show what each recipient would get, when and through what")
	return cmd
}

func (a *app) validate(in input, file string, render bool) error {
	c, found, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	if !found {
		a.note("no configuration was found, so routing is not checked and defaults apply")
	}
	d, err := a.read(in, file, c, found)
	if err != nil {
		return err
	}
	doc := validateDocument{Total: d.total()}
	if render {
		rows := []rendered{}
		if d.batch != nil && !d.whole {
			rows = a.render(d)
		}
		doc.Messages = &rows
	}
	doc.Valid, doc.Problems = d.valid(), clipped(d.problems, -1)
	if a.json() {
		err = a.print(doc)
	} else {
		a.showValidation(doc)
	}
	if len(doc.Problems) > 0 {
		return errors.Join(&exitError{code: exitUsage}, err)
	}
	return err
}

// render shows every message of a batch. A content that cannot be filled in is
// one more problem.
func (a *app) render(d *decoded) []rendered {
	b := d.batch
	out := make([]rendered, len(b.Messages))
	now := a.now()
	for i := range b.Messages {
		m := &b.Messages[i]
		rec := message.Record{State: message.Scheduled, Due: b.DueAt(i), Expires: expiry(b, i).UnixMilli()}
		switch {
		case rec.Expires <= now.UnixMilli():
			rec.State, rec.Code, rec.Detail = message.Expired, "expired", "its validity is over by now"
		case rec.Due <= now.UnixMilli():
			rec.State = message.Accepted
		}
		var text string
		var content json.RawMessage
		var err error
		if len(m.Problems) == 0 {
			if content, text, err = b.Template.Render(m); err != nil {
				m.Problems.Add(i, d.dialect.Recipient(i), message.CodeParameter, "%s", err.Error())
				d.problems = append(d.problems, m.Problems...)
			}
		}
		if len(m.Problems) > 0 {
			rec.State, rec.Code, rec.Detail = message.Rejected, m.Problems[0].Code, m.Problems[0].Detail
		}
		out[i].Row = b.RowOf(message.Key{}, i, &rec)
		out[i].way = b.Way(i)
		out[i].ID = "" // there is none before the batch has its own
		if rec.State != message.Rejected {
			out[i].Text, out[i].Content = &text, content
		}
	}
	return out
}

func (a *app) showValidation(doc validateDocument) {
	a.printf("%s, %d valid, %s\n", plural(doc.Total, "message"), doc.Valid, plural(len(doc.Problems), "problem"))
	a.showProblems(doc.Problems, -1)
	if doc.Messages == nil {
		return
	}
	now := a.now()
	for _, m := range *doc.Messages {
		a.printf("\n")
		t := &table{}
		t.row(cell{"message", faint}, cell{m.name(), 0})
		t.row(cell{"state", faint}, cell{m.State.String(), stateColour(m.State)})
		if m.State == message.Rejected {
			t.row(cell{"why", faint}, cell{m.Code + ": " + m.Detail, 0})
			a.table(t)
			continue
		}
		t.row(cell{"through", faint}, cell{m.through(), 0})
		t.row(cell{"due", faint}, cell{when(*m.DueAt, now), 0})
		t.row(cell{"until", faint}, cell{when(*m.ExpiresAt, now), 0})
		if m.Text != nil && *m.Text != "" {
			t.row(cell{"text", faint}, cell{*m.Text, 0})
		}
		t.row(cell{"content", faint}, cell{string(m.Content), 0})
		a.table(t)
	}
}

// name is the message's place and recipient.
func (r rendered) name() string { return rowName(r.Row) }

// through names the hops in the order in which they are tried.
func (r rendered) through() string {
	if len(r.way) == 0 {
		return strings.TrimSpace(r.Channel + " (routing is not checked)")
	}
	hops := make([]string, len(r.way))
	for i, h := range r.way {
		hops[i] = h.Account
		if len(h.Channels) > 0 {
			hops[i] += " (" + strings.Join(h.Channels, ", ") + ")"
		}
	}
	return strings.Join(hops, ", then ")
}
