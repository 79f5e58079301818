package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
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
	g.handle("GET /xrpc/"+nsidSession, protocol{who: g.byXRPC(scopeAccess), fail: failSession}, func(w http.ResponseWriter, r tenantRequest) error {
		writeJSON(w, http.StatusOK, g.session(r.tenant))
		return nil
	})
}

func failSession(w http.ResponseWriter, f *failure) { failXRPC(w, f, "") }

// byXRPC is byBearer, but a request without a credential fails with a code of its own.
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
		protocol{fail: failSession}.answer(w, g.failureOf(r, err))
		return
	}
	password, text := readLogin(body)
	if text != "" {
		writeXRPC(w, http.StatusBadRequest, "InvalidRequest", text)
		return
	}
	tenant := g.tenants.of(password)
	if tenant == nil {
		g.wrongKey(r)
		writeXRPC(w, http.StatusUnauthorized, "AuthenticationRequired", "Invalid identifier or password")
		return
	}
	g.issueTokens(w, r, tenant)
}

// issueTokens answers a login of a tenant.
func (g *Gateway) issueTokens(w http.ResponseWriter, r *http.Request, tenant *Tenant) {
	s := g.session(tenant)
	knownAs(r, tenant, "bluesky")
	now := g.o.Now()
	s.Access = issue(tenant.key.Hash, scopeAccess, s.DID, now, accessLife)
	s.Refresh = issue(tenant.key.Hash, scopeRefresh, s.DID, now, refreshLife)
	writeJSON(w, http.StatusOK, s)
}

// readLogin reads the input of createSession, of which only the password counts; text
// is what is wrong with it.
func readLogin(body []byte) (password, text string) {
	if len(body) == 0 {
		return "", "A request body is expected but none was provided"
	}
	if !json.Valid(body) {
		return "", "The request body is not JSON"
	}
	var in map[string]json.RawMessage
	if json.Unmarshal(body, &in) != nil || in == nil {
		return "", "Input must be an object"
	}
	for _, key := range []string{"identifier", "password"} {
		raw, ok := in[key]
		if !ok {
			return "", fmt.Sprintf("Input must have the property %q", key)
		}
		if raw[0] != '"' || json.Unmarshal(raw, &password) != nil {
			return "", "Input/" + key + " must be a string"
		}
	}
	return password, ""
}

// blueskyRefresh issues new tokens for a refresh token. The old one stays valid until
// it expires, since the gateway keeps no state to revoke it by.
func (g *Gateway) blueskyRefresh(w http.ResponseWriter, r *http.Request) {
	f := protocol{fail: failSession}
	given := bearer(r)
	if given == "" {
		f.answer(w, fail(http.StatusUnauthorized, codeTokenMissing, ""))
		return
	}
	tenant, err := g.tenants.token(given, scopeRefresh, g.o.Now())
	if err != nil {
		failed := g.failureOf(r, err)
		if failed.guessed {
			g.wrongKey(r)
		}
		f.answer(w, failed)
		return
	}
	g.issueTokens(w, r, tenant)
}
