package gateway

import (
	"cmp"
	"context"
	"net/http"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/person"
	"volley/internal/suppression"
)

// Suppressions is the suppression list as callers change it.
type Suppressions interface {
	Suppress(ctx context.Context, all []index.Suppression) (person.Suppressed, error)
	Unsuppress(ctx context.Context, tenant string, recipients []string) (int, error)
	Suppressions(ctx context.Context, q index.SuppressionQuery) ([]index.Suppression, string, error)
}

// v1Suppressions registers who wants no messages. A tenant has a list of its own; that of
// everybody is an operator's.
func (g *Gateway) v1Suppressions(f protocol) {
	g.handle("GET /v1/suppressions", f, g.v1ListSuppressions)
	g.handle("POST /v1/suppressions", f, g.v1Suppress)
	g.handle("DELETE /v1/suppressions", f, g.v1Unsuppress)
	g.plain("/v1/suppressions", f.methodNotAllowed("DELETE, GET, POST"))
}

// maxSuppressed is how many recipients one request may put on the list.
const maxSuppressed = 1000

// suppressRequest is the body of a POST.
type suppressRequest struct {
	Recipient  string   `json:"recipient"`
	Recipients []string `json:"recipients"`
	Reason     string   `json:"reason"`
	Source     string   `json:"source"`
	// Until is an RFC 3339 time or a duration from now.
	Until     string `json:"until"`
	Everybody bool   `json:"everybody"`
}

// suppressionPage is what GET answers.
type suppressionPage struct {
	Suppressions []person.SuppressionRow `json:"suppressions"`
	Next         string                  `json:"next"`
}

// suppressionsOf is the tenant whose list is meant; empty is everybody's.
func (g *Gateway) suppressionsOf(t *Tenant, everybody bool) (string, error) {
	switch {
	case g.o.Suppressions == nil:
		return "", g.needsIndex()
	case everybody && !t.Operator:
		return "", fail(http.StatusForbidden, codeForbidden, "only an operator has to do with the list of everybody")
	case everybody:
		return "", nil
	}
	return t.Tenant, nil
}

func (g *Gateway) v1Suppress(w http.ResponseWriter, r tenantRequest) error {
	var q suppressRequest
	if err := readControl(w, r, &q); err != nil {
		return err
	}
	tenant, err := g.suppressionsOf(r.tenant, q.Everybody)
	if err != nil {
		return err
	}
	if q.Recipient != "" {
		q.Recipients = append(q.Recipients, q.Recipient)
	}
	if n := len(q.Recipients); n == 0 || n > maxSuppressed {
		return fail(http.StatusUnprocessableEntity, codeInvalid, "expected recipient, or 1 to 1,000 recipients")
	}
	each := index.Suppression{Tenant: tenant, Reason: q.Reason, Source: q.Source, By: cmp.Or(r.startedBy(), r.tenant.Tenant+"/"+r.tenant.key.Name)}
	if q.Until != "" {
		each.Until, err = message.ParseTime(q.Until, g.o.Now())
		if err != nil || !each.Until.After(g.o.Now()) {
			return fail(http.StatusUnprocessableEntity, codeInvalid, "until is neither a time to come nor a duration from now such as 90d")
		}
	}
	list, err := g.recipients(r.tenant, q.Recipients)
	if err != nil {
		return err
	}
	all := make([]index.Suppression, len(list))
	for i := range list {
		all[i] = each
		all[i].Recipient = list[i]
	}
	done, err := g.o.Suppressions.Suppress(r.Context(), all)
	noteCounts(r, map[string]int{"recipients": len(all), "added": done.Added})
	return answerWith(w, done, indexFailure(err))
}

// recipients are those of a request in their normal form.
func (g *Gateway) recipients(t *Tenant, given []string) ([]string, error) {
	list := make([]string, len(given))
	for i, s := range given {
		var err error
		if list[i], err = suppression.Recipient(s, t.Region); err != nil {
			return nil, fail(http.StatusUnprocessableEntity, codeInvalid, "recipient "+message.Number(i+1)+": "+err.Error())
		}
	}
	return list, nil
}

// noteCounts adds numbers to the line of the audit log.
func noteCounts(r tenantRequest, counts map[string]int) {
	audit.Of(r.Context()).Set(func(e *audit.Entry) { e.AddCounts(counts) })
}

func (g *Gateway) v1Unsuppress(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	recipient, everybody := q.text("recipient"), q.truth("everybody")
	if err := q.end(); err != nil {
		return err
	}
	tenant, err := g.suppressionsOf(r.tenant, everybody)
	if err != nil {
		return err
	}
	list, err := g.recipients(r.tenant, []string{recipient})
	if err != nil {
		return err
	}
	n, err := g.o.Suppressions.Unsuppress(r.Context(), tenant, list)
	noteCounts(r, map[string]int{"removed": n})
	return answerWith(w, map[string]int{"removed": n}, indexFailure(err))
}

func (g *Gateway) v1ListSuppressions(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	recipient, everybody := q.text("recipient"), q.truth("everybody")
	ask := index.SuppressionQuery{Limit: int(min(q.number("limit"), maxFound)), Cursor: q.text("cursor")}
	if q.values.Has("recipient") && recipient == "" {
		q.fail("recipient", "is empty")
	}
	if err := q.end(); err != nil {
		return err
	}
	tenant, err := g.suppressionsOf(r.tenant, everybody)
	if err != nil {
		return err
	}
	ask.Tenants = []string{tenant}
	if recipient != "" {
		if err := r.mayFind(message.Selector{To: recipient}); err != nil {
			return err
		}
		list, err := g.recipients(r.tenant, []string{recipient})
		if err != nil {
			return err
		}
		ask.Tenants, ask.Recipient = []string{tenant, ""}, list[0] // what everybody's list has counts for the tenant too
	}
	list, next, err := g.o.Suppressions.Suppressions(r.Context(), ask)
	page := suppressionPage{Suppressions: []person.SuppressionRow{}, Next: next}
	for _, s := range list {
		row := person.RowOf(s)
		if s.Tenant == "" && !r.tenant.Operator { // why and by whom is the operator's
			row.Reason, row.Source, row.By = "", "", ""
		}
		if r.person != nil {
			row = maskedSuppression(*r.person, row)
		}
		page.Suppressions = append(page.Suppressions, row)
	}
	return answerWith(w, page, indexFailure(err))
}

// maskedSuppression is an entry as a person may see it. Its key is for who may take it off.
func maskedSuppression(p access.Person, row person.SuppressionRow) person.SuppressionRow {
	row.Recipient, row.Reason, row.Source, row.By = p.Mask(row.Recipient), p.MaskText(row.Reason, row.Recipient), p.MaskText(row.Source, row.Recipient), p.MaskText(row.By)
	if !p.May(access.Suppress) {
		row.Key = ""
	}
	return row
}
