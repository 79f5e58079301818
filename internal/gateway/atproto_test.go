package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/nodetest"
	"volley/starter"
)

// seen is what testdata/atproto/client.mjs prints.
type seen struct {
	BadLogin, Conflict, Partial, Unknown, Replaced *seenError
	Session                                        struct {
		DID, Handle string
		Left        bool
	}
	Embed        bool
	Events       []string
	GetSession   map[string]any
	Batch, Again seenBatch
	One, Later   map[string]any
	Empty        struct{ Items []any }
}

type seenBatch struct {
	ID   string
	Data struct{ Items []map[string]any }
}

type seenError struct {
	Status                int
	Error, Message, Batch string
}

func TestBlueskysOwnLibrary(t *testing.T) {
	t.Parallel()
	run := nodetest.Install(t, "testdata/atproto")
	t.Run("its client sends through the gateway", func(t *testing.T) { blueskyClient(t, run) })
	t.Run("its validator refuses what the gateway does, in the same words", func(t *testing.T) { blueskyValidator(t, run) })
}

func blueskyClient(t *testing.T, run func(script string, args ...string) []byte) {
	later := atomic.Int64{} // nanoseconds
	b := newEnv(t, func(o *gateway.Options) {
		bsky(o)
		o.Now = func() time.Time { return now.Add(time.Duration(later.Load())) }
	})
	b.rows = func(ref starter.Ref) []message.Row {
		b.mu.Lock()
		batch := b.batches[ref]
		b.mu.Unlock()
		rows := []message.Row{}
		for i, m := range batch.Messages {
			row := message.Row{Index: i, ID: message.KeyOf(starter.WorkflowID(ref)).MessageID(i), Account: "bsky-main", State: message.Sent, SentAt: &now, Rev: 1}
			if m.To == "nobody" {
				row.State, row.SentAt, row.Code = message.Failed, nil, "RecipientNotFound"
			}
			rows = append(rows, row)
		}
		return rows
	}
	replaced := atomic.Bool{}
	another := newEnv(t, func(o *gateway.Options) {
		bsky(o)
		o.Tenants[0].Keys = []intake.Key{{Name: "key-1", Hash: intake.HashKey("acme-key-2")}}
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.Header.Get("X-Later")); err == nil {
			later.Store(int64(d))
		}
		g := b.g
		if r.Header.Get("X-New-Key") != "" || replaced.Load() {
			replaced.Store(true)
			g = another.g
		}
		g.ServeHTTP(w, r)
	}))
	defer server.Close()

	var got seen
	require.NoError(t, json.Unmarshal(run("client.mjs", server.URL, acmeKey), &got))
	require.Equal(t, &seenError{Status: 401, Error: "AuthenticationRequired", Message: "Invalid identifier or password"}, got.BadLogin)
	require.Equal(t, "did:plc:ewvi7nxzyoun6zhxrhs64oiz", got.Session.DID)
	require.Equal(t, got.Session.DID, got.GetSession["did"])

	require.Len(t, got.Batch.Data.Items, 3)
	require.Equal(t, got.Batch, got.Again)
	require.NotEmpty(t, got.Batch.ID)
	require.Equal(t, "Hello 👋", got.Batch.Data.Items[0]["text"])
	require.Equal(t, map[string]any{"did": got.Session.DID}, got.Batch.Data.Items[0]["sender"])
	require.Len(t, got.Batch.Data.Items[1]["facets"], 1)
	require.True(t, got.Embed, "%v", got.Batch.Data.Items[2]["embed"])
	require.Equal(t, "app.bsky.embed.record#view", got.Batch.Data.Items[2]["embed"].(map[string]any)["$type"])
	for _, view := range append(got.Batch.Data.Items, got.One, got.Later) {
		require.Equal(t, "chat.bsky.convo.defs#messageView", view["$type"])
	}

	require.Equal(t, 400, got.Conflict.Status, "the client knows no 409 and shows a 400")
	require.Equal(t, "InvalidRequest", got.Conflict.Error)
	require.Equal(t, 400, got.Partial.Status)
	require.Equal(t, "RecipientNotFound", got.Partial.Error)
	require.NotEmpty(t, got.Partial.Batch)
	require.Contains(t, got.Partial.Message, "item 1 of batch "+got.Partial.Batch)
	require.Empty(t, got.Empty.Items)
	require.Equal(t, 501, got.Unknown.Status)
	require.Equal(t, "MethodNotImplemented", got.Unknown.Error)

	require.Equal(t, &seenError{Status: 400, Error: "ExpiredToken", Message: "Token has expired"}, got.Replaced)
	require.Equal(t, []string{"create", "expired"}, got.Events)
	require.False(t, got.Session.Left)
}

