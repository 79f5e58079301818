package gateway_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/intake"
)

func TestSessionsEndWithTheKeyTheyStandFor(t *testing.T) {
	t.Parallel()
	before := newEnv(t, bsky)
	after := newEnv(t, func(o *gateway.Options) {
		bsky(o)
		o.Tenants[0].Keys = []intake.Key{{Name: "key-1", Hash: intake.HashKey("acme-key-2")}}
	})
	s := before.call("POST", "/xrpc/com.atproto.server.createSession", `{"identifier":"x","password":"`+acmeKey+`"}`, asJSON).json(http.StatusOK)
	access, refresh := "Authorization: Bearer "+fmt.Sprint(s["accessJwt"]), "Authorization: Bearer "+fmt.Sprint(s["refreshJwt"])
	require.Equal(t, http.StatusOK, before.call("POST", blueskyMessage, hello, asJSON, access).Code)

	after.call("POST", blueskyMessage, hello, asJSON, access).xrpc(http.StatusBadRequest, "ExpiredToken")
	after.call("POST", "/xrpc/com.atproto.server.refreshSession", "", refresh).xrpc(http.StatusBadRequest, "InvalidToken")
	after.call("POST", blueskyMessage, hello, asJSON, refresh).xrpc(http.StatusBadRequest, "InvalidToken")
	after.call("POST", blueskyMessage, hello, asJSON, "Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x").xrpc(http.StatusBadRequest, "InvalidToken")
	require.Empty(t, after.batches)

	form := "Content-Type: application/x-www-form-urlencoded"
	token := before.call("POST", "/oauth2/token", "grant_type=client_credentials&client_id=x&client_secret="+acmeKey, form).json(http.StatusOK)["access_token"]
	r := after.call("GET", "/v1/projects/"+project+"/messages/x", "", "Authorization: Bearer "+fmt.Sprint(token))
	require.Equal(t, http.StatusUnauthorized, r.Code)
	require.Contains(t, r.Header().Get("WWW-Authenticate"), "expired", "Sinch's library fetches another then")
}
