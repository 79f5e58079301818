package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
)

func TestGuessesOfAKeyAreSlowedDownAndCounted(t *testing.T) {
	t.Parallel()
	for name, guess := range map[string]struct{ method, target, body, header string }{
		"a key":                {"GET", "/v1/batches", "", "Authorization: Bearer wrong"},
		"a key of Bird":        {"GET", "/workspaces/w/channels/c/messages", "", "Authorization: AccessKey wrong"},
		"a key of IMKIT":       {"GET", "/messages/batch?batchID=x", "", "IM-API-KEY: wrong"},
		"a Bluesky login":      {"POST", "/xrpc/com.atproto.server.createSession", `{"identifier":"a","password":"wrong"}`, ""},
		"a Bluesky token":      {"GET", "/xrpc/com.atproto.server.getSession", "", "Authorization: Bearer wrong"},
		"a token of Bluesky's": {"POST", "/xrpc/com.atproto.server.refreshSession", "", "Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.AAAA"},
		"a Sinch login":        {"POST", "/oauth2/token", "grant_type=client_credentials&client_secret=wrong", ""},
		"a key of Sinch":       {"GET", "/v1/projects/p/messages", "", "Authorization: Bearer wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				counted := 0
				b := newEnv(t, func(o *gateway.Options) {
					o.Now = time.Now
					o.CountFailedLogin = func(route string) {
						require.NotEmpty(t, route)
						counted++
					}
				})
				try := func(from string) time.Duration {
					began := time.Now()
					r := httptest.NewRequestWithContext(t.Context(), guess.method, guess.target, strings.NewReader(guess.body))
					r.RemoteAddr = from
					if name, value, ok := strings.Cut(guess.header, ": "); ok {
						r.Header.Set(name, value)
					}
					w := httptest.NewRecorder()
					b.g.ServeHTTP(w, r)
					require.Contains(t, []int{http.StatusUnauthorized, http.StatusBadRequest}, w.Code, w.Body.String())
					return time.Since(began)
				}
				for range 20 {
					require.Zero(t, try("192.0.2.7:1000"))
				}
				for range 10 {
					require.Equal(t, time.Second, try("192.0.2.7:1001"))
				}
				require.Equal(t, 30, counted)
				require.Zero(t, try("192.0.2.8:1000"), "another address")
				began := time.Now()
				require.Equal(t, http.StatusOK, b.acme("GET", "/v1/batches", "").Code)
				require.Equal(t, began, time.Now(), "who has a key is not slowed down")
			})
		})
	}
}

func TestManyGuessesAtATimeAllWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newEnv(t, func(o *gateway.Options) { o.Now = time.Now })
		began := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				require.Equal(t, http.StatusUnauthorized, b.call("GET", "/v1/batches", "", "Authorization: Bearer wrong").Code)
			})
		}
		wg.Wait()
		require.Equal(t, 5*time.Second, time.Since(began))
		for range 100 {
			require.Equal(t, http.StatusUnauthorized, b.call("GET", "/v1/batches", "").Code)
		}
		require.Equal(t, 5*time.Second, time.Since(began), "no key is no guess")
	})
}
