package provider_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/provider/providertest"
)

// open builds the sender of one account.
func open(t *testing.T, a provider.Account) provider.Sender {
	t.Helper()
	a.Name = "test"
	r, err := provider.Open([]provider.Account{a}, provider.Options{})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	s, ok := r.Sender("test")
	require.True(t, ok)
	return s
}

const messageID = "0190b3a4-7c1e-8a2b-9c3d-4e5f60718293"

// outgoing is a message that is valid for another hour.
func outgoing(dialect, to, content string) message.Outgoing {
	now := time.Now()
	return message.Outgoing{
		ID: messageID, Batch: "b-1", Tenant: "default", Dialect: dialect, Index: 3, To: to,
		Content: json.RawMessage(content), Due: now, ExpiresAt: now.Add(time.Hour),
	}
}

const unknown = `"x_unknown":{"deep":[1,2.50,12345678901234567890,"ü <&>",null]}`

func birdAccount(base string) provider.Account {
	return provider.Account{Provider: "bird", BaseURL: base, Workspace: "ws", Channel: "ch", AccessKey: "bird-key-4711"}
}

func TestBirdKeepsToTheTable(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T, base string) provider.Sender { return open(t, birdAccount(base)) }, providertest.Hooks{
		Message:    outgoing("bird", "+15550001111", `{"receiver":{},"body":{"type":"text","text":{"text":"Hi"}},`+unknown+`}`),
		Status:     http.StatusAccepted,
		Accepted:   `{"id":"bird-1","status":"accepted"}`,
		ProviderID: "bird-1",
		Fault: func(text string) string {
			return quote(map[string]any{"code": text, "message": text, "details": map[string]any{"receiver": []string{text}}})
		},
		Refused:   `{"code":"InvalidPayload","message":"no receiver"}`,
		Secrets:   []string{"bird-key-4711"},
		CarriesID: true,
	})
}

func sinchAccount(base string) provider.Account {
	return provider.Account{
		Provider: "sinch", BaseURL: base, TokenURL: base + "/oauth2/token", Project: "p-1", App: "app-1",
		KeyID: "sinch-id-0815", KeySecret: "sinch-secret/+4711",
	}
}

const sinchToken = "sinch-token-0001"

// serveToken answers a token request with a token for an hour.
func serveToken(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/oauth2/token" {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"access_token":"` + sinchToken + `","token_type":"bearer","expires_in":3600}`))
	return true
}

func TestSinchKeepsToTheTable(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(any) any{
		"flat errors":    func(v any) any { return v },
		"wrapped errors": func(v any) any { return map[string]any{"error": v} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, func(t *testing.T, base string) provider.Sender { return open(t, sinchAccount(base)) }, providertest.Hooks{
				Message: outgoing("sinch", "+15550001111",
					`{"app_id":"app-1","recipient":{"contact_id":"c"},"message":{"text_message":{"text":"Hi"},`+unknown+`}}`),
				Accepted:   `{"message_id":"sinch-1","accepted_time":"2026-01-01T00:00:00Z"}`,
				ProviderID: "sinch-1",
				Fault: func(text string) string {
					return quote(wrap(map[string]any{"code": 400, "message": text, "status": text, "details": []any{
						map[string]any{"field_violations": []any{map[string]string{"field": text, "description": text}}},
					}}))
				},
				Refused:   quote(wrap(map[string]any{"code": 404, "message": "no such app", "status": "NOT_FOUND"})),
				Aside:     serveToken,
				Secrets:   []string{"sinch-secret/+4711", sinchToken, "sinch-id-0815"},
				CarriesID: true,
				Overrides: map[string]providertest.Override{
					"501": {Kind: provider.Ambiguous, Source: "Sinch, Conversation API reference, response codes"},
				},
			})
		})
	}
}

func webhookAccount(base string) provider.Account {
	return provider.Account{Provider: "webhook", URL: base + "/hook?key=url-secret-1", Secret: "hook-secret-4711", AllowPrivate: true}
}

func TestWebhookKeepsToTheTable(t *testing.T) {
	t.Parallel()
	accepts := providertest.Override{Source: "Volley, what the outside sees, section 6: any 2xx accepts"}
	overrides := map[string]providertest.Override{}
	for _, row := range []string{"empty 200", "malformed JSON", "JSON of another shape", "endless body", "cut within the body", "slow body"} {
		overrides[row] = accepts
	}
	providertest.Run(t, func(t *testing.T, base string) provider.Sender { return open(t, webhookAccount(base)) }, providertest.Hooks{
		Message:    outgoing("volley", "room", `{`+unknown+`}`),
		Accepted:   `{"id":"hook-1"}`,
		ProviderID: "hook-1",
		Fault:      func(text string) string { return quote(map[string]any{"code": text, "message": text}) },
		Secrets:    []string{"hook-secret-4711", "url-secret-1"},
		CarriesID:  true,
		Overrides:  overrides,
	})
}

func quote(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return strings.ToUpper(err.Error())
	}
	return string(b)
}
