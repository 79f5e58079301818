package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"volley/internal/message"
	"volley/starter"
)

// v1Holds registers what holds messages back.
func (g *Gateway) v1Holds(f protocol) {
	g.handle("GET /v1/accounts", f, g.v1Accounts)
	g.handle("POST /v1/accounts/{action}", f, g.v1HoldAccount)
	g.handle("POST /v1/holds", f, g.v1Hold)
	g.handle("POST /v1/holds:release", f, g.v1Release)
	for path, methods := range map[string]string{"/v1/accounts": "GET", "/v1/accounts/{action}": "POST", "/v1/holds": "POST", "/v1/holds:release": "POST"} {
		g.plain(path, f.methodNotAllowed(methods))
	}
}

// holdRequest is the body of a hold or a release.
type holdRequest struct {
	Account *string `json:"account"`
	Tenant  *string `json:"tenant"`
	Meta    *string `json:"meta"`
	All     bool    `json:"all"`
	// Priority is as 3-5.
	Priority *string `json:"priority"`
	// For and Reason are a hold's.
	For    string `json:"for"`
	Reason string `json:"reason"`
}

// selector is what a request means, for whoever asks: a tenant that is no operator means
// its own messages.
func (q *holdRequest) selector(t *Tenant) (s starter.Selector, byTenant string, err error) {
	s.All = q.All
	var priority string
	if _, err := given([]textMember{
		{"account", q.Account, &s.Account}, {"tenant", q.Tenant, &s.Tenant}, {"meta", q.Meta, &s.Meta}, {"priority", q.Priority, &priority},
	}); err != nil {
		return s, "", err
	}
	if s.From, s.To, err = message.ParsePriorities(priority); err != nil {
		return s, "", fail(http.StatusUnprocessableEntity, codeInvalid, "priority "+err.Error())
	}
	if t.Operator {
		return s, "", nil
	}
	if q.All {
		return s, "", fail(http.StatusForbidden, codeForbidden, "only an operator holds everything")
	}
	if s.Tenant != "" && s.Tenant != t.Tenant {
		return s, "", fail(http.StatusForbidden, codeForbidden, "only an operator holds another tenant's messages")
	}
	if s.Account != "" && !t.has(s.Account) {
		return s, "", notFound(fmt.Sprintf("there is no account %q", s.Account))
	}
	return s, t.Tenant, nil
}

func (g *Gateway) v1HoldAccount(w http.ResponseWriter, r tenantRequest) error {
	name, action, _ := strings.Cut(r.PathValue("action"), ":")
	var q holdRequest
	if err := readControl(w, r, &q); err != nil {
		return err
	}
	if q.Account != nil || q.Tenant != nil || q.Meta != nil || q.All {
		return fail(http.StatusUnprocessableEntity, codeInvalid, "what to hold is in the path; POST /v1/holds takes account, tenant, meta and all")
	}
	if !r.tenant.Operator && !r.tenant.has(name) {
		return notFound(fmt.Sprintf("there is no account %q", name))
	}
	q.Account = &name
	switch action {
	case "hold":
		return g.hold(r.Context(), w, r.tenant, &q)
	case "release":
		return g.release(r.Context(), w, r.tenant, &q)
	}
	return notFound("an account has no action " + fmt.Sprintf("%q", action) + ", expected hold or release")
}

func (g *Gateway) v1Hold(w http.ResponseWriter, r tenantRequest) error {
	var q holdRequest
	if err := readControl(w, r, &q); err != nil {
		return err
	}
	return g.hold(r.Context(), w, r.tenant, &q)
}

func (g *Gateway) v1Release(w http.ResponseWriter, r tenantRequest) error {
	var q holdRequest
	if err := readControl(w, r, &q); err != nil {
		return err
	}
	return g.release(r.Context(), w, r.tenant, &q)
}

func (g *Gateway) hold(ctx context.Context, w http.ResponseWriter, t *Tenant, q *holdRequest) (err error) {
	ask := starter.HoldRequest{Reason: q.Reason}
	if ask.Selector, ask.ByTenant, err = q.selector(t); err != nil {
		return err
	}
	if q.For != "" {
		d, err := message.ParseDuration(q.For)
		if err != nil || d <= 0 {
			return fail(http.StatusUnprocessableEntity, codeInvalid, fmt.Sprintf("for %q: expected a duration such as 30m or 3d", q.For))
		}
		ask.Until = g.o.Now().Add(d)
	}
	res, err := g.o.Batches.Hold(ctx, ask)
	return answerWith(w, res.Document(), err)
}

func (g *Gateway) release(ctx context.Context, w http.ResponseWriter, t *Tenant, q *holdRequest) (err error) {
	if q.For != "" || q.Reason != "" {
		return fail(http.StatusUnprocessableEntity, codeInvalid, "for and reason are a hold's")
	}
	var ask starter.ReleaseRequest
	if ask.Selector, ask.ByTenant, err = q.selector(t); err != nil {
		return err
	}
	res, err := g.o.Batches.Release(ctx, ask)
	return answerWith(w, res.Document(), err)
}

// v1Accounts tells how the accounts stand that a tenant may use.
func (g *Gateway) v1Accounts(w http.ResponseWriter, r tenantRequest) error {
	q := g.accountsFor(r)
	res, err := g.o.Batches.Accounts(r.Context(), q)
	for i := range res.Holds {
		res.Holds[i].Meta, res.Holds[i].Reason = r.maskedText(res.Holds[i].Meta), r.maskedText(res.Holds[i].Reason)
	}
	for i := range res.Accounts {
		if h := res.Accounts[i].Held; h != nil {
			h.Reason = r.maskedText(h.Reason)
		}
	}
	return answerWith(w, res, err)
}

// accountsFor asks for the accounts that a tenant may use, or for all where it is an operator.
func (g *Gateway) accountsFor(r tenantRequest) (q starter.AccountsQuery) {
	all := r.tenant.Operator || r.person != nil && r.person.Tenants == nil
	for _, a := range g.o.Accounts {
		if all || r.tenant.has(a.Name) {
			q.Accounts = append(q.Accounts, starter.AccountOf{Name: a.Name, Provider: a.Provider, Rate: a.Rate})
		}
	}
	if !all {
		q.ByTenant = r.tenant.Tenant
	}
	return q
}
