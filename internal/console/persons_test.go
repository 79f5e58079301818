package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/access"
	"volley/internal/console"
	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/person"
)

// persons is a suppression list in memory, and people who can be forgotten.
type persons struct {
	all      []index.Suppression
	forgot   []person.Query
	exported []person.Query
}

func (p *persons) Suppress(_ context.Context, all []index.Suppression) (person.Suppressed, error) {
	p.all = append(p.all, all...)
	return person.Suppressed{Added: len(all), Canceled: &person.Canceled{Batches: 1, Messages: 2}}, nil
}

func (p *persons) Unsuppress(_ context.Context, tenant string, recipients []string) (int, error) {
	before := len(p.all)
	p.all = slices.DeleteFunc(p.all, func(s index.Suppression) bool {
		return s.Tenant == tenant && slices.Contains(recipients, s.Recipient)
	})
	return before - len(p.all), nil
}

func (p *persons) Suppressions(_ context.Context, q index.SuppressionQuery) (page []index.Suppression, next string, err error) {
	for _, s := range p.all {
		if slices.Contains(q.Tenants, s.Tenant) && (q.Recipient == "" || q.Recipient == s.Recipient) {
			page = append(page, s)
		}
	}
	return page, "", nil
}

func (p *persons) Forget(_ context.Context, q person.Query, dryRun bool) (*person.Forgotten, error) {
	f := &person.Forgotten{
		DryRun: dryRun, Messages: 2, Rows: 2, Again: []string{"b-1"}, Unreached: []string{"backups of the store"},
		Histories: []person.History{{Batch: "b-4", Until: at(72 * time.Hour)}, {Batch: "b-1", Large: true}},
	}
	if !dryRun {
		p.forgot = append(p.forgot, q)
		f.Canceled = &person.Canceled{Batches: 1, Messages: 1}
	}
	return f, nil
}

func (p *persons) Export(_ context.Context, q person.Query, now time.Time) (*person.Export, error) {
	p.exported = append(p.exported, q)
	return &person.Export{AsOf: now, Batches: []person.ExportedBatch{{ID: "b-1", Messages: []any{map[string]string{"to": q.Text}}}}}, nil
}

// withPersons is a console that knows of people.
func withPersons(t *testing.T) (*site, *persons) {
	t.Helper()
	p := &persons{all: []index.Suppression{
		{Tenant: "default", Recipient: "+491511112222", Key: "k1", Reason: "asked on the phone, +491511112222", Source: "hotline", By: "ann", At: start.Add(-48 * time.Hour)},
		{Tenant: "default", Key: "k2-forgotten", Reason: "asked", By: "ann", At: start.Add(-time.Hour)},
		{Recipient: "+491513334444", Key: "k3", Reason: "court order", By: "zoe", At: start.Add(-time.Hour)},
	}}
	f := searched()
	f.found = append(f.found, index.Found{Batch: "b-1", Tenant: "default", Index: 7, To: "+491511234567", State: message.Accepted, DueAt: at(0)})
	return serve(t, console.Options{Batches: world(), Index: f, Persons: p, People: people()}), p
}

func TestTheSuppressionListIsMaskedForViewers(t *testing.T) {
	t.Parallel()
	s, _ := withPersons(t)
	seen := s.as(t, access.Viewer).get("/suppressions?check=%2B491511112222", http.StatusOK)
	require.Contains(t, seen, "&#43;49***22")
	for _, not := range []string{"1511112222", "k2-forgotten", "court order", "/suppressions/remove", "Import", "is suppressed"} {
		require.NotContains(t, seen, not)
	}
	support := s.as(t, access.Support)
	require.Contains(t, support.get("/suppressions?check=%2B49+151+1112222", http.StatusOK), "&#43;491511112222 is suppressed")
	everybodys := support.get("/suppressions?check=%2B491513334444", http.StatusOK)
	require.Contains(t, everybodys, "On the list of everybody since")
	require.NotContains(t, everybodys, "court order")
	require.Contains(t, support.get("/suppressions?check=%2B491519999999", http.StatusOK), "is not suppressed")
	require.NotContains(t, support.get("/suppressions", http.StatusOK), "/suppressions/add")
	support.get("/suppressions/add?recipient=%2B491519999999", http.StatusForbidden)
	require.Equal(t, http.StatusForbidden, support.post("/suppressions/add", url.Values{"recipient": {"+491519999999"}}).status)
	require.Contains(t, s.as(t, access.Operator).get("/suppressions?list=*", http.StatusOK), "court order")
}

