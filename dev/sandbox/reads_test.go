package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/sandbox"
)

// ticking is a clock that moves a second with each reading.
func ticking() (now func() time.Time, begin time.Time) {
	begin = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var n atomic.Int64
	return func() time.Time { return begin.Add(time.Duration(n.Add(1)) * time.Second) }, begin
}

func TestListsArePagedNewestFirst(t *testing.T) {
	t.Parallel()
	const chat = "/bluesky/xrpc/chat.bsky.convo.getMessages?convoId=someone&limit=2&cursor="
	pages := map[string]struct{ path, items, next string }{
		"bird":    {"/bird/workspaces/ws/channels/ch/messages?limit=2&pageToken=", "results", "nextPageToken"},
		"sinch":   {"/sinch/v1/projects/p/messages?page_size=2&page_token=", "messages", "next_page_token"},
		"bluesky": {chat, "messages", "cursor"},
	}
	for _, d := range endpoints() {
		p, ok := pages[d.name]
		if !ok {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, sandbox.Options{})
			for i := range 5 {
				require.Equal(t, d.ok, b.post(t, d.path, d.head(b), d.body("someone", fmt.Sprintf("id-%d", i))).status)
			}
			var want, got []string
			for _, r := range b.Received() {
				want = append([]string{r.ProviderID}, want...)
			}
			for next, more := "", true; more; more = next != "" {
				res := b.get(t, p.path+url.QueryEscape(next), d.head(b))
				require.Equal(t, http.StatusOK, res.status, res.body)
				var page map[string]json.RawMessage
				require.NoError(t, json.Unmarshal([]byte(res.body), &page))
				var items []struct {
					ID string `json:"id"`
				}
				require.NoError(t, json.Unmarshal(page[p.items], &items))
				require.LessOrEqual(t, len(items), 2)
				for _, it := range items {
					got = append(got, it.ID)
				}
				next = res.field(p.next)
			}
			require.Equal(t, want, got)
		})
	}
}

func TestListsKeepToTheirWindow(t *testing.T) {
	t.Parallel()
	query := map[string]string{
		"bird":  "/bird/workspaces/ws/channels/ch/messages?startAt=%s&endAt=%s",
		"sinch": "/sinch/v1/projects/p/messages?start_time=%s&end_time=%s",
		"imkit": "/imkit/admin/messages?startDate=%s&endDate=%s",
	}
	for _, d := range endpoints() {
		q, ok := query[d.name]
		if !ok {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			now, _ := ticking()
			b := start(t, sandbox.Options{Now: now, AccessTTL: 1000 * time.Hour})
			for i := range 4 {
				require.Equal(t, d.ok, b.post(t, d.path, d.head(b), d.body(fmt.Sprintf("to-%d", i), idA)).status)
			}
			r := b.Received()
			at := func(i int) string { return url.QueryEscape(r[i].At.Format(time.RFC3339Nano)) }
			res := b.get(t, fmt.Sprintf(q, at(1), at(3)), d.head(b))
			require.Equal(t, http.StatusOK, res.status, res.body)
			for i, in := range []bool{false, true, true, false} {
				require.Equal(t, in, strings.Contains(res.body, fmt.Sprintf("to-%d", i)), "message %d: the start is inclusive, the end is not", i)
			}
			require.GreaterOrEqual(t, b.get(t, fmt.Sprintf(q, "yesterday", at(3)), d.head(b)).status, 400)
		})
	}
}

func TestSingleReads(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{})
	ds := endpoints()
	bird, sinch, imkit := ds[0], ds[1], ds[2]
	id := b.post(t, bird.path, bird.head(b), bird.body("someone", idA)).field("id")
	for _, p := range []string{"/bird/workspaces/ws/messages/", "/bird/workspaces/ws/channels/ch/messages/"} {
		res := b.get(t, p+id, bird.head(b))
		require.Equal(t, http.StatusOK, res.status)
		require.Equal(t, idA, res.field("reference"))
		require.Equal(t, http.StatusNotFound, b.get(t, p+idB, bird.head(b)).status)
	}
	mid := b.post(t, sinch.path, sinch.head(b), sinch.body("someone", idA)).field("message_id")
	res := b.get(t, "/sinch/v1/projects/p/messages/"+mid, sinch.head(b))
	require.Equal(t, http.StatusOK, res.status)
	require.Equal(t, `{"id":"`+idA+`"}`, res.field("metadata"))
	require.Equal(t, http.StatusNotFound, b.get(t, "/sinch/v1/projects/other/messages/"+mid, sinch.head(b)).status)

	batch := b.post(t, imkit.path, imkit.head(b), imkit.body("someone", idA)).field("result", "batchID")
	res = b.get(t, "/imkit/messages/batch?batchID="+batch, imkit.head(b))
	require.Contains(t, res.body, idA)
	require.Contains(t, res.body, `"count":1`)
	require.Contains(t, b.get(t, "/imkit/messages/batch?batchID=other", imkit.head(b)).body, `"count":0`)

	hook := ds[4]
	require.Equal(t, http.StatusNotFound, b.get(t, "/webhook/acme?id="+idA, nil).status)
	sent := b.post(t, "/webhook/acme", nil, hook.body("someone", idA))
	require.Equal(t, sent.field("id"), b.get(t, "/webhook/acme?id="+idA, nil).field("id"))
	require.Equal(t, http.StatusNotFound, b.get(t, "/webhook?id="+idA, nil).status, "another hook")
}

