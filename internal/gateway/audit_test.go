package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/audit"
	"volley/internal/gateway"
	"volley/internal/message"
	"volley/starter"
)

// auditEnv is an env with an audit log; read returns its new lines, each as an entry and as
// it is.
func auditEnv(t *testing.T) (b *testEnv, read func() ([]audit.Entry, string)) {
	t.Helper()
	return auditEnvWith(t, bsky)
}

func auditEnvWith(t *testing.T, change func(*gateway.Options)) (b *testEnv, read func() ([]audit.Entry, string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	b = newEnv(t, func(o *gateway.Options) {
		o.Persons = &forgotten{}
		change(o)
		o.Audit = audit.New(audit.Options{File: file, Now: o.Now})
		withList(&listed{})(o)
	})
	return b, func() (entries []audit.Entry, text string) {
		raw, err := os.ReadFile(file)
		if !os.IsNotExist(err) {
			require.NoError(t, err)
			require.NoError(t, os.Remove(file))
		}
		for line := range strings.Lines(string(raw)) {
			var e audit.Entry
			require.NoError(t, json.Unmarshal([]byte(line), &e), line)
			entries = append(entries, e)
		}
		return entries, string(raw)
	}
}

// acting is a request that changes something, or a login.
type acting struct {
	path, body, action string
	// login means that the key is in the body or in a header that is given here.
	login  bool
	header string
}

const auditText = "The code is 4711"

// actingRequests are those of each route that changes something.
func actingRequests(t *testing.T, b *testEnv) map[string][]acting {
	t.Helper()
	body := `{"account":"hook","text":"` + auditText + `","messages":[{"to":"+15550001111"}]}`
	session := b.call("POST", "/xrpc/com.atproto.server.createSession", `{"identifier":"x","password":"`+acmeKey+`"}`, asJSON).json(http.StatusOK)
	refresh, _ := session["refreshJwt"].(string)
	example := func(name string) string {
		raw, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
		require.NoError(t, err)
		return string(raw)
	}
	items := example("bluesky.json")
	return map[string][]acting{
		"POST /v1/batches":      {{path: "/v1/batches?id=a", body: body, action: "start"}},
		"POST /v1/batches:test": {{path: "/v1/batches:test?to=%2B15550001111", body: body, action: "start"}},
		"POST /v1/batches/{action}": {
			{path: "/v1/batches/b:cancel", body: `{"to":"+15550001111","reason":"wrong price"}`, action: "cancel"},
			{path: "/v1/batches/b:pause", action: "pause"},
			{path: "/v1/batches/b:resume", action: "resume"},
			{path: "/v1/batches/b:reschedule", body: `{"sendAfter":"10m"}`, action: "reschedule"},
			{path: "/v1/batches/b:redrive", body: `{"id":"again","to":"+15550001111"}`, action: "redrive"},
		},
		"POST /v1/accounts/{action}": {
			{path: "/v1/accounts/hook:hold", body: `{"reason":"why"}`, action: "hold"},
			{path: "/v1/accounts/hook:release", action: "release"},
		},
		"POST /v1/holds":          {{path: "/v1/holds", body: `{"meta":"customer=+15550001111"}`, action: "hold"}},
		"POST /v1/suppressions":   {{path: "/v1/suppressions", body: `{"recipient":"+15550001111"}`, action: "suppress-add"}},
		"DELETE /v1/suppressions": {{path: "/v1/suppressions?recipient=%2B15550001111", action: "suppress-remove"}},
		"POST /v1/persons:forget": {{path: "/v1/persons:forget", body: `{"person":"+15550001111"}`, action: "forget"}},
		"POST /v1/persons:export": {{path: "/v1/persons:export", body: `{"person":"+15550001111"}`, action: "export"}},
		"POST /v1/holds:release":  {{path: "/v1/holds:release", body: `{"meta":"customer=+15550001111"}`, action: "release"}},
		"POST /workspaces/{workspaceId}/channels/{channelId}/batch/messages": {
			{path: "/workspaces/" + workspace + "/channels/" + channel + "/batch/messages", body: birdText("+15550001111"), action: "start"},
		},
		"POST /messages/batch":                      {{path: "/messages/batch", body: example("imkit.json"), action: "start"}},
		"POST /v1/projects/{project_id}/messages":   {{path: "/v1/projects/" + project + "/messages", body: example("sinch.json"), action: "start"}},
		"DELETE /v1/projects/{project_id}/messages": {{path: "/v1/projects/" + project + "/messages", body: `{"batch_id":"b"}`, action: "cancel"}},
		"POST /oauth2/token": {
			{path: "/oauth2/token", body: "grant_type=client_credentials&client_secret=" + acmeKey, action: "login", login: true},
		},
		"POST /xrpc/chat.bsky.convo.sendMessageBatch": {{path: "/xrpc/chat.bsky.convo.sendMessageBatch", body: items, action: "start"}},
		"POST /xrpc/chat.bsky.convo.sendMessage": {
			{path: "/xrpc/chat.bsky.convo.sendMessage", body: `{"convoId":"abc","message":{"text":"` + auditText + `"}}`, action: "start"},
		},
		"POST /xrpc/com.atproto.server.createSession": {
			{path: "/xrpc/com.atproto.server.createSession", body: `{"identifier":"x","password":"` + acmeKey + `"}`, action: "login", login: true},
		},
		"POST /xrpc/com.atproto.server.refreshSession": {
			{path: "/xrpc/com.atproto.server.refreshSession", action: "login", login: true, header: "Authorization: Bearer " + refresh},
		},
	}
}

func TestEveryActionOfEveryRouteHasOneLineInTheAuditLog(t *testing.T) {
	t.Parallel()
	b, read := auditEnv(t)
	all := actingRequests(t, b)
	var changing []string
	for _, p := range b.g.Patterns() {
		if method, _, ok := strings.Cut(p, " "); ok && method != http.MethodGet && p != "POST /v1/batches:validate" {
			changing = append(changing, p)
		}
	}
	require.ElementsMatch(t, changing, slices.Collect(maps.Keys(all)), "a route that changes something is not tried here")
	b.acme("POST", "/v1/batches?id=b", one)
	read()
	keys := func(key string) []string {
		return []string{"IM-API-KEY: " + key, "X-Request-Id: r-1", asJSON}
	}
	for pattern, list := range all {
		method, _, _ := strings.Cut(pattern, " ")
		scheme := "Authorization: Bearer "
		if strings.Contains(pattern, "/workspaces/") {
			scheme = "Authorization: AccessKey "
		}
		for _, q := range list {
			headers := append(keys(acmeKey), scheme+acmeKey)
			if q.login {
				headers = []string{"X-Request-Id: r-1", asJSON, q.header}
				headers = slices.DeleteFunc(headers, func(h string) bool { return h == "" })
			}
			r := b.call(method, q.path, q.body, headers...)
			entries, text := read()
			require.Len(t, entries, 1, "%s: %d %s", q.path, r.Code, r.Body)
			e := entries[0]
			require.Equal(t, []string{q.action, "acme", "acme-main", "http", "r-1", pattern, "192.0.2.1"},
				[]string{e.Action, e.Tenant, e.Actor, e.Through, e.Request, e.Route, e.Remote}, text)
			require.Equal(t, r.Code >= 400, e.Refused(), "%d %s", r.Code, text)
			require.True(t, e.Time.Equal(now))
			for _, secret := range []string{"15550001111", auditText, acmeKey, "eyJ"} {
				require.NotContains(t, text, secret)
			}

			b.call(method, q.path, "{", slices.DeleteFunc(headers, func(h string) bool { return q.login && strings.HasPrefix(h, "Authorization") })...)
			entries, text = read()
			require.Len(t, entries, 1, "what cannot be read: %s", q.path)
			require.Equal(t, q.action, entries[0].Action, text)

			b.call(method, q.path, strings.ReplaceAll(q.body, acmeKey, "not-a-key"), append(keys("not-a-key"), scheme+"not-a-key")...)
			entries, text = read()
			require.Len(t, entries, 1, "a wrong key: %s", q.path)
			require.Equal(t, "login", entries[0].Action, text)
			require.True(t, entries[0].Refused(), text)
			require.Empty(t, entries[0].Actor+entries[0].Tenant)
			require.NotContains(t, text, "not-a-key")
		}
	}
}

func TestTheAuditLogSaysWhatWasChangedAndNotWhoseNumbersItWas(t *testing.T) {
	t.Parallel()
	b, read := auditEnv(t)
	last := func() audit.Entry {
		entries, text := read()
		require.Len(t, entries, 1, text)
		return entries[0]
	}
	b.acme("POST", "/v1/batches?id=b", one)
	e := last()
	require.Equal(t, []any{"start", "ok", "b", "volley", map[string]int{"messages": 1}}, []any{e.Action, e.Result, e.Batch, e.Dialect, e.Counts})
	b.acme("POST", "/v1/batches?id=b", one)
	require.True(t, last().Existing)
	b.acme("POST", "/v1/batches?id=b", one+" ")
	require.Equal(t, "conflict", last().Result)

	b.fake.cancel = func(starter.Ref, message.CancelRequest) (message.CancelResult, error) {
		res := message.NewCancelResult("b")
		res.Counts = message.CancelCounts{Canceled: 2, Sent: 1}
		return res, nil
	}
	b.acme("POST", "/v1/batches/b:cancel", `{"to":"+15550001111","state":"scheduled","reason":"wrong price"}`)
	e = last()
	require.Equal(t, []any{"b", []string{"state", "to"}, "wrong price", map[string]int{"canceled": 2, "sent": 1}}, []any{e.Batch, e.Selector, e.Reason, e.Counts})
	require.NotNil(t, e.Selected)
	b.acme("POST", "/v1/batches/b:cancel", `{"messages":["+15550001111","7"]}`)
	e = last()
	require.Equal(t, []any{[]string{"messages"}, 2}, []any{e.Selector, *e.Selected})

	b.fake.cancel = func(starter.Ref, message.CancelRequest) (message.CancelResult, error) {
		return message.CancelResult{Batch: "b"}, starter.ErrNoWorker
	}
	require.Equal(t, http.StatusAccepted, b.acme("POST", "/v1/batches/b:cancel", "").Code)
	require.Equal(t, audit.ResultRecorded, last().Result)
	b.acme("POST", "/v1/batches/b:redrive", `{"id":"again","state":"failed","account":"hook"}`)
	e = last()
	require.Equal(t, []any{"b", "again", "hook", []string{"state"}}, []any{e.Batch, e.NewBatch, e.Account, e.Selector})
	b.call("POST", "/v1/accounts/hook:hold", `{"reason":"why"}`, "Authorization: Bearer "+otherKey)
	e = last()
	require.Equal(t, []any{"hold", "other", "other-main", "hook", "why"}, []any{e.Action, e.Tenant, e.Actor, e.Account, e.Reason})
	b.call("POST", "/v1/holds", `{"tenant":"acme"}`, "Authorization: Bearer "+otherKey)
	require.Equal(t, "acme", last().HeldTenant)

	b.acme("GET", "/v1/batches/b", "")
	b.acme("POST", "/v1/batches/b:frobnicate", "")
	entries, text := read()
	require.Empty(t, entries, "nothing was changed: %s", text)
}

// A start that went through is one, whatever its client is told of the messages after it.
func TestTheAuditLogSaysThatABatchStartedWhoseCallFails(t *testing.T) {
	t.Parallel()
	b, read := auditEnv(t)
	b.fake.rows = func(starter.Ref) []message.Row { return []message.Row{{State: message.Failed, Code: "http_500"}} }
	r := b.acme("POST", "/xrpc/chat.bsky.convo.sendMessage", `{"convoId":"abc","message":{"text":"x"}}`, asJSON)
	require.GreaterOrEqual(t, r.Code, 500, r.Body)
	entries, text := read()
	require.Len(t, entries, 1, text)
	require.Equal(t, "ok", entries[0].Result, text)
}

// A flood of refusals fills no disk: they are counted, and the next line says how many.
func TestRefusalsBeyondARateAreCountedInTheAuditLog(t *testing.T) {
	t.Parallel()
	b, read := auditEnv(t)
	for range 250 {
		b.acme("POST", "/v1/batches", "{")
	}
	entries, _ := read()
	require.Len(t, entries, 100)
	b.acme("POST", "/v1/batches", one)
	entries, _ = read()
	require.Len(t, entries, 1, "what is done always has its line")
}

func TestNamesOfKeysAreInTheLogAndKeysAreNot(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	b := newEnv(t, func(o *gateway.Options) { o.Log = zap.New(core) })
	b.acme("POST", "/v1/batches?id=b", one)
	lines := logs.FilterMessage("a request of a tenant").All()
	require.Len(t, lines, 1)
	require.Equal(t, "acme-main", lines[0].ContextMap()["key"])
	audited := logs.FilterLoggerName("audit").All()
	require.Len(t, audited, 1, "without a file the lines are in the log")
	require.Equal(t, "start", audited[0].Message)
	raw, err := json.Marshal(logs.All())
	require.NoError(t, err)
	require.NotContains(t, string(raw), acmeKey)
}
