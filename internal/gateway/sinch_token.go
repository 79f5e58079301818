package gateway

import (
	"io"
	"net/http"
	"net/url"
	"time"
)

// sinchTokenLife is how long a token lasts; Sinch's last an hour.
const sinchTokenLife = time.Hour

// maxForm bounds the form of a login.
const maxForm = 16 << 10

// sinchToken gives a token to a client that logs in before it calls, as Sinch's do
// (OAuth 2.0 client credentials, RFC 6749, 4.4). The secret is a tenant's key; the id
// may be anything.
func (g *Gateway) sinchToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	refuse := func(status int, name string) { writeJSON(w, status, map[string]string{"error": name}) }
	body, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(pace(w, r)), maxForm))
	form, formErr := url.ParseQuery(string(body))
	if err != nil || formErr != nil {
		refuse(http.StatusBadRequest, "invalid_request")
		return
	}
	tenant := g.client(r, form)
	knownAs(r, tenant, "sinch")
	switch grant := form.Get("grant_type"); {
	case tenant == nil:
		g.wrongKey(r)
		w.Header().Set("WWW-Authenticate", `Basic realm="volley"`)
		refuse(http.StatusUnauthorized, "invalid_client")
	case grant == "":
		refuse(http.StatusBadRequest, "invalid_request")
	case grant != "client_credentials":
		refuse(http.StatusBadRequest, "unsupported_grant_type")
	default:
		writeJSON(w, http.StatusOK, struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int    `json:"expires_in"`
			Scope       string `json:"scope"`
			TokenType   string `json:"token_type"`
		}{issue(tenant.key.Hash, scopeSinch, tenant.Tenant, g.o.Now(), sinchTokenLife), int(sinchTokenLife.Seconds()), "", "bearer"})
	}
}

// client finds the tenant that logs in; nil is none.
func (g *Gateway) client(r *http.Request, form url.Values) (tenant *Tenant) {
	for _, s := range clientSecrets(r, form) {
		if t := g.tenants.of(s); t != nil && tenant == nil {
			tenant = t
		}
	}
	return tenant
}

// clientSecrets are what a client's secret may be, in the header or in the form (RFC
// 6749, 2.3.1). In the header it is encoded as in a form, which not all clients do:
// there it is read both ways, since a key may itself have a + or a %.
func clientSecrets(r *http.Request, form url.Values) []string {
	_, secret, ok := r.BasicAuth()
	if !ok {
		return []string{form.Get("client_secret")}
	}
	plain, err := url.QueryUnescape(secret)
	if err != nil {
		plain = secret
	}
	return []string{plain, secret}
}