// clusters are what a reader sees as one character, of scripts in which that depends on
// the rules of Unicode that are in force.
var clusters = []string{
	"x", "é", "e\u0301", "\r\n", "👋🏽", "👨‍👩‍👧", "🇩🇪", "한", "각",
	"क्ष", "ক্ষ", "ક્ષ", "କ୍ଷ", "క్ష", "ക്ഷ", "ਕ੍ਰ", "க்ஷ", "ಕ್ಷ", "ක්ෂ", "ក្ក", "က္က", "กำ", "ກຳ", "བོ",
}

func blueskyValidator(t *testing.T, run func(script string, args ...string) []byte) {
	item := func(message string) string { return `{"items":[{"convoId":"c","message":` + message + `}]}` }
	facet := func(feature string) string {
		return item(`{"text":"","facets":[{"index":{"byteStart":0,"byteEnd":1},"features":[` + feature + `]}]}`)
	}
	embed := func(record string) string {
		return item(`{"text":"","embed":{"$type":"app.bsky.embed.record","record":` + record + `}}`)
	}
	inputs := []string{
		`{}`, `{"items":null}`, `{"items":{}}`, `{"items":[]}`, `{"items":[null]}`, `{"items":["x"]}`,
		`{"items":[` + strings.Repeat(hello+",", 100) + hello + `]}`,
		`{"items":[{"message":{"text":""}}]}`, `{"items":[{"convoId":1,"message":{"text":""}}]}`, `{"items":[{"convoId":"c"}]}`,
		item(`null`), item(`"x"`), item(`{}`), item(`{"text":null}`), item(`{"text":1}`), item(`{"text":"","more":1}`),
		item(`{"text":"` + strings.Repeat("x", 10_001) + `"}`),
		item(`{"text":"","facets":null}`), item(`{"text":"","facets":{}}`), item(`{"text":"","facets":[1]}`), item(`{"text":"","facets":[{}]}`),
		item(`{"text":"","facets":[{"index":{"byteStart":1},"features":[]}]}`),
		item(`{"text":"","facets":[{"index":{"byteStart":-1,"byteEnd":1},"features":[]}]}`),
		item(`{"text":"","facets":[{"index":{"byteStart":"0","byteEnd":1},"features":[]}]}`),
		item(`{"text":"","facets":[{"index":{"byteStart":0,"byteEnd":0.5},"features":[]}]}`),
		item(`{"text":"","facets":[{"index":{"byteStart":0,"byteEnd":1}}]}`),
		facet(`{}`), facet(`null`), facet(`1`), facet(`{"$type":1}`), facet(`{"$type":"org.example.new"}`),
		facet(`{"$type":"app.bsky.richtext.facet#mention"}`), facet(`{"$type":"app.bsky.richtext.facet#mention","did":"bob"}`),
		facet(`{"$type":"app.bsky.richtext.facet#mention","did":null}`),
		facet(`{"$type":"app.bsky.richtext.facet#link","uri":"no uri"}`), facet(`{"$type":"app.bsky.richtext.facet#link","uri":"https://example.com"}`),
		facet(`{"$type":"app.bsky.richtext.facet#tag","tag":"` + strings.Repeat("x", 65) + `"}`),
		facet(`{"$type":"app.bsky.richtext.facet#tag","tag":"` + strings.Repeat("क्ष", 64) + `"}`),
		facet(`{"$type":"app.bsky.richtext.facet#tag","tag":"` + strings.Repeat("x", 641) + `"}`),
		item(`{"text":"","embed":null}`), item(`{"text":"","embed":"x"}`), item(`{"text":"","embed":{}}`), item(`{"text":"","embed":{"$type":"app.bsky.embed.record"}}`),
		embed(`1`), embed(`{}`), embed(`{"uri":"x","cid":"bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"}`),
		embed(`{"uri":"at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/3k4duaz5vfs2b","cid":"x"}`),
		embed(`{"uri":"at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/3k4duaz5vfs2b"}`),
	}
	for _, c := range clusters {
		for _, n := range []int{1000, 1001} {
			text, err := json.Marshal(strings.Repeat(c, n))
			require.NoError(t, err)
			inputs = append(inputs, item(`{"text":`+string(text)+`}`))
		}
	}
	file := filepath.Join(t.TempDir(), "inputs.json")
	require.NoError(t, os.WriteFile(file, []byte("["+strings.Join(inputs, ",")+"]"), 0o600))
	var theirs []*string
	require.NoError(t, json.Unmarshal(run("lexicon.mjs", file), &theirs))
	require.Len(t, theirs, len(inputs))
	b := newEnv(t, bsky)
	refused := 0
	for i, input := range inputs {
		r := b.acme("POST", blueskyBatch, input, asJSON)
		shown := message.Clip(input, 200)
		if theirs[i] == nil {
			require.Equal(t, http.StatusOK, r.Code, "%s: %s", shown, r.Body)
			continue
		}
		refused++
		require.Equal(t, *theirs[i], r.xrpc(http.StatusBadRequest, "InvalidRequest"), shown)
	}
	require.Greater(t, refused, 24)
}
