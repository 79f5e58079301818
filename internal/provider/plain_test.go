package provider_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
)

// marks are the characters that Go's encoder escapes.
const marks = "<&>\u2028\u2029"

// taken is an answer that every sender takes for an acceptance, of a login too.
const taken = `{"access_token":"t","expires_in":3600,"accessJwt":"a.b.c","refreshJwt":"r","did":"did:plc:x","id":"1","message_id":"1",` +
	`"RC":0,"result":{"batchID":"1"},"convo":{"id":"c"},"status":"accepted"}`

// asStored is a value as Temporal's payloads give it back.
func asStored[T any](t *testing.T, v T) (back T) {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &back))
	return back
}

func TestNoEscapesOfGosReachAProvider(t *testing.T) {
	t.Parallel()
	contents := map[string]string{
		"bird":    `{"body":{"type":"text","text":{"text":"#"}},"meta":{"extraInformation":{"#":"#"}},"reference":"#","receiver":{"#":["#"]}}`,
		"sinch":   `{"message":{"text_message":{"text":"#"}},"message_metadata":{"#":{"#":"#"}},"conversation_metadata":{"#":"#"},"recipient":{"contact_id":"#"}}`,
		"imkit":   `{"messageType":"text","message":"#","extra":{"#":"#"},"receiver":"#"}`,
		"bluesky": `{"convoId":"#","message":{"text":"#","#":"#"}}`,
		"volley":  `{"text":"#"}`,
	}
	accounts := map[string]func(base string) provider.Account{
		"bird": birdAccount, "sinch": sinchAccount, "imkit": imkitAccount, "bluesky": blueskyAccount, "webhook": webhookAccount,
	}
	for vendor, account := range accounts {
		for dialect, content := range contents {
			t.Run(dialect+" by "+vendor, func(t *testing.T) {
				t.Parallel()
				srv := record(t, answer(http.StatusOK, taken))
				now := time.Now()
				template := asStored(t, message.Template{Body: json.RawMessage(strings.ReplaceAll(content, "#", marks))})
				body, _, err := template.Render(&message.Message{})
				require.NoError(t, err)
				to := message.Address{Kind: message.KindPhone, Value: "+15550001111"}
				switch vendor {
				case "bluesky":
					to = message.Address{Value: "did:plc:ewvi7nxzyoun6zhxrhs64oiz"}
				case "imkit":
					to = message.Address{Value: "ann"}
				}
				_, err = open(t, account(srv.URL)).Send(t.Context(), message.Outgoing{
					ID: messageID, Batch: "b-1", Tenant: "default", Dialect: dialect, To: to.Value, Addresses: []message.Address{to}, Reference: marks,
					Metadata: asStored(t, json.RawMessage(`{"`+marks+`":"`+marks+`"}`)), Content: body, Text: marks,
					Due: now, ExpiresAt: now.Add(time.Hour),
				})
				require.NoError(t, err)
				requests := srv.got()
				sent := string(requests[len(requests)-1].body)
				require.Contains(t, sent, marks)
				for _, escape := range []string{`\u003c`, `\u0026`, `\u003e`, `\u2028`, `\u2029`} {
					require.NotContains(t, strings.ToLower(sent), escape)
				}
			})
		}
	}
}

func TestSinchTakesAsMuchMetadataAsTheDialectDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key   string
		limit int
	}{{"message_metadata", 832}, {"conversation_metadata", 1856}} {
		for _, filling := range []string{"x", "&", "<", "\u2028", "ü"} {
			t.Run(c.key+" of "+filling, func(t *testing.T) {
				t.Parallel()
				metadata := `{"k":"` + strings.Repeat(filling, c.limit-len(`{"k":""}`)) + `"}`
				require.Equal(t, c.limit, utf8.RuneCountInString(metadata))
				srv := record(t, answer(http.StatusOK, taken))
				m := outgoing("sinch", "+15550001111", "")
				m.Batch = strings.Repeat("b", 100) // the longest that there is
				template := asStored(t, message.Template{Body: json.RawMessage(`{"message":{"text_message":{"text":"Hi"}},"` + c.key + `":` + metadata + `}`)})
				var err error
				m.Content, _, err = template.Render(&message.Message{})
				require.NoError(t, err)
				_, err = open(t, sinchAccount(srv.URL)).Send(t.Context(), m)
				require.NoError(t, err)
				var sent map[string]json.RawMessage
				requests := srv.got()
				require.NoError(t, json.Unmarshal(requests[len(requests)-1].body, &sent))
				got := string(sent[c.key])
				if c.key == "message_metadata" {
					require.NoError(t, json.Unmarshal(sent[c.key], &got), "it is a string")
				}
				require.Contains(t, got, metadata[1:len(metadata)-1])
			})
		}
	}
}
