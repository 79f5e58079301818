package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"volley/internal/audit"
	"volley/internal/person"
)

// Persons forgets people and tells what is known of them; a person.Service does.
type Persons interface {
	Forget(ctx context.Context, q person.Query, dryRun bool) (*person.Forgotten, error)
	Export(ctx context.Context, q person.Query, now time.Time) (*person.Export, error)
}

// v1Persons registers what concerns one person in a tenant's batches.
func (g *Gateway) v1Persons(f protocol) {
	g.handle("POST /v1/persons:forget", f, g.v1Forget)
	g.handle("POST /v1/persons:export", f, g.v1Export)
	g.plain("/v1/persons:forget", f.methodNotAllowed(http.MethodPost))
	g.plain("/v1/persons:export", f.methodNotAllowed(http.MethodPost))
}

// personRequest is the body of both. It is no parameter, so that no log of requests has it.
type personRequest struct {
	// Person is a recipient or a reference.
	Person string `json:"person"`
	DryRun bool   `json:"dryRun"`
}

// personQuery reads whom a request is about. Whoever calls it calls done in the end: what
// reads all of a tenant's store is done a few at once.
func (g *Gateway) personQuery(w http.ResponseWriter, r tenantRequest) (q person.Query, dryRun bool, done func(), err error) {
	var ask personRequest
	if err := queryOf(r).end(); err != nil {
		return q, false, nil, err
	}
	if err := readControl(w, r, &ask); err != nil {
		return q, false, nil, err
	}
	if strings.TrimSpace(ask.Person) == "" {
		return q, false, nil, fail(http.StatusUnprocessableEntity, codeInvalid, "person is missing: a recipient or a reference")
	}
	if g.o.Persons == nil {
		return q, false, nil, fail(http.StatusNotImplemented, codeNoIndex, noIndexDetail)
	}
	done, err = g.counting.enter(r.Context(), r.tenant.Tenant)
	return person.Query{Tenant: r.tenant.Tenant, Text: strings.TrimSpace(ask.Person), Region: r.tenant.Region}, ask.DryRun, done, err
}

// v1Forget forgets a person, or says with dryRun what that would take.
func (g *Gateway) v1Forget(w http.ResponseWriter, r tenantRequest) error {
	q, dryRun, done, err := g.personQuery(w, r)
	if err != nil {
		return err
	}
	defer done()
	if dryRun {
		audit.Of(r.Context()).Skip()
	}
	f, err := g.o.Persons.Forget(r.Context(), q, dryRun)
	if f != nil {
		counts := map[string]int{"messages": f.Messages, "rows": f.Rows, "objects": f.Objects}
		if f.Canceled != nil {
			counts["canceled"], counts["unreached"] = f.Canceled.Messages, f.Canceled.Unreached
		}
		noteCounts(r, counts)
	}
	return answerWith(w, f, indexFailure(err))
}

// v1Export tells all that is known of a person.
func (g *Gateway) v1Export(w http.ResponseWriter, r tenantRequest) error {
	q, dryRun, done, err := g.personQuery(w, r)
	if err != nil {
		return err
	}
	defer done()
	if dryRun {
		return fail(http.StatusUnprocessableEntity, codeInvalid, "dryRun is a forget's")
	}
	e, err := g.o.Persons.Export(r.Context(), q, g.o.Now())
	if err != nil {
		return indexFailure(err)
	}
	n := 0
	for _, b := range e.Batches {
		n += len(b.Messages)
	}
	noteCounts(r, map[string]int{"batches": len(e.Batches), "messages": n, "suppressions": len(e.Suppressions)})
	return answerWith(w, e, nil)
}
