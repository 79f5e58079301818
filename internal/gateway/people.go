package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"volley/internal/access"
	"volley/internal/message"
)

// tenantParameter names the tenant whose batches a person asks about. It is a parameter
// and no header so that links and streams of events can have it.
const tenantParameter = "tenant"

// checkRights panics where the table of rights does not know a route, or says something
// else of it than the route's protocol.
func (f protocol) checkRights(pattern string) {
	names := actions[pattern]
	if len(names) < 2 { // none stands behind a colon of the path
		names = []string{""}
	}
	for _, action := range names {
		right, ok := access.RightFor(pattern, action)
		if !ok || f.people == (right == access.Tenants) || right == access.Everyone {
			panic("the route " + pattern + " " + action + " has no right in internal/access") // it is a mistake in this package
		}
	}
}

// personal finds the person who makes a request, whether the person may, and the tenant
// that it is about.
func (g *Gateway) personal(pattern, key string, r *http.Request) (*Tenant, *access.Person, error) {
	p, err := g.person(key, r)
	if err != nil {
		return nil, nil, err
	}
	knownPerson(r, p)
	action := ""
	if len(actions[pattern]) > 1 {
		action = actionOf(pattern, r)
	}
	right, ok := access.RightFor(pattern, action)
	if !ok {
		return nil, nil, notFound("there is nothing at " + r.Method + " " + r.URL.Path + ", /openapi.json says what there is")
	}
	if !p.May(right) {
		return nil, nil, lacks(p, right)
	}
	t, err := g.tenantFor(p, r.URL)
	return t, &p, err
}

// person finds who has a key, or whom a trusted proxy names where there is none.
func (g *Gateway) person(key string, r *http.Request) (access.Person, error) {
	if key != "" || !g.o.People.Proxied(r) {
		if p, ok := g.o.People.Login(key); ok {
			return p, nil
		}
		return access.Person{}, unauthorized()
	}
	p, ok := g.o.People.Trusted(r)
	if !ok {
		// The proxy knows somebody whom the configuration does not: nobody has guessed.
		g.o.CountFailedLogin(r.Pattern)
		failedLogin(r)
		return access.Person{}, fail(http.StatusUnauthorized, codeUnauthorized, "the proxy names somebody who is not among the people of the configuration")
	}
	// A browser adds a proxy's login by itself, also to what another site makes it send.
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return p, fail(http.StatusForbidden, codeForbidden, "the request comes from another site")
	}
	return p, nil
}

func lacks(p access.Person, right access.Right) *failure {
	return fail(http.StatusForbidden, codeForbidden, fmt.Sprintf("%s is %s, and this needs %s", p.Name, p.Role, access.Needed(right)))
}

// tenantFor is the tenant that a person asks about: the one of the parameter, else the
// person's only one, else the default one.
func (g *Gateway) tenantFor(p access.Person, u *url.URL) (*Tenant, error) {
	given := u.Query()[tenantParameter]
	name := message.DefaultTenant
	switch {
	case len(given) > 1 || len(given) == 1 && given[0] == "":
		return nil, fail(http.StatusBadRequest, codeInvalid, "the parameter tenant is empty or given more than once")
	case len(given) == 1:
		name = given[0]
	case len(p.Tenants) == 1:
		name = p.Tenants[0]
	}
	if !p.Sees(name) {
		f := fail(http.StatusForbidden, codeForbidden, p.Name+" may not see the tenant, expected "+tenantParameter+"="+strings.Join(p.Tenants, " or "))
		return nil, f
	}
	known := g.tenants.named[name]
	if known == nil {
		return nil, notFound("there is no such tenant")
	}
	t := *known
	// Whoever sees all tenants may hold what is everybody's.
	t.Operator = p.May(access.Hold) && p.Tenants == nil
	return &t, nil
}

// mayControl says why a person may not control the batch of a request; nil is that the
// person may, and that it is the tenant itself who asks.
func (g *Gateway) mayControl(r tenantRequest) error {
	if r.person == nil || r.person.May(access.ControlAll) {
		return nil
	}
	if !r.person.May(access.Control) {
		return lacks(*r.person, access.Control)
	}
	b, err := g.o.Batches.Accepted(r.Context(), r.ref())
	switch {
	case err != nil:
		return err
	case b.StartedBy != r.person.Name:
		f := lacks(*r.person, access.ControlAll)
		f.detail = "somebody else started the batch: " + f.detail
		return f
	}
	return nil
}

// mayFind says why a person may not choose messages by whose they are.
func (r tenantRequest) mayFind(s message.Selector) error {
	if r.person == nil || r.person.May(access.Find) || s.To == "" && s.Reference == "" && s.Meta == "" {
		return nil
	}
	f := lacks(*r.person, access.Find)
	f.detail = "to, reference and meta look for people: " + f.detail
	return f
}

// startedBy is the name of the person who starts a batch; empty is the tenant.
func (r tenantRequest) startedBy() string {
	if r.person == nil {
		return ""
	}
	return r.person.Name
}

// masked, maskedRow and maskedText are what whoever asks may see.
func (r tenantRequest) masked(st message.Status) message.Status {
	if r.person == nil {
		return st
	}
	return r.person.MaskStatus(st)
}

func (r tenantRequest) maskedRow(row message.Row) message.Row {
	if r.person == nil {
		return row
	}
	return r.person.MaskRow(row)
}

func (r tenantRequest) maskedText(s string) string {
	if r.person == nil {
		return s
	}
	return r.person.MaskText(s)
}
