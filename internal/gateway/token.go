package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// claims are what a token says. A token stands for a tenant's key for a time, for
// clients that log in before they call: a JWT (RFC 7519) signed with the hash of the
// key, so that every gateway reads what another gave, none has to keep it, and it ends
// with the key.
type claims struct {
	// Scope is what the token is for, one of the scope constants.
	Scope string `json:"scope"`
	// Subject is who the client was told that it is, ID makes tokens differ.
	Subject string `json:"sub,omitempty"`
	ID      string `json:"jti"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
}

// Scopes of tokens. Those of Bluesky are the reference server's.
const (
	scopeSinch   = "volley.sinch"
	scopeAccess  = "com.atproto.access"
	scopeRefresh = "com.atproto.refresh"
)

// Codes of failures of tokens, which clients answer with a new login.
const (
	codeTokenExpired = "token_expired"
	codeTokenInvalid = "token_invalid"
)

// tokenHeader is the same for all: {"alg":"HS256","typ":"JWT"}.
const tokenHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// issue makes a token for the key with a hash.
func issue(key [sha256.Size]byte, scope, subject string, now time.Time, life time.Duration) string {
	c := claims{Scope: scope, Subject: subject, ID: rand.Text(), Issued: now.Unix(), Expires: now.Add(life).Unix()}
	raw, _ := json.Marshal(c) // texts and numbers always encode
	signed := tokenHeader + "." + base64.RawURLEncoding.EncodeToString(raw)
	return signed + "." + base64.RawURLEncoding.EncodeToString(sign(key, signed))
}

func sign(hash [sha256.Size]byte, signed string) []byte {
	mac := hmac.New(sha256.New, hash[:])
	mac.Write([]byte(signed)) // never fails
	return mac.Sum(nil)
}

// isToken reports whether a credential has the form of a token.
func isToken(s string) bool { return strings.HasPrefix(s, tokenHeader+".") }

// token finds the caller with a token of a scope, as the key that the token stands for.
func (ts *tenants) token(s, scope string, now time.Time) (*Tenant, error) {
	invalid := guessed(http.StatusUnauthorized, codeTokenInvalid, "the token is not one of this server's")
	at := strings.LastIndexByte(s, '.')
	if !isToken(s) || at <= len(tokenHeader) {
		return nil, invalid
	}
	given, err := base64.RawURLEncoding.DecodeString(s[at+1:])
	if err != nil {
		return nil, invalid
	}
	var found *Tenant
	for _, t := range ts.all {
		if hmac.Equal(given, sign(t.key.Hash, s[:at])) {
			found = t
		}
	}
	var c claims
	raw, err := base64.RawURLEncoding.DecodeString(s[len(tokenHeader)+1 : at])
	switch {
	case err != nil || json.Unmarshal(raw, &c) != nil || c.Scope != scope:
		return nil, invalid
	case found == nil && scope == scopeRefresh:
		return nil, invalid
	case found == nil || now.Unix() >= c.Expires:
		// A token ends with its key, too: told so, its client fetches another, and
		// learns from the refusal that it is out.
		f := fail(http.StatusUnauthorized, codeTokenExpired, "the token expired")
		f.guessed = found == nil
		return nil, f
	}
	return found, nil
}

// byBearer finds the caller of a request with Authorization: Bearer and either a key or
// a token of a scope. It is a protocol's who.
func (g *Gateway) byBearer(scope string) func(*http.Request) (*Tenant, error) {
	return func(r *http.Request) (*Tenant, error) {
		given := bearer(r)
		if isToken(given) {
			return g.tenants.token(given, scope, g.o.Now())
		}
		if t := g.tenants.of(given); t != nil {
			return t, nil
		}
		return nil, unauthorized()
	}
}
