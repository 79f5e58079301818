package console

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/internal/access"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// findData is what was found.
type findData struct {
	Query    string
	Messages []foundLine
	Next     string
	// Person is what can be done about the one whom they are all for.
	Person personControls
	// NoIndex means that only ids of messages can be found.
	NoIndex bool
}

// foundLine is one message, in a sentence.
type foundLine struct {
	Verdict
	To, Reference string
	Campaign      string
	Path          string
	State         message.State
	Tenant        string
}

// findPage looks for messages of a person. Where there is one, it goes there.
func (c *Console) findPage(v *visit) (*view, error) {
	d := findData{Query: strings.TrimSpace(v.URL.Query().Get("q")), NoIndex: c.o.Index == nil}
	out := &view{Page: "find", Title: "Find"}
	if d.Query == "" {
		out.Data = d
		return out, nil
	}
	if path, ok, err := c.findByID(v, d.Query); err != nil || ok {
		return &view{To: path}, err
	}
	if c.o.Index == nil {
		out.Data, out.Status = d, http.StatusOK
		return out, nil
	}
	page, err := c.o.Index.Find(v.Context(), index.FindQuery{Text: d.Query, Region: c.o.Callers[0].Region, Cursor: v.URL.Query().Get("cursor")})
	if err != nil {
		return nil, err
	}
	page.Messages = slices.DeleteFunc(page.Messages, func(m index.Found) bool { return !v.person.Sees(m.Tenant) })
	if len(page.Messages) == 1 && v.URL.Query().Get("cursor") == "" {
		m := page.Messages[0]
		return &view{To: messagePath(m.Tenant, m.Batch, m.Index) + "?q=" + queryEscape(d.Query)}, nil
	}
	d.Next = page.Next
	var batches []index.BatchName
	for i := range page.Messages {
		if b := nameOf(&page.Messages[i]); !slices.Contains(batches, b) {
			batches = append(batches, b)
		}
	}
	campaigns := c.campaignsOf(v, batches)
	for i := range page.Messages {
		d.Messages = append(d.Messages, c.foundLine(v, &page.Messages[i], campaigns[nameOf(&page.Messages[i])]))
	}
	if v.URL.Query().Get("cursor") == "" {
		d.Person = c.personOfAll(v, &d)
	}
	out.Data = d
	return out, nil
}

// findByID finds a message by an id of ours, for which no index is needed.
func (c *Console) findByID(v *visit, id string) (path string, ok bool, err error) {
	_, i, ok := message.ParseID(id)
	if !ok {
		return "", false, nil
	}
	for _, t := range c.o.Callers {
		if !v.person.Sees(t.Tenant) {
			continue
		}
		ref, err := c.o.Batches.Find(v.Context(), t.Tenant, id)
		switch {
		case err == nil:
			return messagePath(ref.Tenant, ref.ID, i), true, nil
		case !errors.Is(err, starter.ErrNotFound):
			return "", false, err
		}
	}
	return "", false, nil
}

// nameOf names the batch of a message.
func nameOf(m *index.Found) index.BatchName { return index.BatchName{Tenant: m.Tenant, ID: m.Batch} }

// foundLine is a message of a campaign, which may be empty.
func (c *Console) foundLine(v *visit, m *index.Found, campaign string) foundLine {
	row := message.Row{State: m.State, Code: m.Code, Detail: m.Detail, DueAt: m.DueAt, SentAt: m.SentAt, FinishedAt: m.FinishedAt, Account: m.Account, Attempts: m.Attempts}
	return foundLine{
		Verdict: c.verdict(&v.words, &row), To: m.To, Reference: m.Reference,
		Campaign: cmp.Or(campaign, m.Batch), Path: messagePath(m.Tenant, m.Batch, m.Index) + "?q=" + queryEscape(v.URL.Query().Get("q")), State: m.State, Tenant: m.Tenant,
	}
}

func messagePath(tenant, batch string, i int) string {
	return batchPath(tenant, batch) + "/messages/" + strconv.Itoa(i)
}

// Verdict is what became of a message, in a sentence.
type Verdict struct {
	Words string
	Tone  Tone
}

// verdict says what became of a message.
func (c *Console) verdict(w *words, r *message.Row) Verdict {
	return Verdict{r.Sentence(c.providerOf(r.Account), func(at *time.Time) string { return w.When(at) }), stateTone(r.State)}
}

func firstTime(times ...*time.Time) *time.Time {
	i := slices.IndexFunc(times, func(t *time.Time) bool { return t != nil })
	if i < 0 {
		return nil
	}
	return times[i]
}

// providerOf names who an account sends through.
func (c *Console) providerOf(account string) string {
	provider := ""
	if i := slices.IndexFunc(c.o.Accounts, func(a starter.AccountOf) bool { return a.Name == account }); i >= 0 {
		provider = c.o.Accounts[i].Provider
	}
	return message.ProviderName(provider, account)
}

// messageData is one message.
type messageData struct {
	message.Row
	Verdict
	Tenant, Batch, Campaign string
	Recipient               string
	Reference               string
	Steps                   []step
	// Path is where the batch is.
	Path string
	// CanCancel means that it has not been sent.
	CanCancel bool
	Person    personControls
}

// step is one entry of a trail, in words.
type step struct {
	At   time.Time
	Text string
	Tone Tone
	// Note is what the provider said.
	Note string
}

// messagePage shows what became of one message.
func (c *Console) messagePage(v *visit) (*view, error) {
	ref := v.ref()
	row, err := c.o.Batches.Message(v.Context(), ref, v.PathValue("message"))
	if err != nil {
		return nil, err
	}
	d := messageData{
		Row: row, Verdict: c.verdict(&v.words, &row), Tenant: ref.Tenant, Batch: ref.ID, Campaign: c.campaign(v, ref), Path: batchPath(ref.Tenant, ref.ID),
		Recipient: row.To,
		CanCancel: !row.State.Final() && v.person.May(access.CancelPerson), Person: c.personControls(v, ref.Tenant, row.To),
	}
	if row.Reference != nil {
		d.Reference = *row.Reference
	}
	for _, e := range row.Trail {
		s := step{At: e.At, Text: e.Sentence(c.providerOf(e.Account)), Tone: eventTone(e.Event)}
		if e.Detail != "" && message.ReasonText(e.Code, e.Detail) != e.Detail {
			s.Note = e.Detail
		}
		d.Steps = append(d.Steps, s)
	}
	title := "Message " + strconv.Itoa(row.Index) + " of " + d.Campaign
	return &view{Page: "message", Title: title, Data: d}, nil
}

// campaign is what people call a batch, or its id where that is not known at once.
func (c *Console) campaign(v *visit, ref starter.Ref) string {
	st, err := c.status(v.Context(), ref)
	if err != nil {
		return ref.ID
	}
	return c.campaignOf(ref.ID, st.Metadata)
}

// ref is the batch that a path names.
func (v *visit) ref() starter.Ref {
	return starter.Ref{Tenant: v.PathValue("tenant"), ID: v.PathValue("id")}
}