func TestSomebodyIsNeverWrittenToAgain(t *testing.T) {
	t.Parallel()
	s, p := withPersons(t)
	b := s.as(t, access.Operator)
	found := b.get("/find?q=%2B491511234567", http.StatusOK)
	require.Contains(t, found, "Never write to this person again")
	require.Contains(t, found, `href="/suppressions/add?list=default&amp;recipient=%2B491511234567"`)
	ask := b.get("/suppressions/add?list=default&recipient=%2B49+151+1234567", http.StatusOK)
	require.Contains(t, ask, "Never write to &#43;491511234567 again? 1 message that waits for them is canceled.")
	form := url.Values{"list": {"default"}, "recipient": {"+491511234567"}, "reason": {"asked by mail"}, "until": {"soon"}}
	require.Equal(t, http.StatusUnprocessableEntity, b.post("/suppressions/add", form).status)
	require.Len(t, p.all, 3)
	form.Set("until", "2027-01-31")
	done := b.post("/suppressions/add", form)
	require.Equal(t, http.StatusOK, done.status, done.body)
	require.Contains(t, done.body, "2 messages are canceled")
	require.Equal(t, index.Suppression{
		Tenant: "default", Recipient: "+491511234567", Reason: "asked by mail", Source: "console", By: "operator-ann", Until: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
	}, p.all[3])
	require.Equal(t, http.StatusOK, b.post("/suppressions/remove", url.Values{"list": {"default"}, "recipient": {"+491511234567"}}).status)
	require.Len(t, p.all, 3)
	lines := s.audit.String()
	require.Contains(t, lines, `"action":"suppress-add","result":"ok"`)
	require.Contains(t, lines, `"action":"suppress-remove","result":"ok"`)
	require.NotContains(t, lines, "1511234567", "the log names no person")
	require.Contains(t, b.get("/suppressions/add?recipient=0151+1234567", http.StatusUnprocessableEntity), `role="alert"`)
}

func TestAListOfRecipientsIsImported(t *testing.T) {
	t.Parallel()
	s, p := withPersons(t)
	b := s.as(t, access.Operator)
	send := func(file string) answer {
		b.get("/suppressions", http.StatusOK)
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		require.NoError(t, m.WriteField("csrf", b.token))
		require.NoError(t, m.WriteField("reason", "newsletter"))
		w, err := m.CreateFormFile("file", "left.csv")
		require.NoError(t, err)
		_, err = w.Write([]byte(file))
		require.NoError(t, err)
		require.NoError(t, m.Close())
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/suppressions/import", &body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", m.FormDataContentType())
		return b.do(r)
	}
	wrong := send("recipient,until\n+491511234567,\n+491511234568,soon\n")
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Contains(t, wrong.body, "line 3")
	const file = "recipient,reason\n+491511234567,\nann@example.com,moved\n"
	ask := send(file)
	require.Equal(t, http.StatusOK, ask.status, ask.body)
	require.Contains(t, ask.body, "Never write to 2 recipients again? 1 message that waits")
	require.Len(t, p.all, 3, "a question does nothing")
	done := b.post("/suppressions/import", url.Values{"list": {"default"}, "reason": {"newsletter"}, "recipients": {strings.ReplaceAll(file, "\n", "\r\n")}})
	require.Equal(t, http.StatusOK, done.status, done.body)
	require.Len(t, p.all, 5)
	require.Equal(t, []string{"newsletter", "moved"}, []string{p.all[3].Reason, p.all[4].Reason})
	require.Contains(t, s.audit.String(), `"action":"suppress-import","result":"ok"`)

	var many strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&many, "+49151%07d\n", i)
	}
	require.Equal(t, http.StatusOK, send(many.String()).status)
	require.Equal(t, http.StatusOK, b.post("/suppressions/import", url.Values{"list": {"default"}, "recipients": {many.String()}}).status)
	require.Len(t, p.all, 40_005, "what the form carries comes back")
	require.Equal(t, http.StatusUnprocessableEntity, send(strings.Repeat(many.String(), 3)).status)
}

