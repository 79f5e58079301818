package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
)

// sinchServer hands out numbered tokens and answers messages:send and listings.
type sinchServer struct {
	*httptest.Server
	tokens atomic.Int32
	// grant answers a token request in place of a token; nil grants one.
	grant http.HandlerFunc
	// api answers all else, with the number of the token that was used.
	api func(w http.ResponseWriter, r *http.Request, token int)

	mu     sync.Mutex
	bodies []string
	lines  []string
}

func serveSinch(t *testing.T, s *sinchServer) *sinchServer {
	t.Helper()
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			s.token(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bodies = append(s.bodies, string(body))
		s.lines = append(s.lines, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		n := 0
		_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "Bearer token-%d", &n)
		s.api(w, r, n)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *sinchServer) token(w http.ResponseWriter, r *http.Request) {
	n := s.tokens.Add(1)
	if s.grant != nil {
		s.grant(w, r)
		return
	}
	id, secret, _ := r.BasicAuth()
	if id != "sinch-id-0815" || secret != "sinch-secret%2F%2B4711" || r.FormValue("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer","expires_in":3600}`, n)
}

func (s *sinchServer) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

func sinchAccepts(w http.ResponseWriter, _ *http.Request, _ int) {
	_, _ = io.WriteString(w, `{"message_id":"sinch-1"}`)
}

func sinchExpired(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="the token expired"`)
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, `{"code":401,"status":"UNAUTHENTICATED","message":"expired"}`)
}

func TestSinchSendsTheCallersRequestFieldForField(t *testing.T) {
	t.Parallel()
	ours := `"{\"_batch_id\":\"b-1\",\"_volley_id\":\"` + messageID + `\"}"`
	tests := map[string]struct {
		content  string
		channels []string
		want     string
	}{
		"as it is, with our ids": {
			content: `{"app_id":"app-1","recipient":{"contact_id":"c"},"message":{"text_message":{"text":"Hi"}},"queue":"HIGH_PRIORITY"}`,
			want:    `{"app_id":"app-1","recipient":{"contact_id":"c"},"message":{"text_message":{"text":"Hi"}},"queue":"HIGH_PRIORITY","message_metadata":` + ours + `}`,
		},
		"the app is the account's": {
			content: `{"app_id":"another"}`, want: `{"app_id":"app-1","message_metadata":` + ours + `}`,
		},
		"the ttl becomes what is left of it": {
			content: `{"ttl":"3600s"}`, want: `{"app_id":"app-1","ttl":"90s","message_metadata":` + ours + `}`,
		},
		"the hop's channels are the order": {
			content: `{"channel_priority_order":["RCS","SMS","MMS"]}`, channels: []string{"RCS", "SMS"},
			want: `{"app_id":"app-1","channel_priority_order":["RCS","SMS"],"message_metadata":` + ours + `}`,
		},
		"metadata is kept and becomes a string": {
			content: `{"message_metadata":{"a":1,"_batch_id":"mine"},"conversation_metadata":{"c":true}}`,
			want: `{"app_id":"app-1","message_metadata":"{\"_batch_id\":\"b-1\",\"_volley_id\":\"` + messageID + `\",\"a\":1}",
				"conversation_metadata":{"c":true,"_batch_id":"b-1"}}`,
		},
		"metadata that is a string already": {
			content: `{"message_metadata":"{\"a\":1}"}`,
			want:    `{"app_id":"app-1","message_metadata":"{\"_batch_id\":\"b-1\",\"_volley_id\":\"` + messageID + `\",\"a\":1}"}`,
		},
		"the time to send has come": {
			content: `{"send_after":"2026-03-01T12:00:00Z"}`, want: `{"app_id":"app-1","message_metadata":` + ours + `}`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serveSinch(t, &sinchServer{api: sinchAccepts})
			m := outgoing("sinch", "+1", tc.content)
			m.Channels, m.ExpiresAt = tc.channels, noon.Add(90*time.Second)
			receipt, err := openAt(t, sinchAccount(srv.URL)).Send(t.Context(), m)
			require.NoError(t, err)
			require.Equal(t, "sinch-1", receipt.ProviderID)
			require.JSONEq(t, tc.want, srv.sent()[0])
			require.Equal(t, []string{"POST /v1/projects/p-1/messages:send"}, srv.lines)
		})
	}
}

