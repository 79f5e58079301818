package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

// v1Checks registers what looks at a request that is not started.
func (g *Gateway) v1Checks(f protocol) {
	g.handle("POST /v1/batches:validate", f, g.v1Validate)
	g.handle("POST /v1/batches:test", f, g.v1Test)
	g.plain("/v1/batches:validate", f.methodNotAllowed(http.MethodPost))
	g.plain("/v1/batches:test", f.methodNotAllowed(http.MethodPost))
}

// checkDocument is what a check of a request answers.
type checkDocument struct {
	Total int `json:"total"`
	Valid int `json:"valid"`
	// Problems are the first hundred of Found, and Groups are the hundred largest kinds of
	// all of them.
	Problems message.Problems       `json:"problems"`
	Found    int                    `json:"found"`
	Groups   []*intake.ProblemGroup `json:"groups"`
	Excluded int                    `json:"excluded"`
	// Suppressed is how many of these would be left out since their recipients want no
	// messages.
	Suppressed int              `json:"suppressed"`
	Warnings   message.Problems `json:"warnings"`
	// Estimate is there when a message is valid.
	Estimate *message.Estimate `json:"estimate,omitempty"`
	// Preview is there where it was asked for.
	Preview []intake.Rendered `json:"preview,omitzero"`
}

func documentOf(c *intake.Check, preview []intake.Rendered) checkDocument {
	groups := append([]*intake.ProblemGroup{}, c.Groups.Sorted()...) // [] in JSON
	warnings := append(message.Problems{}, c.Warnings...)
	return checkDocument{
		Total: c.Total, Valid: c.Valid, Problems: c.Problems, Found: c.Found, Groups: groups[:min(len(groups), maxShown)], Excluded: c.Excluded, Suppressed: c.Suppressed,
		Warnings: warnings[:min(len(warnings), maxShown)], Estimate: c.Estimate, Preview: preview,
	}
}

// v1Validate says what a submit of the same request would find, and starts nothing.
func (g *Gateway) v1Validate(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	preview := q.samples("preview", 0)
	s, err := g.checked(r, q)
	if err != nil {
		return err
	}
	c, err := g.check(w, r, s, preview)
	if err != nil {
		return err
	}
	var rendered []intake.Rendered
	if preview > 0 {
		rendered = c.Rendered(s.options.Dialect.Recipient)
	}
	writeJSON(w, http.StatusOK, documentOf(c, rendered))
	return nil
}

// testedDocument answers a test.
type testedDocument struct {
	acceptedDocument
	// Samples are the messages that were chosen, as they were rendered.
	Samples []intake.Rendered `json:"samples"`
}

// defaultSamples is how many messages a test sends where nobody says so.
const defaultSamples = 3

// v1Test sends samples of a request to the address of the parameter to, as a batch of its
// own. Nothing of the request itself is started.
func (g *Gateway) v1Test(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	n, to := q.samples("sample", defaultSamples), q.text("to")
	if to == "" {
		q.fail("to", "is missing: the address that gets the samples")
	}
	s, err := g.checked(r, q)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r.Header)
	if err != nil {
		return err
	}
	c, err := g.check(w, r, s, max(n, 1))
	if err != nil {
		return err
	}
	if c.Refusal != nil {
		f := refused(c.Refusal, c.Problems)
		f.warnings = c.Warnings
		return f
	}
	b, err := c.TestBatch(to)
	if err != nil {
		return fail(http.StatusUnprocessableEntity, codeInvalid, err.Error())
	}
	b.StartedBy = r.startedBy()
	id := starter.TestID(key, r.tenant.Tenant, s.dialect, g.o.Now())
	body, err := json.Marshal(b.Messages) // what a repetition must share
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), startWait)
	defer cancel()
	started, err := g.o.Batches.Start(ctx, starter.Request{
		Ref: starter.Ref{Tenant: r.tenant.Tenant, ID: id}, Body: body, Batch: b, Flags: map[string]string{"test": "true"},
	})
	if started.ID != "" {
		w.Header().Set(headerBatch, started.ID)
	}
	switch {
	case err != nil && key != "":
		return g.repeatable(r.Request, err)
	case err != nil:
		return err
	}
	g.status.forget(starter.Ref{Tenant: r.tenant.Tenant, ID: started.ID})
	w.Header().Set("Location", "/v1/batches/"+started.ID)
	status := http.StatusAccepted
	if started.Existing {
		status = http.StatusOK
	}
	writeJSON(w, status, testedDocument{accepted(&submitted{Started: started}), c.Rendered(s.options.Dialect.Recipient)})
	return nil
}

// checked reads the parameters of a request that is to be checked.
func (g *Gateway) checked(r tenantRequest, q *query) (*submission, error) {
	if err := noForm(r); err != nil {
		return nil, err
	}
	s := q.submission(g.o.Now())
	if err := q.end(); err != nil {
		return nil, err
	}
	if _, err := dialect.Named(s.dialect); err != nil {
		return nil, fail(http.StatusBadRequest, codeInvalid, "the parameter dialect: "+err.Error())
	}
	if !r.tenant.UsesDialect(s.dialect) {
		return nil, fail(http.StatusForbidden, codeForbidden, "the key may not use the dialect "+s.dialect)
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, fail(http.StatusUnsupportedMediaType, codeMediaType, "Content-Encoding "+e+" is not supported, send the request as it is")
	}
	return &s, g.admit(r) // it costs what a submit costs
}

// check reads a request to its end, in the memory that its submit would take.
func (g *Gateway) check(w http.ResponseWriter, r tenantRequest, s *submission, samples int) (*intake.Check, error) {
	q, err := g.open(w, r, s)
	if err != nil {
		return nil, err
	}
	c := intake.NewCheck(intake.CheckOptions{
		Problems: maxShown, Samples: samples, Estimates: g.o.Estimates, Now: g.o.Now(), Refuses: refusesLarge,
	})
	if q.IsBuffered() {
		whole, err := g.decode(r, q)
		if err != nil {
			return nil, err
		}
		if err := r.Context().Err(); whole.None && err != nil {
			return nil, err
		}
		return c, c.Buffered(whole)
	}
	in, err := q.Streamed(c)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return c, c.Streamed(in)
}

// refusesLarge is what the starter would refuse of a batch that goes into the store.
func refusesLarge(b *message.Batch, e *message.Estimate) message.Problems {
	if e == nil || e.Segments == 0 {
		return nil
	}
	return starter.CheckLarge(b)
}

// samples reads how many messages are to be shown or sent.
func (q *query) samples(name string, none int) int {
	n := int(min(q.number(name), intake.MaxSamples+1))
	switch {
	case n > intake.MaxSamples:
		q.fail(name, "is not a number from 0 to 20")
	case n == 0 && q.values.Get(name) == "":
		return none
	}
	return n
}
