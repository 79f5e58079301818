package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/dev/sandbox"
)

// box is a sandbox behind a real server, and credentials for every provider.
type box struct {
	*sandbox.Sandbox
	url    string
	client *http.Client
	sinch  string
	bsky   string
}

func start(t *testing.T, o sandbox.Options) *box {
	t.Helper()
	s := sandbox.New(o)
	require.NoError(t, s.Err())
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, s.Close())
	})
	b := &box{Sandbox: s, url: srv.URL, client: srv.Client()}
	b.login(t)
	return b
}

func (b *box) login(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/sinch/oauth2/token",
		strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	require.NoError(t, err)
	req.SetBasicAuth("kid", "ks")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res := b.do(t, req)
	require.Equal(t, http.StatusOK, res.status, res.body)
	b.sinch = res.field("access_token")

	res = b.post(t, "/bluesky/xrpc/com.atproto.server.createSession", nil, `{"identifier":"me.example","password":"p"}`)
	require.Equal(t, http.StatusOK, res.status, res.body)
	b.bsky = res.field("accessJwt")
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (a answer) field(path ...string) string {
	var v any
	if json.Unmarshal([]byte(a.body), &v) != nil {
		return ""
	}
	for _, k := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[k]
	}
	s, _ := v.(string)
	return s
}

func (b *box) do(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := b.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

func (b *box) post(t *testing.T, path string, h map[string]string, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+path, struct{ io.Reader }{strings.NewReader(body)})
	require.NoError(t, err)
	for k, v := range h {
		req.Header.Set(k, v)
	}
	return b.do(t, req)
}

func (b *box) get(t *testing.T, path string, h map[string]string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, nil)
	require.NoError(t, err)
	for k, v := range h {
		req.Header.Set(k, v)
	}
	return b.do(t, req)
}

// endpoint is how one provider is sent to and read from.
type endpoint struct {
	name string
	ok   int
	// reject is the status of the provider's permanent error.
	reject int
	path   string
	head   func(*box) map[string]string
	body   func(to, id string) string
	// list is the read that must show what was recorded for a recipient.
	list func(to string) string
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

func endpoints() []endpoint {
	const chat = "/bluesky/xrpc/chat.bsky.convo."
	none := func(*box) map[string]string { return nil }
	bird := func(*box) map[string]string { return map[string]string{"Authorization": "AccessKey k"} }
	sinch := func(b *box) map[string]string { return map[string]string{"Authorization": "Bearer " + b.sinch} }
	imkit := func(*box) map[string]string { return map[string]string{"IM-API-KEY": "k"} }
	bsky := func(b *box) map[string]string {
		return map[string]string{"Authorization": "Bearer " + b.bsky, "Atproto-Proxy": "did:web:api.bsky.chat#bsky_chat"}
	}
	return []endpoint{
		{"bird", 202, 422, "/bird/workspaces/ws/channels/ch/messages", bird, func(to, id string) string {
			return `{"receiver":{"contacts":[{"identifierValue":` + quoted(to) + `}]},"body":{"type":"text","text":{"text":"hi"}},"reference":"` + id + `"}`
		}, func(string) string { return "/bird/workspaces/ws/channels/ch/messages?limit=100" }},
		{"sinch", 200, 400, "/sinch/v1/projects/p/messages:send", sinch, func(to, id string) string {
			return `{"app_id":"a","recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":` + quoted(to) + `}]}},` +
				`"message":{"text_message":{"text":"hi"}},"message_metadata":"{\"id\":\"` + id + `\"}"}`
		}, func(string) string { return "/sinch/v1/projects/p/messages?page_size=100" }},
		{"imkit", 200, 200, "/imkit/messages/batch", imkit, func(to, id string) string {
			return `{"message":"hi","messageType":"text","extra":{"_volley_id":"` + id + `"},"paras":[{"receiver":` + quoted(to) + `}]}`
		}, func(string) string { return "/imkit/admin/messages" }},
		{"bluesky", 200, 400, chat + "sendMessage", bsky, func(to, id string) string {
			return `{"convoId":` + quoted(to) + `,"message":{"text":"hi","n":"` + id + `"}}`
		}, func(to string) string { return chat + "getMessages?convoId=" + url.QueryEscape(to) }},
		{"webhook", 202, 422, "/webhook", none, func(to, id string) string {
			return `{"type":"message","data":{"id":"` + id + `","to":` + quoted(to) + `,"text":"hi"}}`
		}, nil},
	}
}

const (
	idA = "0b7c1f4e-52a3-8d10-9b1e-0123456789ab"
	idB = "0b7c1f4e-52a3-8d10-9b1e-0123456789ac"
)

func TestEveryRecordHoldsWhatWasSent(t *testing.T) {
	t.Parallel()
	for _, d := range endpoints() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, sandbox.Options{})
			require.Equal(t, d.ok, b.post(t, d.path, d.head(b), d.body("someone", idA)).status)
			require.Len(t, b.Received(), 1)
			r := b.Received()[0]
			require.Equal(t, d.name, r.Provider)
			require.Equal(t, "someone", r.To)
			require.Equal(t, "hi", r.Text)
			require.NotEmpty(t, r.ProviderID)
			require.NotEmpty(t, r.Account)
			require.Contains(t, string(r.Content), idA)
			require.Equal(t, 1, r.Times)
			if d.name == "bluesky" {
				require.Empty(t, r.ID)
			} else {
				require.Equal(t, idA, r.ID)
			}
		})
	}
}

