package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"time"

	"volley/internal/intake"
)

// The calls of a login (AT Protocol, com.atproto.server).
const (
	nsidLogin   = "com.atproto.server.createSession"
	nsidRefresh = "com.atproto.server.refreshSession"
	nsidSession = "com.atproto.server.getSession"
)

// How long tokens last, as the reference server's do.
const (
	accessLife  = 2 * time.Hour
	refreshLife = 90 * 24 * time.Hour
)

// codeTokenMissing is a request without a credential.
const codeTokenMissing = "token_missing"

// blueskySessions registers the login of a client. Its password is the tenant's key.
func (g *Gateway) blueskySessions() {
	g.plain("POST /xrpc/"+nsidLogin, g.blueskyLogin)
	g.plain("POST /xrpc/"+nsidRefresh, g.blueskyRefresh)
	g.handle("GET /xrpc/"+nsidSession, front{who: g.byXRPC(scopeAccess), fail: failSession}, func(w http.ResponseWriter, r asked) error {
		writeJSON(w, http.StatusOK, g.session(r.tenant))
		return nil
	})
}

func failSession(w http.ResponseWriter, f *failure) { failXRPC(w, f, "") }

// byXRPC is byBearer with a request that has no credential told apart.
func (g *Gateway) byXRPC(scope string) func(*http.Request) (*Tenant, error) {
	who := g.byBearer(scope)
	return func(r *http.Request) (*Tenant, error) {
		if bearer(r) == "" {
			return nil, fail(http.StatusUnauthorized, codeTokenMissing, "Authentication Required")
		}
		return who(r)
	}
}

// session is the output of createSession and refreshSession, and without tokens that of
// getSession.
type session struct {
	Access  string `json:"accessJwt,omitempty"`
	Refresh string `json:"refreshJwt,omitempty"`
	Handle  string `json:"handle"`
	DID     string `json:"did"`
	Active  bool   `json:"active"`
}

// handlePattern is the form of a handle (AT Protocol, handle).
var handlePattern = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)

// session says who a tenant is: the account on which its Bluesky messages go out first.
// A handle that is not known is handle.invalid (AT Protocol, handle).
func (g *Gateway) session(t *Tenant) session {
	s := session{Handle: "handle.invalid", Active: true}
	account := ""
	if t.Router != nil {
		account = t.Router.First("bluesky", nil)
	}
	if account == "" {
		account = t.Tenant
	}
	s.DID = g.blueskyDID(account)
	for _, a := range g.o.Accounts {
		if a.Name == account && a.Provider == "bluesky" && handlePattern.MatchString(a.Identifier) {
			s.Handle = a.Identifier
		}
	}
	return s
}

func (g *Gateway) blueskyLogin(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(pace(w, r)), maxForm))
	if err != nil {
		front{fail: failSession}.answer(w, g.failureOf(r, err))
		return
	}
	var in struct {
		Identifier *string `json:"identifier"`
		Password   *string `json:"password"`
	}
	text := ""
	switch {
	case len(body) == 0:
		text = "A request body is expected but none was provided"
	case json.Unmarshal(body, &in) != nil:
		text = "Input must be an object with texts"
	case in.Identifier == nil:
		text = `Input must have the property "identifier"`
	case in.Password == nil:
		text = `Input must have the property "password"`
	}
	if text != "" {
		writeXRPC(w, http.StatusBadRequest, "InvalidRequest", text)
		return
	}
	tenant := g.tenants.of(*in.Password)
	if tenant == nil {
		writeXRPC(w, http.StatusUnauthorized, "AuthenticationRequired", "Invalid identifier or password")
		return
	}
	s := g.session(tenant)
	now := g.o.Now()
	s.Access = issue(intake.HashKey(*in.Password), scopeAccess, s.DID, now, accessLife)
	s.Refresh = issue(intake.HashKey(*in.Password), scopeRefresh, s.DID, now, refreshLife)
	writeJSON(w, http.StatusOK, s)
}

// blueskyRefresh gives new tokens for one that renews. The old one stays good to its
// end, as nothing is kept by which it could be told apart.
func (g *Gateway) blueskyRefresh(w http.ResponseWriter, r *http.Request) {
	f := front{fail: failSession}
	given := bearer(r)
	if given == "" {
		f.answer(w, fail(http.StatusUnauthorized, codeTokenMissing, ""))
		return
	}
	tenant, hash, err := g.tenants.token(given, scopeRefresh, g.o.Now())
	if err != nil {
		f.answer(w, g.failureOf(r, err))
		return
	}
	s := g.session(tenant)
	now := g.o.Now()
	s.Access = issue(hash, scopeAccess, s.DID, now, accessLife)
	s.Refresh = issue(hash, scopeRefresh, s.DID, now, refreshLife)
	writeJSON(w, http.StatusOK, s)
}