func TestSomebodyIsForgottenOnceTheirNumberIsTypedIn(t *testing.T) {
	t.Parallel()
	s, p := withPersons(t)
	b := s.as(t, access.Operator)
	ask := b.get("/person/forget?tenant=default&person=%2B491511234567", http.StatusOK)
	for _, want := range []string{"2 messages would be forgotten", "Fri 09:02 UTC", "not before it has ended", "what providers said, no recipient", "backups of the store", "to be repeated once they have: b-1"} {
		require.Contains(t, ask, want)
	}
	require.Empty(t, p.forgot)
	form := url.Values{"tenant": {"default"}, "person": {"+491511234567"}, "typed": {"yes"}}
	require.Equal(t, http.StatusUnprocessableEntity, b.post("/person/forget", form).status)
	require.Empty(t, p.forgot)
	form.Set("typed", "+49 151 1234567")
	done := b.post("/person/forget", form)
	require.Equal(t, http.StatusOK, done.status, done.body)
	require.Contains(t, done.body, "1 message is canceled")
	require.Equal(t, []person.Query{{Tenant: "default", Text: "+491511234567"}}, p.forgot)
	require.Contains(t, s.audit.String(), `"action":"forget","result":"ok"`)
	require.NotContains(t, s.audit.String(), "1511234567")
	for _, role := range []access.Role{access.Viewer, access.Support, access.Sender} {
		b := s.as(t, role)
		b.get("/person/forget?tenant=default&person=x", http.StatusForbidden)
		require.Equal(t, http.StatusForbidden, b.post("/person/forget", form).status)
		require.Equal(t, http.StatusForbidden, b.post("/person/export", form).status)
	}
	require.Len(t, p.forgot, 1)
	require.NotContains(t, s.as(t, access.Support).get("/find?q=%2B491511234567", http.StatusOK), "This person", "who may not is not offered it")
}

func TestWhatIsKnownOfSomebodyIsDownloaded(t *testing.T) {
	t.Parallel()
	s, p := withPersons(t)
	b := s.as(t, access.Operator)
	require.Contains(t, b.get("/batches/default/b-1/messages/0", http.StatusOK), `action="/person/export"`)
	res := b.post("/person/export", url.Values{"tenant": {"default"}, "person": {"+491511234567"}})
	require.Equal(t, http.StatusOK, res.status)
	require.Equal(t, `attachment; filename="person.json"`, res.header.Get("Content-Disposition"))
	var doc person.Export
	require.NoError(t, json.Unmarshal([]byte(res.body), &doc))
	require.Equal(t, "b-1", doc.Batches[0].ID)
	require.Len(t, p.exported, 1)
	require.Contains(t, s.audit.String(), `"action":"export","result":"ok"`)
	require.NotContains(t, s.audit.String(), "1511234567")
	require.Equal(t, http.StatusUnprocessableEntity, b.post("/person/export", url.Values{"tenant": {"other"}, "person": {"x"}}).status)
}

func TestWhoIsNowhereCanBeSuppressedToo(t *testing.T) {
	t.Parallel()
	s, _ := withPersons(t)
	body := s.as(t, access.Operator).get("/find?q=%2B491519876543", http.StatusOK)
	require.Contains(t, body, "No message was found")
	require.Contains(t, body, "recipient=%2B491519876543")
	require.NotContains(t, s.as(t, access.Operator).get("/find?q=c-9999", http.StatusOK), "Never write to", "a reference is nobody's number")
}
