package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/intake"
	"volley/internal/person"
	"volley/internal/phone"
	"volley/internal/suppression"
)

// personControls are what can be done about one person.
type personControls struct {
	// Query is the recipient or reference that names the person, in Tenant's batches.
	Query, Tenant string
	// Suppress and Forget are where the questions are; empty is that this is not offered.
	Suppress, Forget string
	CanExport        bool
	Token            string
}

// Any reports whether there is a control.
func (p personControls) Any() bool { return p.Suppress != "" || p.Forget != "" || p.CanExport }

// personControls offers what a visitor may do about a person of a tenant.
func (c *Console) personControls(v *visit, tenant, query string) (p personControls) {
	if c.o.Persons == nil || query == "" || !v.person.Sees(tenant) {
		return p
	}
	p = personControls{Query: query, Tenant: tenant, CanExport: v.person.May(access.Export), Token: v.token}
	if recipient, err := suppression.Recipient(query, c.caller(tenant).Region); err == nil && v.person.May(access.Suppress) {
		p.Suppress = "/suppressions/add?" + url.Values{"list": {tenant}, "recipient": {recipient}}.Encode()
	}
	if v.person.May(access.Forget) {
		p.Forget = "/person/forget?" + url.Values{"tenant": {tenant}, "person": {query}}.Encode()
	}
	return p
}

// personOfAll is the person whom all messages that were found are for, and their tenant;
// where there are none it is whoever was looked for. It is empty where they are several.
func (c *Console) personOfAll(v *visit, d *findData) personControls {
	if len(d.Messages) == 0 {
		tenant := c.o.Callers[0].Tenant
		if i := slices.IndexFunc(c.o.Callers, func(t intake.Caller) bool { return v.person.Sees(t.Tenant) }); i > 0 {
			tenant = c.o.Callers[i].Tenant
		}
		if key, notNumber := phone.Key(d.Query, c.caller(tenant).Region); notNumber == nil {
			return c.personControls(v, tenant, key)
		}
		return personControls{}
	}
	first := d.Messages[0]
	for _, m := range d.Messages {
		if m.To != first.To || m.Tenant != first.Tenant {
			return personControls{}
		}
	}
	return c.personControls(v, first.Tenant, first.To)
}

// forgetData is what forgetting a person takes, or took.
type forgetData struct {
	*person.Forgotten
	Query, Tenant string
	// Notes say what became of what waited.
	Notes []string
	Wrong string
}

// personQuery reads who is meant.
func (c *Console) personQuery(v *visit, q url.Values) (person.Query, error) {
	out := person.Query{Tenant: q.Get("tenant"), Text: strings.TrimSpace(q.Get("person"))}
	if !slices.ContainsFunc(c.o.Callers, func(t intake.Caller) bool { return t.Tenant == out.Tenant }) || !v.person.Sees(out.Tenant) {
		return out, &wrongError{"there is no such tenant"}
	}
	if out.Text == "" {
		return out, &wrongError{"say who is meant: a recipient or a reference"}
	}
	out.Region = c.caller(out.Tenant).Region
	return out, nil
}

// askForget shows what would be taken of a person, and what would not.
func (c *Console) askForget(v *visit) (*view, error) {
	return c.forgetQuestion(v, v.URL.Query(), "")
}

func (c *Console) forgetQuestion(v *visit, q url.Values, wrong string) (*view, error) {
	persons, err := c.persons()
	if err != nil {
		return nil, err
	}
	who, err := c.personQuery(v, q)
	if err != nil {
		return nil, err
	}
	f, err := persons.Forget(v.Context(), who, true)
	if err != nil {
		return nil, err
	}
	out := &view{Page: "forget", Title: "Forget " + who.Text, Data: forgetData{Forgotten: f, Query: who.Text, Tenant: who.Tenant, Wrong: wrong}}
	if wrong != "" {
		out.Status, out.err = http.StatusUnprocessableEntity, &wrongError{wrong}
	}
	return out, nil
}

// doForget forgets a person whose recipient or reference was typed in.
func (c *Console) doForget(v *visit) (*view, error) {
	persons, who, err := c.about(v, audit.ActionForget)
	if err != nil {
		return nil, err
	}
	if !sameRecipient(v.PostForm.Get("typed"), who) {
		return c.forgetQuestion(v, v.PostForm, "Type in "+who.Text+", so that it is clear who is meant. Nobody was forgotten.")
	}
	f, err := persons.Forget(v.Context(), who, false)
	d := forgetData{Forgotten: f, Query: who.Text, Tenant: who.Tenant}
	if f != nil {
		counts := map[string]int{"messages": f.Messages, "rows": f.Rows, "objects": f.Objects}
		if f.Canceled != nil {
			counts["canceled"], counts["unreached"] = f.Canceled.Messages, f.Canceled.Unreached
		}
		noteCounts(v, counts)
	}
	if err != nil {
		return nil, err
	}
	if n := f.Canceled; n != nil && n.Batches+n.Unreached > 0 {
		d.Notes = canceledText(n)
	}
	return &view{Page: "forget", Title: "Forgotten", Data: d}, nil
}

// about is whom a form is about, and notes an action that concerns them.
func (c *Console) about(v *visit, action string) (Persons, person.Query, error) {
	v.begins(action)
	persons, err := c.persons()
	if err != nil {
		return nil, person.Query{}, err
	}
	who, err := c.personQuery(v, v.PostForm)
	if err == nil {
		noteList(v, who.Tenant)
	}
	return persons, who, err
}

// sameRecipient reports whether what was typed in is the recipient or the reference that is
// meant, in whatever spelling.
func sameRecipient(typed string, who person.Query) bool {
	typed = strings.TrimSpace(typed)
	if typed == who.Text {
		return true
	}
	a, notA := phone.Key(typed, who.Region)
	b, notB := phone.Key(who.Text, who.Region)
	return notA == nil && notB == nil && a == b
}

// export downloads all that is known of a person.
func (c *Console) export(v *visit) (*view, error) {
	persons, who, err := c.about(v, audit.ActionExport)
	if err != nil {
		return nil, err
	}
	e, err := persons.Export(v.Context(), who, v.now)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, b := range e.Batches {
		n += len(b.Messages)
	}
	noteCounts(v, map[string]int{"batches": len(e.Batches), "messages": n, "suppressions": len(e.Suppressions)})
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, err
	}
	return &view{File: &download{Name: "person.json", Type: "application/json", Data: text}}, nil
}
