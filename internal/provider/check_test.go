package provider_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
)

// checked asks an account whether it works, at a server that answers with a status, and
// returns what was asked.
func checked(t *testing.T, account func(base string) provider.Account, answer http.HandlerFunc) ([]string, error) {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.URL.Path)
		mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	a := account(s.URL)
	a.Name = "checked"
	reg, err := provider.Open([]provider.Account{a}, provider.Options{})
	require.NoError(t, err)
	t.Cleanup(reg.Close)
	_, err = reg.Check(t.Context(), a.Name)
	mu.Lock()
	defer mu.Unlock()
	return asked, err
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if status == http.StatusOK && strings.HasSuffix(r.URL.Path, "token") {
			body = `{"access_token":"t","expires_in":3600,"token_type":"bearer"}`
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// An account is checked with a question, or with a login, and nothing is sent.
func TestAnAccountIsCheckedWithoutSending(t *testing.T) {
	t.Parallel()
	bluesky := func(base string) provider.Account {
		return provider.Account{Name: "bsky", Provider: "bluesky", BaseURL: base, Identifier: "a.example", Password: "app-password"}
	}
	imkit := func(base string) provider.Account {
		return provider.Account{Name: "imkit", Provider: "imkit", BaseURL: base, APIKey: "imkit-key", Sender: "s"}
	}
	for name, c := range map[string]struct {
		account func(string) provider.Account
		good    http.HandlerFunc
		asks    string
	}{
		"bird": {birdAccount, says(200, `{"results":[],"nextPageToken":""}`), "GET /workspaces/"},
		"sinch": {sinchAccount, func(w http.ResponseWriter, r *http.Request) {
			if !serveToken(w, r) {
				says(200, `{"messages":[]}`)(w, r)
			}
		}, "GET /v1/projects/"},
		"imkit":   {imkit, says(200, `{"RC":0,"RM":"OK","result":{"totalCount":0,"data":[]}}`), "GET /admin/messages"},
		"bluesky": {bluesky, says(200, `{"accessJwt":"a","refreshJwt":"r","did":"did:plc:x","handle":"a.example"}`), "POST /xrpc/com.atproto.server.createSession"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, err := checked(t, c.account, c.good)
			require.NoError(t, err)
			require.NotEmpty(t, asked)
			require.True(t, strings.HasPrefix(asked[len(asked)-1], c.asks), asked)

			_, err = checked(t, c.account, says(http.StatusUnauthorized, `{"code":"Unauthorized","message":"no","error":"AuthenticationRequired"}`))
			require.Equal(t, provider.Unauthorized, kindOf(t, err))
		})
	}
}

func TestAWebhookIsCheckedWithoutARequest(t *testing.T) {
	t.Parallel()
	private := func(base string) provider.Account {
		a := webhookAccount(base)
		a.AllowPrivate = true
		return a
	}
	asked, err := checked(t, private, says(500, ""))
	require.NoError(t, err)
	require.Empty(t, asked)

	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	for _, base := range []string{gone.URL, untrusted.URL, "https://nowhere.invalid"} {
		a := private(base)
		a.Name = "checked"
		reg, err := provider.Open([]provider.Account{a}, provider.Options{})
		require.NoError(t, err)
		t.Cleanup(reg.Close)
		_, err = reg.Check(t.Context(), "checked")
		require.Equal(t, provider.Unavailable, kindOf(t, err), base)
		require.LessOrEqual(t, len(failure(t, err).Detail), message.MaxDetail)
	}
	_, err = checked(t, func(base string) provider.Account {
		a := private(base)
		a.AllowPrivate = false
		return a
	}, says(200, ""))
	require.Equal(t, provider.CodePrivate, failure(t, err).Code)
}
