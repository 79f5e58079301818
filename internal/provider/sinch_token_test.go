package provider_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/provider"
)

func TestSinchKeepsATokenForManyMessages(t *testing.T) {
	t.Parallel()
	srv := serveSinch(t, &sinchServer{api: sinchAccepts})
	sender := open(t, sinchAccount(srv.URL))
	for range 3 {
		_, err := sender.Send(t.Context(), outgoing("sinch", "+1", `{}`))
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, srv.tokens.Load())
}

func TestSinchRefreshesARefusedTokenOnce(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		// valid is the number of the first token that is let in after the first message.
		valid  int
		kind   provider.Kind
		tokens int
		sends  int
	}{
		"the next token is good":  {valid: 2, tokens: 2, sends: 3},
		"the next one is not too": {valid: 9, kind: provider.Unauthorized, tokens: 2, sends: 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var first atomic.Bool
			srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, r *http.Request, n int) {
				if first.CompareAndSwap(false, true) || n >= tc.valid {
					sinchAccepts(w, r, n)
					return
				}
				sinchExpired(w)
			}})
			sender := open(t, sinchAccount(srv.URL))
			_, err := sender.Send(t.Context(), outgoing("sinch", "+1", `{}`))
			require.NoError(t, err)
			_, err = sender.Send(t.Context(), outgoing("sinch", "+1", `{}`))
			if tc.kind == "" {
				require.NoError(t, err)
			} else {
				require.Equal(t, tc.kind, kindOf(t, err))
			}
			require.EqualValues(t, tc.tokens, srv.tokens.Load())
			require.Len(t, srv.sent(), tc.sends)
		})
	}
}

func TestSinchTakesAFreshTokensRefusalAsFinalButAsksForAnotherLater(t *testing.T) {
	t.Parallel()
	srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, _ *http.Request, _ int) { sinchExpired(w) }})
	sender := open(t, sinchAccount(srv.URL))
	for n := 1; n <= 2; n++ {
		_, err := sender.Send(t.Context(), outgoing("sinch", "+1", `{}`))
		require.Equal(t, provider.Unauthorized, kindOf(t, err))
		require.EqualValues(t, n, srv.tokens.Load())
		require.Len(t, srv.sent(), n)
	}
}

func TestSinchWithoutATokenIsNeverInDoubt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		grant http.HandlerFunc
		kind  provider.Kind
		code  string
		wait  time.Duration
	}{
		"wrong credentials":         {answer(401, `{"error":"invalid_client","error_description":"bad sinch-secret/+4711"}`), provider.Unauthorized, "invalid_client", 0},
		"a request called invalid":  {answer(400, `{"error":"invalid_grant"}`), provider.Unauthorized, "invalid_grant", 0},
		"no such address":           {answer(404, ``), provider.Rejected, "http_404", 0},
		"a redirect":                {redirected, provider.Rejected, "http_302", 0},
		"a server error":            {answer(500, ``), provider.Unavailable, "http_500", 0},
		"a gateway's timeout":       {answer(504, ``), provider.Unavailable, "http_504", 0},
		"overload":                  {throttled, provider.Throttled, "http_429", 7 * time.Second},
		"an answer that is no JSON": {answer(200, `<html>`), provider.Unavailable, provider.CodeConnection, 0},
		"an answer without a token": {answer(200, `{}`), provider.Unavailable, provider.CodeConnection, 0},
		"no answer":                 {hangUp, provider.Unavailable, provider.CodeConnection, 0},
		"a secret in base64":        {echoBasic, provider.Unauthorized, "invalid_client", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serveSinch(t, &sinchServer{api: sinchAccepts, grant: tc.grant})
			_, err := open(t, sinchAccount(srv.URL)).Send(t.Context(), outgoing("sinch", "+1", `{}`))
			e := failure(t, err)
			require.Equal(t, tc.kind, e.Kind, "%v", e)
			require.Equal(t, tc.code, e.Code)
			require.Equal(t, tc.wait, e.RetryAfter)
			require.NotContains(t, e.Error(), "sinch-secret")
			require.NotContains(t, e.Error(), basicSinch())
			require.Empty(t, srv.sent())
		})
	}
}

func basicSinch() string {
	return base64.StdEncoding.EncodeToString([]byte("sinch-id-0815:sinch-secret%2F%2B4711"))
}

func echoBasic(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, "not known: "+r.Header.Get("Authorization"))
}

func redirected(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/v1/elsewhere", http.StatusFound)
}

func throttled(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "7")
	w.WriteHeader(http.StatusTooManyRequests)
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
