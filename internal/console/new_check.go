package console

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

// previews is how many messages are shown as their recipients get them.
const previews = 5

// check reads a file to its end and starts nothing.
func (c *Console) check(u *upload) (*intake.Check, error) {
	check := intake.NewCheck(intake.CheckOptions{
		Samples: previews, Estimates: c.o.Estimates, Now: c.o.Now(),
	})
	if u.request.IsBuffered() {
		return check, check.Buffered(u.request.Buffered())
	}
	in, err := u.request.Streamed(check)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return check, check.Streamed(in)
}

// checkedData is what is known of a file.
type checkedData struct {
	*intake.Check
	File string
	// Columns are those of a CSV file, and Fields what each field takes from them.
	Columns []string
	Fields  []columnField
	Refused string
	Groups  []groupLine
	// Warnings are what stops nothing.
	Warnings []string
	Previews []preview
	// Duplicates means that some messages repeat others.
	Duplicates bool
	// Number is what has to be typed in to start; 0 is nothing.
	Number    int
	Scheduled bool
}

type columnField struct{ Name, Column string }

// groupLine is problems of one kind.
type groupLine struct {
	Text   string
	Code   string
	Where  string
	Number int
}

// preview is a message as its recipient gets it.
type preview struct {
	To, Text, Why, SMS string
}

func (c *Console) checkedOf(u *upload, check *intake.Check) checkedData {
	d := checkedData{Check: check, File: u.name, Columns: u.columns, Scheduled: u.at.After(c.o.Now())}
	if len(u.columns) > 0 {
		for _, name := range dialect.CSVFields() {
			column := u.get("column-" + name)
			if column == "" && slices.Contains(u.columns, name) {
				column = name
			}
			d.Fields = append(d.Fields, columnField{name, column})
		}
	}
	if check.Refusal != nil {
		d.Refused = sentence(check.Refusal)
	}
	for _, g := range check.Groups.Sorted() {
		if len(d.Groups) == maxGroupsShown {
			break
		}
		d.Groups = append(d.Groups, lineOfGroup(g))
	}
	for _, w := range check.Warnings {
		d.Duplicates = d.Duplicates || w.Code == message.CodeDuplicate
		d.Warnings = append(d.Warnings, w.Place())
	}
	for _, r := range check.Rendered(func(i int) string { return fmt.Sprintf("message %d", i) }) {
		p := preview{To: r.To, Why: whyWords(r.Why)}
		if r.Text != nil {
			p.Text = *r.Text
		}
		if p.Text == "" {
			p.Text = string(r.Content)
		}
		if r.SMS != nil {
			p.SMS = smsWords(r.SMS)
		}
		d.Previews = append(d.Previews, p)
	}
	if c.o.ConfirmAbove > 0 && check.Valid > c.o.ConfirmAbove {
		d.Number = check.Valid
	}
	return d
}

// maxGroupsShown is how many kinds of problems are shown.
const maxGroupsShown = 20

func lineOfGroup(g *intake.ProblemGroup) groupLine {
	l := groupLine{Code: g.Code, Number: g.Messages, Text: g.Detail}
	if g.Path != "" {
		l.Text = g.Path + ": " + g.Detail
	}
	if len(g.Places) > 0 {
		l.Where = "messages "
		if g.Lines {
			l.Where = "lines "
		}
		l.Where += strings.Join(g.Places, ", ")
		if g.Messages > len(g.Places) {
			l.Where += ", …"
		}
	}
	return l
}

func whyWords(why string) string {
	switch why {
	case intake.WhyLongest:
		return "the longest"
	case intake.WhyShortest:
		return "the shortest"
	case intake.WhyParameters:
		return "with odd values"
	}
	return "one of the first"
}

func smsWords(s *message.SMS) string {
	name := "GSM-7"
	if s.Encoding == message.EncodingUCS2 {
		name = "UCS-2"
	}
	return message.Plural(s.Parts, "SMS part") + ", " + name
}

// columnsOf are the columns that a CSV file's first row names.
func columnsOf(head []byte) []string {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	line, _, _ := bytes.Cut(bytes.ReplaceAll(head, []byte("\r"), []byte("\n")), []byte("\n"))
	best := []string{}
	for _, comma := range []rune{',', ';', '\t'} {
		r := csv.NewReader(bytes.NewReader(line))
		r.Comma, r.LazyQuotes = comma, true
		if row, err := r.Read(); err == nil && len(row) > len(best) {
			best = row
		}
	}
	for i := range best {
		best[i] = strings.TrimSpace(best[i])
	}
	return slices.DeleteFunc(best, func(s string) bool { return s == "" })
}

// start starts what a file says, once the person has typed in how many messages leave.
func (c *Console) start(v *visit, u *upload) (starter.Started, error) {
	ask := starter.Request{
		Ref: starter.Ref{Tenant: u.caller.Tenant}, IdempotencyKey: u.get("key"), Body: u.request.Body(), Flags: u.flags(),
		Ask: func(_ context.Context, p *starter.Proposal) error {
			n := p.Total - p.Rejected
			if p.Same != nil && u.get("again") == "" {
				return &wrongError{fmt.Sprintf("the same went out as %s, %s; choose “send it again” if that is meant", p.Same.ID, v.Ago(p.Same.At))}
			}
			if c.o.ConfirmAbove > 0 && n > c.o.ConfirmAbove {
				return checkNumber(u.get("number"), n)
			}
			return nil
		},
	}
	if u.request.IsBuffered() {
		d := u.request.Buffered()
		if err := d.Refusal(); err != nil {
			return starter.Started{}, &wrongError{err.Error()}
		}
		d.Batch.StartedBy = v.person.Name
		ask.Batch = d.Batch
		return c.changes.Start(v.Context(), ask)
	}
	check := intake.NewCheck(intake.CheckOptions{Now: c.o.Now()})
	in, err := u.request.Streamed(check)
	if err != nil {
		return starter.Started{}, err
	}
	defer in.Close()
	if in.Header() == nil {
		return starter.Started{}, &wrongError{"nothing of the file can be sent, check it first"}
	}
	in.Header().StartedBy = v.person.Name
	s, err := c.changes.StartLarge(v.Context(), ask, in)
	if err != nil && in.Refused() {
		return s, &wrongError{"nothing of the file can be sent, check it first"}
	}
	return s, err
}

// flags are the choices that a repeat has to share.
func (u *upload) flags() map[string]string {
	flags := map[string]string{}
	for name := range u.fields {
		if !slices.Contains([]string{"number", "again", "key", "test-to", tokenField}, name) {
			flags[name] = u.fields.Get(name)
		}
	}
	return flags
}
