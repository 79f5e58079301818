package contract_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/workflows/contract"
)

// These texts stand in stored histories: a replay decodes them, and a question
// about a message that was sent by an older worker repeats them. They may gain
// fields and lose none.
func TestShapesInHistoriesDoNotChange(t *testing.T) {
	t.Parallel()
	send := contract.SendInput{
		V: 1, Dialect: "volley", Index: 7, Account: "hook", Channels: []string{"SMS"}, Attempt: 2, Due: 1000, Expires: 2000,
		Template: message.Template{
			Body: json.RawMessage(`{"text":"Hi"}`), Syntax: message.SyntaxBraces, Scope: []string{"text"}, TextPaths: [][]string{{"text"}},
		},
		Message: message.Message{
			To: "+15550001111", Reference: "c-1", Params: map[string]string{"name": "Ann"}, Body: json.RawMessage(`{"x":1}`),
			Metadata: json.RawMessage(`{"k":"v"}`),
		},
		Metadata: json.RawMessage(`{"b":1}`),
	}
	const sendText = `{"v":1,"dialect":"volley","index":7,"account":"hook","channels":["SMS"],"attempt":2,"due":1000,"expires":2000,` +
		`"template":{"body":{"text":"Hi"},"syntax":"${}","scope":["text"],"textPaths":[["text"]]},` +
		`"message":{"to":"+15550001111","reference":"c-1","params":{"name":"Ann"},"body":{"x":1},"metadata":{"k":"v"}},` +
		`"metadata":{"b":1}}`
	shape(t, send, sendText)
	shape(t, contract.SendResult{V: 1, Kind: "throttled", ProviderID: "p-1", Code: "http_429", Detail: "why", RetryAfter: 1500, At: 3000},
		`{"v":1,"kind":"throttled","providerId":"p-1","code":"http_429","detail":"why","retryAfter":1500,"at":3000}`)
	shape(t, contract.ReconcileInput{V: 1, Send: send, Since: 1000, Until: 2000, Taken: []string{"p-7"}},
		`{"v":1,"send":`+sendText+`,"since":1000,"until":2000,"taken":["p-7"]}`)
	shape(t, contract.ReconcileResult{V: 1, Verdict: "found", ProviderID: "p-1", Code: "c", Detail: "why", RetryAfter: 1, At: 3000},
		`{"v":1,"verdict":"found","providerId":"p-1","code":"c","detail":"why","retryAfter":1,"at":3000}`)
}

func TestShapesOfLargeBatchesDoNotChange(t *testing.T) {
	t.Parallel()
	in := contract.SendInput{
		V: 1, Dialect: "volley", Index: 7, Account: "hook", Attempt: 1, Due: 1000, Expires: 2000,
		Stored: &contract.Stored{Dir: "d", Segment: 1, Pos: 6},
	}
	shape(t, in, `{"v":1,"dialect":"volley","index":7,"account":"hook","attempt":1,"due":1000,"expires":2000,"stored":{"dir":"d","segment":1,"pos":6}}`)
	shape(t, contract.OpenInput{V: 1, Dir: "d"}, `{"v":1,"dir":"d"}`)
	shape(t, contract.OpenResult{V: 1, Found: true, Segments: []message.Segment{{Count: 3, Rejected: 1, First: 10, Last: 20, Expires: 30}}},
		`{"v":1,"found":true,"segments":[{"n":3,"r":1,"f":10,"l":20,"x":30}]}`)
	shape(t, contract.LoadInput{V: 1, Dir: "d", Segment: 2}, `{"v":1,"dir":"d","segment":2}`)
	shape(t, contract.ControlSegmentsInput{V: 1, Batch: "batch-b", Segments: []int{1, 3}, Round: 2, Cancel: &message.CancelRequest{Reason: "why"}},
		`{"v":1,"batch":"batch-b","segments":[1,3],"round":2,"cancel":{"reason":"why"}}`)
	shape(t, contract.ControlSegmentsInput{V: 1, Batch: "batch-b", Segments: []int{1}, Round: 2, SendAfter: "2026-11-20T12:00:00Z", Pause: true},
		`{"v":1,"batch":"batch-b","segments":[1],"round":2,"sendAfter":"2026-11-20T12:00:00Z","pause":true}`)
	shape(t, contract.ControlSegmentsResult{V: 1, Answered: []int{1}, Later: []int{3}, InFlight: []string{"x"}, Rescheduled: 7},
		`{"v":1,"answered":[1],"later":[3],"inFlight":["x"],"rescheduled":7}`)
	shape(t, contract.CancelMessagesInput{V: 1, Batch: "batch-b", Call: 2, At: 5, Requests: []message.CancelRequest{{Messages: []string{"x"}}}},
		`{"v":1,"batch":"batch-b","call":2,"at":5,"requests":[{"messages":["x"]}]}`)
	shape(t, contract.GroupInput{V: 1, Dir: "d", Segment: 1, Account: "hook", Spans: [][2]int{{0, 3}, {5, 6}}, Due: 1000},
		`{"v":1,"dir":"d","segment":1,"account":"hook","spans":[[0,3],[5,6]],"due":1000}`)
	shape(t, contract.GroupResult{V: 1, Outcomes: contract.Outcomes{
		{V: 1, Kind: "sent", ProviderID: "p-1", At: 3000},
		{V: 1, Kind: "throttled", Code: "E1", Detail: "why", RetryAfter: 5, At: 3001},
		{V: 1, Kind: "not_started", At: 3002},
		{V: 1, Kind: "not_started", At: 3002},
	}}, `{"v":1,"outcomes":{"n":4,"base":3000,"at":[0,1,2,2],"ids":["p-1","","",""],`+
		`"other":[{"i":1,"kind":"throttled","code":"E1","detail":"why","retryAfter":5},{"i":2,"to":4,"kind":"not_started"}]}}`)
	shape(t, contract.GroupProgress{V: 1, Watermark: 2, Outcomes: contract.Outcomes{{V: 1, Kind: "sent", At: 3000}, {}, {}}},
		`{"v":1,"watermark":2,"outcomes":{"n":3,"base":3000,"at":[0,0,0],"other":[{"i":1,"to":3}]}}`)
}

func TestDamagedOutcomesAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[]`, `{"n":-1}`, `{"n":2,"at":[1]}`, `{"n":2,"ids":["a"]}`, `{"n":1,"other":[{"i":1}]}`, `{"n":1,"other":[{"i":-1}]}`,
		`{"n":2,"other":[{"i":0,"to":3}]}`, `{"n":99999999999}`,
	} {
		var o contract.Outcomes
		require.Error(t, json.Unmarshal([]byte(text), &o), text)
	}
}

// A group of the most messages with the longest ids that providers give stays
// small enough for a history.
func TestTheOutcomesOfAFullGroupAreOneSmallPayload(t *testing.T) {
	t.Parallel()
	o := make(contract.Outcomes, 500)
	for i := range o {
		o[i] = contract.SendResult{V: 1, Kind: contract.KindSent, ProviderID: strings.Repeat("x", 100), At: int64(1_700_000_000_000 + 7*i)}
	}
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	require.Less(t, len(raw), 60_000)
	var back contract.Outcomes
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
	raw, err := json.Marshal(contract.SendResult{V: 1, Kind: contract.KindSent, At: 1_700_000_000_000})
	require.NoError(t, err)
	require.JSONEq(t, `{"v":1,"kind":"sent","at":1700000000000}`, string(raw))
}

func TestShapesOfCallbacksDoNotChange(t *testing.T) {
	t.Parallel()
	cursor := contract.Cursor{Rev: 7, Started: true, State: message.BatchRunning, Told: 2, Until: 9, At: "2:5", Past: 4}
	const cursorText = `{"rev":7,"started":true,"state":"running","told":2,"until":9,"at":"2:5","past":4}`
	shape(t, contract.DeliverInput{
		V: 1, ID: "b", Tenant: "acme", Total: 3, Callbacks: message.Callbacks{URL: "https://example.com", Format: "sinch", Messages: true},
		Cursor: cursor, GiveUp: true,
	}, `{"v":1,"id":"b","tenant":"acme","total":3,"callbacks":{"url":"https://example.com","format":"sinch","messages":true},"cursor":`+cursorText+`,"giveUp":true}`)
	shape(t, contract.DeliverResult{
		V: 1, Cursor: cursor, Told: 3, GivenUp: 1, More: true, After: 2, Again: true, Ended: true,
		Failure: &contract.DeliverFailure{Code: "http_410", Detail: "why", RetryAfter: 5, Gone: true},
	}, `{"v":1,"cursor":`+cursorText+`,"told":3,"givenUp":1,"failure":{"code":"http_410","detail":"why","retryAfter":5,"gone":true},"more":true,"after":2,"again":true,"ended":true}`)
}

func TestShapesOfReportsDoNotChange(t *testing.T) {
	t.Parallel()
	p := message.Report{ID: "x", State: message.Undelivered, At: 5, Account: "hook", ProviderID: "p-1", Code: "c", Detail: "why"}
	const text = `{"id":"x","state":"undelivered","at":5,"account":"hook","providerId":"p-1","code":"c","detail":"why"}`
	shape(t, contract.ReportsInput{V: 1, Batch: "batch-a", Reports: []message.Report{p}}, `{"v":1,"batch":"batch-a","reports":[`+text+`]}`)
	shape(t, contract.ReportsResult{V: 1, Later: []int{3}, Passed: 1, Kept: 2, Repeated: 3, Unknown: 4},
		`{"v":1,"later":[3],"passed":1,"kept":2,"repeated":3,"unknown":4}`)
	shape(t, message.EarlyReport{State: message.Undelivered, Hop: 1, At: 5, ProviderID: "p-1", Code: "c", Detail: "why"},
		`{"s":"undelivered","h":1,"t":5,"p":"p-1","k":"c","e":"why"}`)
	shape(t, message.LateReports{{Index: 7, Segment: 1, From: message.Sent, State: message.Delivered, Hop: 1, Attempt: 2, At: 5, Kept: 6, ProviderID: "p-1", Code: "c", Detail: "why", Rev: 9}},
		`{"v":1,"n":1,"i":[7],"g":[1],"f":[4],"s":[5],"h":[1],"a":[2],"t":[5],"w":[6],"r":[9],"k":[1],"e":[2],"p":["p-1"],"texts":["c","why"]}`)
}