func TestSinchGivesTheShortestTTLToWhatIsAboutToExpire(t *testing.T) {
	t.Parallel()
	srv := serveSinch(t, &sinchServer{api: sinchAccepts})
	m := outgoing("sinch", "+1", `{"ttl":"10s"}`)
	m.ExpiresAt = noon.Add(time.Second)
	_, err := openAt(t, sinchAccount(srv.URL)).Send(t.Context(), m)
	require.NoError(t, err)
	require.Contains(t, srv.sent()[0], `"ttl":"3s"`)
}

func TestSinchSendsTheTextOfOtherDialects(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		to       string
		channels []string
		want     string
	}{
		"by SMS where no channel is named": {"+15550001111", nil,
			`{"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+15550001111"}]}}}`},
		"over the hop's channels": {"+15550001111", []string{"RCS", "SMS"},
			`{"recipient":{"identified_by":{"channel_identities":[{"channel":"RCS","identity":"+15550001111"},
			{"channel":"SMS","identity":"+15550001111"}]}},"channel_priority_order":["RCS","SMS"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serveSinch(t, &sinchServer{api: sinchAccepts})
			m := outgoing("volley", tc.to, `{"anything":1}`)
			m.Text, m.Channels = "Hi", tc.channels
			_, err := open(t, sinchAccount(srv.URL)).Send(t.Context(), m)
			require.NoError(t, err)
			var got, want map[string]any
			require.NoError(t, json.Unmarshal([]byte(srv.sent()[0]), &got))
			require.NoError(t, json.Unmarshal([]byte(tc.want), &want))
			want["app_id"], want["message"] = "app-1", map[string]any{"text_message": map[string]any{"text": "Hi"}}
			want["message_metadata"] = `{"_batch_id":"b-1","_volley_id":"` + messageID + `"}`
			require.Equal(t, want, got)
		})
	}
}

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

func TestSinchReadsTheWaitInAnErrorsDetails(t *testing.T) {
	t.Parallel()
	srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"slow down","details":[
			{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3.5s"}]}}`)
	}})
	_, err := open(t, sinchAccount(srv.URL)).Send(t.Context(), outgoing("sinch", "+1", `{}`))
	require.Equal(t, provider.Error{Kind: provider.Throttled, Code: "RESOURCE_EXHAUSTED", Detail: "slow down", RetryAfter: 3500 * time.Millisecond}, *failure(t, err))
}

