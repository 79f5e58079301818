package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"volley/internal/audit"
	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/person"
)

// Index answers what is asked across batches; *index.Later is one.
type Index interface {
	Find(ctx context.Context, q index.FindQuery) (index.FindPage, error)
	Stats(ctx context.Context, q index.StatsQuery) ([]index.Stat, error)
	Batches(ctx context.Context, q index.BatchesQuery) (index.BatchPage, error)
	Audit(ctx context.Context, q index.AuditQuery) ([]index.AuditEntry, string, error)
}

// v1Index registers what the index answers. A tenant sees its own; an operator sees all, or
// those of the tenant that it names.
func (g *Gateway) v1Index(f protocol) {
	for path, h := range map[string]func(http.ResponseWriter, tenantRequest) error{
		"/v1/messages": g.v1Find, "/v1/stats": g.v1Stats, "/v1/audit": g.v1Audit, "/v1/stuck": g.v1Stuck,
	} {
		g.handle("GET "+path, f, h)
		g.plain(path, f.methodNotAllowed(http.MethodGet))
	}
}

// statsDefault is how far back statistics go where nobody says.
const statsDefault = 7 * 24 * time.Hour

// needsIndex refuses what a gateway without an index cannot answer.
func (g *Gateway) needsIndex() error {
	if g.o.Index == nil {
		return fail(http.StatusNotImplemented, codeNoIndex, noIndexDetail)
	}
	return nil
}

const noIndexDetail = "this gateway has no index: whoever runs it sets index.url in its configuration"

// indexFailure is what an error of the index means to a caller.
func indexFailure(err error) error {
	var behind *person.BehindError
	switch {
	case errors.As(err, &behind):
		f := fail(http.StatusServiceUnavailable, codeUnavailable, err.Error())
		f.retryAfter = waitForServer
		return f
	case errors.Is(err, index.ErrInvalid):
		return fail(http.StatusUnprocessableEntity, codeInvalid, err.Error())
	case errors.Is(err, index.ErrUnavailable):
		f := fail(http.StatusServiceUnavailable, codeUnavailable, "the index does not answer")
		f.retryAfter = waitForServer
		return f
	}
	return err
}

// whose is the tenant whose things are meant; empty is everybody's.
func (q *query) whose(t *Tenant) string {
	named := q.text("tenant")
	switch {
	case t.Operator:
		return named
	case named != "" && named != t.Tenant:
		q.fail("tenant", "is another one, which only an operator may name")
	}
	return t.Tenant
}

// since reads a time, or how long ago it was; none is zero.
func (q *query) since(now time.Time) time.Time {
	text := q.text("since")
	if text == "" {
		return time.Time{}
	}
	if d, err := message.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		q.fail("since", "is neither a duration such as 12h or 3d nor an RFC 3339 time")
	}
	return at
}

func (g *Gateway) v1Find(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	find := index.FindQuery{
		Tenant: q.whose(r.tenant), Text: q.text("q"), To: q.text("to"), Reference: q.text("reference"), ID: q.text("id"), ProviderID: q.text("providerId"),
		Region: q.text("defaultRegion"), Since: q.since(g.o.Now()), Limit: int(min(q.number("limit"), maxFound)), Cursor: q.text("cursor"),
	}
	for _, name := range []string{"q", "to", "reference", "id", "providerId", "state"} {
		if q.values.Has(name) && q.values.Get(name) == "" {
			q.fail(name, "is empty")
		}
	}
	if names := q.text("state"); names != "" {
		set, err := message.ParseStates(names)
		if err != nil {
			q.fail("state", "names a state that there is not")
		}
		for _, s := range message.States() {
			if set.Has(s) {
				find.States = append(find.States, s)
			}
		}
	}
	if err := q.end(); err != nil {
		return err
	}
	if find.Text == "" && find.To == "" && find.Reference == "" && find.ID == "" && find.ProviderID == "" {
		return fail(http.StatusBadRequest, codeInvalid, "one of the parameters q, to, reference, id and providerId is needed")
	}
	if err := g.needsIndex(); err != nil {
		return err
	}
	page, err := g.o.Index.Find(r.Context(), find)
	return answerWith(w, page, indexFailure(err))
}

// maxFound is how many messages or lines a page has at most.
const maxFound = 500

// statsAnswer is what GET /v1/stats answers.
type statsAnswer struct {
	Since time.Time    `json:"since"`
	By    string       `json:"by"`
	Stats []index.Stat `json:"stats"`
}

func (g *Gateway) v1Stats(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	now := g.o.Now()
	ask := index.StatsQuery{Tenant: q.whose(r.tenant), Since: q.since(now), Now: now, By: q.text("by")}
	if name := q.text("tz"); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			q.fail("tz", "is no zone such as Europe/Berlin")
		}
		ask.Zone = zone
	}
	if err := q.end(); err != nil {
		return err
	}
	if err := g.needsIndex(); err != nil {
		return err
	}
	if ask.Since.IsZero() {
		ask.Since = now.Add(-statsDefault)
	}
	stats, err := g.o.Index.Stats(r.Context(), ask)
	return answerWith(w, statsAnswer{Since: ask.Since.UTC(), By: ask.By, Stats: stats}, indexFailure(err))
}

// auditAnswer is what GET /v1/audit answers.
type auditAnswer struct {
	Entries []json.RawMessage `json:"entries"`
	Next    string            `json:"next"`
}

func (g *Gateway) v1Audit(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	ask := index.AuditQuery{
		Tenant: q.whose(r.tenant), Batch: q.text("batch"), Action: q.text("action"), Actor: q.text("actor"), Since: q.since(g.o.Now()),
		Limit: int(min(q.number("limit"), maxFound)), Cursor: q.text("cursor"),
	}
	if ask.Action != "" && !slices.Contains(audit.Actions(), ask.Action) {
		q.fail("action", "is none of "+strings.Join(audit.Actions(), ", "))
	}
	if err := q.end(); err != nil {
		return err
	}
	if err := g.needsIndex(); err != nil {
		return err
	}
	entries, next, err := g.o.Index.Audit(r.Context(), ask)
	out := auditAnswer{Entries: []json.RawMessage{}, Next: next}
	for i := range entries {
		if len(entries[i].Line) > 0 { // else it was sealed by a key that is not at hand
			out.Entries = append(out.Entries, entries[i].Line)
		}
	}
	return answerWith(w, out, indexFailure(err))
}