func TestDoubleSendsAreCounted(t *testing.T) {
	t.Parallel()
	for _, d := range endpoints() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, sandbox.Options{})
			for _, id := range []string{idA, idB, idA, idA} {
				require.Equal(t, d.ok, b.post(t, d.path, d.head(b), d.body("someone", id)).status)
			}
			distinct, doubles, want := 2, 2, []int{3, 1, 3, 3}
			if d.name == "bluesky" { // it keeps no id of the sender's
				distinct, doubles, want = 4, 0, []int{1, 1, 1, 1}
			}
			c := b.Counts()
			require.EqualValues(t, 4, c.Total)
			require.Equal(t, distinct, c.Distinct)
			require.Equal(t, doubles, c.Doubles)
			var times []int
			for _, r := range b.Received() {
				times = append(times, r.Times)
			}
			require.Equal(t, want, times)
		})
	}
}

func TestWrongCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	o := sandbox.Options{AccessKey: "right", KeyID: "kid", KeySecret: "ks", APIKey: "right", Identifier: "me.example", Password: "p", Secret: "whsec_c2VjcmV0"}
	for _, d := range endpoints() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, o)
			for _, h := range []map[string]string{
				nil,
				{
					"Authorization": map[string]string{"bird": "AccessKey wrong"}[d.name], "IM-API-KEY": "wrong",
					"Webhook-Id": idA, "Webhook-Timestamp": "1", "Webhook-Signature": "v1,AAAA",
				},
			} {
				if d.name == "bluesky" {
					if h == nil {
						h = map[string]string{}
					}
					h["Atproto-Proxy"] = "did:web:api.bsky.chat#bsky_chat"
				}
				res := b.post(t, d.path, h, d.body("someone", idA))
				require.Equal(t, http.StatusUnauthorized, res.status, res.body)
			}
			require.Empty(t, b.Received())
		})
	}
}

func TestLoginsWithWrongSecretsAreRefused(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{KeySecret: "ks", Password: "p"})
	res := b.post(t, "/bluesky/xrpc/com.atproto.server.createSession", nil, `{"identifier":"me.example","password":"wrong"}`)
	require.Equal(t, http.StatusUnauthorized, res.status)
	require.Equal(t, "AuthenticationRequired", res.field("error"))
	res = b.post(t, "/sinch/oauth2/token?grant_type=client_credentials", map[string]string{"Authorization": "Basic a2lkOndyb25n"}, "")
	require.Equal(t, http.StatusUnauthorized, res.status)
	require.EqualValues(t, 2, b.Counts().Logins, "only the two of the set-up")
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	want := map[string]int{"bird": 422, "sinch": 400, "imkit": 400, "bluesky": 400, "webhook": 400}
	b := start(t, sandbox.Options{})
	for _, d := range endpoints() {
		body := `{}`
		if d.name == "webhook" {
			body = `[]`
		}
		res := b.post(t, d.path, d.head(b), body)
		require.Equal(t, want[d.name], res.status, d.name)
		require.True(t, json.Valid([]byte(res.body)), d.name)
		require.GreaterOrEqual(t, b.post(t, d.path, d.head(b), `not json`).status, 400)
	}
	require.Empty(t, b.Received())
}