func TestSinchNamesTheFieldsThatAreInvalid(t *testing.T) {
	t.Parallel()
	srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"code":400,"status":"INVALID_ARGUMENT","message":"bad request","details":[
			{"field_violations":[{"field":"recipient","description":"is required"}]}]}`)
	}})
	_, err := open(t, sinchAccount(srv.URL)).Send(t.Context(), outgoing("sinch", "+1", `{}`))
	require.Equal(t, provider.Error{Kind: provider.Invalid, Code: "INVALID_ARGUMENT", Detail: "bad request: recipient is required"}, *failure(t, err))
}

func TestSinchReconciles(t *testing.T) {
	t.Parallel()
	entry := func(id, of string) string {
		metadata := quote(map[string]string{"_volley_id": of})
		return quote(map[string]string{"id": id, "metadata": metadata})
	}
	const other = `{"id":"p-0","metadata":"words"},{"id":"p-9","metadata":""}`
	tests := map[string]struct {
		stores   bool
		dispatch []string
		convos   []string
		verdict  provider.Verdict
		id       string
	}{
		"found in dispatch mode":                 {dispatch: []string{other + "," + entry("p-1", messageID)}, verdict: provider.Found, id: "p-1"},
		"found on a later page":                  {dispatch: []string{other, entry("p-1", messageID)}, verdict: provider.Found, id: "p-1"},
		"found in conversation mode":             {dispatch: []string{""}, convos: []string{entry("p-1", messageID)}, verdict: provider.Found, id: "p-1"},
		"nowhere, which proves nothing":          {dispatch: []string{entry("p-2", "another")}, convos: []string{""}},
		"nowhere, where every message is stored": {stores: true, dispatch: []string{other}, convos: []string{other, other}, verdict: provider.Absent},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, r *http.Request, _ int) {
				q := r.URL.Query()
				if r.Method != http.MethodGet || r.URL.Path != "/v1/projects/p-1/messages" || q.Get("app_id") != "app-1" ||
					q.Get("start_time") != "2026-03-01T11:55:00Z" || q.Get("end_time") != "2026-03-01T12:05:10Z" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				pages := map[string][]string{"DISPATCH_SOURCE": tc.dispatch, "CONVERSATION_SOURCE": tc.convos}[q.Get("messages_source")]
				n := strings.Count(q.Get("page_token"), "n")
				next := ""
				if n+1 < len(pages) {
					next = strings.Repeat("n", n+1)
				}
				_, _ = fmt.Fprintf(w, `{"messages":[%s],"next_page_token":%q}`, pages[n], next)
			}})
			a := sinchAccount(srv.URL)
			a.StoresMessages = tc.stores
			got, err := reconciler(t, open(t, a)).Reconcile(t.Context(),
				provider.Query{Message: outgoing("sinch", "+1", `{}`), Since: noon, Until: noon.Add(10 * time.Second)})
			require.NoError(t, err)
			require.Equal(t, tc.verdict, got.Verdict, got.Detail)
			require.Equal(t, tc.id, got.Receipt.ProviderID)
			require.Equal(t, got.Verdict == provider.CannotTell, got.Detail != "")
		})
	}
}

func TestSinchDoesNotTakeSilenceForAbsence(t *testing.T) {
	t.Parallel()
	q := provider.Query{Message: outgoing("sinch", "+1", `{}`), Since: noon, Until: noon}
	for name, api := range map[string]http.HandlerFunc{
		"an error":         answer(500, ``),
		"an error in 200":  answer(200, `{"error":{"code":7,"status":"PERMISSION_DENIED"}}`),
		"no JSON":          answer(200, `<html>`),
		"null":             answer(200, `null`),
		"a list of others": answer(200, `[]`),
		"no such app":      answer(404, `{"code":404,"status":"NOT_FOUND"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, r *http.Request, _ int) { api(w, r) }})
			a := sinchAccount(srv.URL)
			a.StoresMessages = true
			_, err := reconciler(t, open(t, a)).Reconcile(t.Context(), q)
			failure(t, err)
		})
	}
	t.Run("a listing without end", func(t *testing.T) {
		t.Parallel()
		srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, _ *http.Request, _ int) {
			_, _ = io.WriteString(w, `{"messages":[],"next_page_token":"again"}`)
		}})
		a := sinchAccount(srv.URL)
		a.StoresMessages = true
		got, err := reconciler(t, open(t, a)).Reconcile(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, provider.CannotTell, got.Verdict)
	})
}

func TestSinchCountsCharactersOfMetadata(t *testing.T) {
	t.Parallel()
	srv := serveSinch(t, &sinchServer{api: sinchAccepts})
	ours := len(`{"_batch_id":"b-1","_volley_id":"` + messageID + `","k":""}`)
	for n, ok := range map[int]bool{1024 - ours: true, 1025 - ours: false} {
		content := `{"message_metadata":{"k":"` + strings.Repeat("é", n) + `"}}`
		_, err := open(t, sinchAccount(srv.URL)).Send(t.Context(), outgoing("sinch", "+1", content))
		if ok {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, message.CodeTooLong, failure(t, err).Code)
	}
}
