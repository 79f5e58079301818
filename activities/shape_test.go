package activities_test

import (
	"encoding/json"
	"strings"
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

func TestShapesOfLargeBatchesDoNotChange(t *testing.T) {
	t.Parallel()
	in := activities.SendInput{
		V: 1, Dialect: "volley", Index: 7, Account: "hook", Attempt: 1, Due: 1000, Expires: 2000,
		Stored: &activities.Stored{Dir: "d", Segment: 1, Pos: 6},
	}
	shape(t, in, `{"v":1,"dialect":"volley","index":7,"account":"hook","attempt":1,"due":1000,"expires":2000,"stored":{"dir":"d","segment":1,"pos":6}}`)
	shape(t, activities.OpenInput{V: 1, Dir: "d"}, `{"v":1,"dir":"d"}`)
	shape(t, activities.OpenResult{V: 1, Found: true, Segments: []message.Segment{{Count: 3, Rejected: 1, First: 10, Last: 20, Expires: 30}}},
		`{"v":1,"found":true,"segments":[{"n":3,"r":1,"f":10,"l":20,"x":30}]}`)
	shape(t, activities.LoadInput{V: 1, Dir: "d", Sources: []activities.Source{{Segment: 1}, {Segment: 2, Left: true}}},
		`{"v":1,"dir":"d","sources":[{"s":1},{"s":2,"l":true}]}`)
	shape(t, activities.LocateInput{V: 1, Dir: "d", Indexes: []int{4}, Large: message.Large{Dir: "d", Segments: "e"}},
		`{"v":1,"dir":"d","indexes":[4],"large":{"dir":"d","segments":"e"}}`)
	shape(t, activities.LocateResult{V: 1, Found: []activities.Located{{Segment: 1, Pos: 3, State: new(message.Failed)}, {}}},
		`{"v":1,"found":[{"s":1,"p":3,"state":"failed"},{"s":0,"p":0}]}`)
	shape(t, activities.GroupInput{V: 1, Dir: "d", Segment: 1, Account: "hook", Spans: [][2]int{{0, 3}, {5, 6}}, Due: 1000},
		`{"v":1,"dir":"d","segment":1,"account":"hook","spans":[[0,3],[5,6]],"due":1000}`)
	shape(t, activities.GroupResult{V: 1, Outcomes: activities.Outcomes{
		{V: 1, Kind: "sent", ProviderID: "p-1", At: 3000},
		{V: 1, Kind: "throttled", Code: "E1", Detail: "why", RetryAfter: 5, At: 3001},
		{V: 1, Kind: "not_started", At: 3002},
		{V: 1, Kind: "not_started", At: 3002},
	}}, `{"v":1,"outcomes":{"n":4,"base":3000,"at":[0,1,2,2],"ids":["p-1","","",""],`+
		`"other":[{"i":1,"kind":"throttled","code":"E1","detail":"why","retryAfter":5},{"i":2,"to":4,"kind":"not_started"}]}}`)
	shape(t, activities.GroupProgress{V: 1, Watermark: 2, Outcomes: activities.Outcomes{{V: 1, Kind: "sent", At: 3000}, {}, {}}},
		`{"v":1,"watermark":2,"outcomes":{"n":3,"base":3000,"at":[0,0,0],"other":[{"i":1,"to":3}]}}`)
}

func TestDamagedOutcomesAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[]`, `{"n":-1}`, `{"n":2,"at":[1]}`, `{"n":2,"ids":["a"]}`, `{"n":1,"other":[{"i":1}]}`, `{"n":1,"other":[{"i":-1}]}`,
		`{"n":2,"other":[{"i":0,"to":3}]}`, `{"n":99999999999}`,
	} {
		var o activities.Outcomes
		require.Error(t, json.Unmarshal([]byte(text), &o), text)
	}
}

// A group of the most messages with the longest ids that providers give stays
// small enough for a history.
func TestTheOutcomesOfAFullGroupAreOneSmallPayload(t *testing.T) {
	t.Parallel()
	o := make(activities.Outcomes, 500)
	for i := range o {
		o[i] = activities.SendResult{V: 1, Kind: activities.KindSent, ProviderID: strings.Repeat("x", 100), At: int64(1_700_000_000_000 + 7*i)}
	}
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	require.Less(t, len(raw), 60_000)
	var back activities.Outcomes
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, o, back)
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
