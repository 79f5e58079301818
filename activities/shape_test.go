package activities_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/message"
)

// These texts stand in stored histories: a replay decodes them, and a question
// about a message that was sent by an older worker repeats them. They may gain
// fields and lose none.
func TestShapesInHistoriesDoNotChange(t *testing.T) {
	t.Parallel()
	send := activities.SendInput{
		V: 1, Dialect: "volley", Index: 7, Account: "hook", Channels: []string{"SMS"}, Attempt: 2, Due: 1000, Expires: 2000,
		Template: message.Template{
			Body: json.RawMessage(`{"text":"Hi"}`), Syntax: message.SyntaxBraces, Scope: []string{"text"}, TextPaths: [][]string{{"text"}},
		},
		Message: message.Message{
			To: "+15550001111", Reference: "c-1", Params: map[string]string{"name": "Ann"}, Body: json.RawMessage(`{"x":1}`),
			Metadata: json.RawMessage(`{"k":"v"}`), Twin: true,
		},
		Metadata: json.RawMessage(`{"b":1}`),
	}
	const sendText = `{"v":1,"dialect":"volley","index":7,"account":"hook","channels":["SMS"],"attempt":2,"due":1000,"expires":2000,` +
		`"template":{"body":{"text":"Hi"},"syntax":"${}","scope":["text"],"textPaths":[["text"]]},` +
		`"message":{"to":"+15550001111","reference":"c-1","params":{"name":"Ann"},"body":{"x":1},"metadata":{"k":"v"},"twin":true},` +
		`"metadata":{"b":1}}`
	shape(t, send, sendText)
	shape(t, activities.SendResult{V: 1, Kind: "throttled", ProviderID: "p-1", Code: "http_429", Detail: "why", RetryAfter: 1500, At: 3000},
		`{"v":1,"kind":"throttled","providerId":"p-1","code":"http_429","detail":"why","retryAfter":1500,"at":3000}`)
	shape(t, activities.ReconcileInput{V: 1, Send: send, Since: 1000, Until: 2000, Taken: []string{"p-7"}},
		`{"v":1,"send":`+sendText+`,"since":1000,"until":2000,"taken":["p-7"]}`)
	shape(t, activities.ReconcileResult{V: 1, Verdict: "found", ProviderID: "p-1", Code: "c", Detail: "why", RetryAfter: 1, At: 3000},
		`{"v":1,"verdict":"found","providerId":"p-1","code":"c","detail":"why","retryAfter":1,"at":3000}`)
}

// shape holds a value to its text, in both directions.
func shape[T any](t *testing.T, v T, text string) {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	require.Equal(t, text, string(raw))
	var back T
	require.NoError(t, json.Unmarshal([]byte(text), &back))
	require.Equal(t, v, back)
}

// An attempt that was sent costs a history its receipt and little more.
func TestAnUneventfulResultIsSmall(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(activities.SendResult{V: 1, Kind: activities.KindSent, At: 1_700_000_000_000})
	require.NoError(t, err)
	require.JSONEq(t, `{"v":1,"kind":"sent","at":1700000000000}`, string(raw))
}