func TestIMKITFillsPatternsAndPrefersRooms(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{})
	res := b.post(t, "/imkit/messages/batch", map[string]string{"IM-API-KEY": "k"},
		`{"message":"hi $name$","messageType":"text","extra":{"k":"$name$"},"paras":[{"receiver":"r1","$name$":"A\"n"},{"receiver":"r2","room":"room2","$name$":"Bo"}]}`)
	require.Equal(t, http.StatusOK, res.status)
	require.Contains(t, res.body, `"count":2`)
	r := b.Received()
	require.Len(t, r, 2)
	require.Equal(t, `hi A"n`, r[0].Text)
	require.Equal(t, "r1", r[0].To)
	require.Equal(t, "hi Bo", r[1].Text)
	require.Equal(t, "room2", r[1].To)
	require.Contains(t, string(r[1].Content), `"k":"Bo"`)
}

func TestBlueskySessions(t *testing.T) {
	t.Parallel()
	const chat, proxy = "/bluesky/xrpc/chat.bsky.convo.sendMessage", "did:web:api.bsky.chat#bsky_chat"
	const body = `{"convoId":"c","message":{"text":"hi"}}`
	var shift atomic.Int64
	b := start(t, sandbox.Options{AccessTTL: time.Minute, RefreshTTL: time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }})
	session := b.post(t, "/bluesky/xrpc/com.atproto.server.createSession", nil, `{"identifier":"me.example","password":"p"}`)
	access, refresh := session.field("accessJwt"), session.field("refreshJwt")
	send := func(token, service string) answer {
		return b.post(t, chat, map[string]string{"Authorization": "Bearer " + token, "Atproto-Proxy": service}, body)
	}
	require.Equal(t, http.StatusOK, send(access, proxy).status)
	require.Equal(t, "XRPCNotSupported", send(access, "").field("error"))
	require.Equal(t, "could not resolve proxy did service url", send(access, "did:web:api.bsky.chat#other").field("message"))
	require.Equal(t, "InvalidToken", send("nonsense", proxy).field("error"))

	shift.Store(int64(2 * time.Minute))
	expired := send(access, proxy)
	require.Equal(t, http.StatusBadRequest, expired.status, "a PDS does not answer 401")
	require.Equal(t, "ExpiredToken", expired.field("error"))
	again := func(token string) answer {
		return b.post(t, "/bluesky/xrpc/com.atproto.server.refreshSession", map[string]string{"Authorization": "Bearer " + token}, "")
	}
	require.Equal(t, http.StatusOK, send(again(refresh).field("accessJwt"), proxy).status)
	require.Equal(t, "InvalidToken", again(access).field("error"))
	shift.Store(int64(2 * time.Hour))
	require.Equal(t, "ExpiredToken", again(refresh).field("error"))
	require.Equal(t, b.Received()[0].Sender, session.field("did"))
}

func TestBlueskyConversations(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{})
	head := endpoints()[3].head(b)
	const path = "/bluesky/xrpc/chat.bsky.convo.getConvoForMembers?members="
	first := b.get(t, path+"did:plc:abc%2Bflaky", head).field("convo", "id")
	require.Contains(t, first, "did:plc:abc+flaky", "a steer in a DID steers the conversation")
	require.Equal(t, first, b.get(t, path+"did:plc:abc%2Bflaky", head).field("convo", "id"), "always the same")
	require.Equal(t, http.StatusBadRequest, b.get(t, path+"bob.example", head).status)
	require.Equal(t, "RecipientNotFound", b.get(t, path+"did:plc:abc%2Bnobody", head).field("error"))
}
