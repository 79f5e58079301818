package provider_test

import (
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
		"by SMS where no channel is named": {
			"+15550001111", nil,
			`{"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+15550001111"}]}}}`,
		},
		"over the hop's channels": {
			"+1 (555) 000-1111",
			[]string{"rcs", "SMS"},
			`{"recipient":{"identified_by":{"channel_identities":[{"channel":"RCS","identity":"+15550001111"},
			{"channel":"SMS","identity":"+15550001111"}]}},"channel_priority_order":["RCS","SMS"]}`,
		},
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
