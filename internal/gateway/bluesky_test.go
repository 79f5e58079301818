package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

const (
	blueskyBatch   = "/xrpc/chat.bsky.convo.sendMessageBatch"
	blueskyMessage = "/xrpc/chat.bsky.convo.sendMessage"
	asJSON         = "Content-Type: application/json"

	hello = `{"convoId":"c1","message":{"text":"Hello"}}`
	three = `{"items":[` + hello + `,{"convoId":"c2","message":{"text":"<b>"}},{"convoId":"c3","message":{"text":"","facets":[]}}]}`
)

// bsky sends over an account of Bluesky.
func bsky(o *gateway.Options) {
	router := hook()
	router.Accounts["bsky-main"] = message.Policy{Provider: "bluesky"}
	router.Routes = append([]message.Route{{Dialect: "bluesky", Hops: []string{"bsky-main"}}}, router.Routes...)
	for i := range o.Tenants {
		o.Tenants[i].Router = &router
	}
	o.Accounts = append(o.Accounts, provider.Account{Name: "bsky-main", Provider: "bluesky", Identifier: "did:plc:ewvi7nxzyoun6zhxrhs64oiz"})
}

// xrpc requires an error of XRPC and returns its message.
func (r reply) xrpc(status int, name string) string {
	r.t.Helper()
	doc := r.json(status)
	require.Equal(r.t, name, doc["error"], doc["message"])
	require.Len(r.t, doc, 2)
	require.NotEmpty(r.t, doc["message"])
	return fmt.Sprint(doc["message"])
}

func TestBlueskyAnswersWithTheViewsInTheirOrder(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	r := b.acme("POST", blueskyBatch, three, asJSON)
	items := r.json(http.StatusOK)["items"].([]any)
	require.Len(t, items, 3)
	require.Equal(t, map[string]any{
		"$type": "chat.bsky.convo.defs#messageView", "id": "p-0", "rev": "3n3bt6j7l2222", "text": "Hello",
		"sender": map[string]any{"did": "did:plc:ewvi7nxzyoun6zhxrhs64oiz"}, "sentAt": "2026-11-27T09:00:00.000Z",
	}, items[0])
	require.Equal(t, "<b>", items[1].(map[string]any)["text"])
	require.Equal(t, []any{}, items[2].(map[string]any)["facets"])
	require.Equal(t, "new-0", r.Header().Get("Volley-Batch-Id"))
	require.Equal(t, "{\"items\":[]}\n", b.acme("POST", blueskyBatch, `{"items":[]}`, asJSON).Body.String())
}

func TestBlueskyOneMessageIsABatchOfOne(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	require.Equal(t, "p-0", b.acme("POST", blueskyMessage, " "+hello+"\n", "Content-Type: application/json; charset=utf-8").json(http.StatusOK)["id"])
	require.Len(t, b.requests[0].Batch.Messages, 1)
	// What would be more than one item where it is put is not JSON by itself.
	b.acme("POST", blueskyMessage, hello+","+hello, asJSON).xrpc(http.StatusBadRequest, "InvalidRequest")
	b.acme("POST", blueskyMessage, hello+"],\"x\":["+hello, asJSON).xrpc(http.StatusBadRequest, "InvalidRequest")
	require.Len(t, b.batches, 1)
}

func TestBlueskyRepeatsAreAnsweredByteForByte(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	first := b.acme("POST", blueskyBatch, three, asJSON, "Idempotency-Key: k")
	again := b.acme("POST", blueskyBatch, three, asJSON, "Idempotency-Key: k")
	require.Equal(t, http.StatusOK, first.Code)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, first.Header().Get("Volley-Batch-Id"), again.Header().Get("Volley-Batch-Id"))
	b.acme("POST", blueskyBatch, three+" ", asJSON, "Idempotency-Key: k").xrpc(http.StatusConflict, "InvalidRequest")
	one := b.acme("POST", blueskyMessage, hello, asJSON, "Idempotency-Key: one")
	require.Equal(t, http.StatusOK, one.Code)
	b.acme("POST", blueskyBatch, `{"items":[`+hello+`]}`, asJSON, "Idempotency-Key: one").xrpc(http.StatusConflict, "InvalidRequest")
	require.Equal(t, one.Body.String(), b.acme("POST", blueskyMessage, hello, asJSON, "Idempotency-Key: one").Body.String())
}

func TestBlueskyALargeCallIsAnsweredToo(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		bsky(o)
		o.Limits.BodyBytes = 8 << 20
	})
	r := b.acme("POST", blueskyBatch, three+strings.Repeat(" ", 5<<20), asJSON)
	require.Len(t, r.json(http.StatusOK)["items"], 3)
}

func TestBlueskyInputIsRefusedInTheWordsOfTheReferenceServer(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	for name, c := range map[string]struct{ method, target, body, mime, want string }{
		"no body":        {"POST", blueskyBatch, "", asJSON, "A request body is expected but none was provided"},
		"no type":        {"POST", blueskyBatch, three, "X-None: x", "Request encoding (Content-Type) required but not provided"},
		"another type":   {"POST", blueskyBatch, three, "Content-Type: text/plain", "Wrong request encoding (Content-Type): text/plain"},
		"another method": {"GET", blueskyBatch, "", asJSON, "Incorrect HTTP method (GET) expected POST"},
		"the same of one": {
			"PUT", blueskyMessage, hello, asJSON, "Incorrect HTTP method (PUT) expected POST",
		},
		"a session that is posted": {"POST", "/xrpc/com.atproto.server.getSession", "", asJSON, "Incorrect HTTP method (POST) expected GET"},
		"too many items": {
			"POST", blueskyBatch, `{"items":[` + strings.Repeat(hello+",", 100) + hello + `]}`, asJSON, "Input/items must not have more than 100 elements",
		},
		"no items":             {"POST", blueskyBatch, `{}`, asJSON, `Input must have the property "items"`},
		"no text":              {"POST", blueskyBatch, `{"items":[` + hello + `,{"convoId":"c","message":{}}]}`, asJSON, `Input/items/1/message must have the property "text"`},
		"one without a text":   {"POST", blueskyMessage, `{"convoId":"c","message":{}}`, asJSON, `Input/message must have the property "text"`},
		"one without a convo":  {"POST", blueskyMessage, `{"message":{"text":""}}`, asJSON, `Input must have the property "convoId"`},
		"one that is a list":   {"POST", blueskyMessage, `[]`, asJSON, "Input must be an object"},
		"one that is too long": {"POST", blueskyMessage, `{"convoId":"c","message":{"text":"` + strings.Repeat("x", 10_001) + `"}}`, asJSON, "Input/message/text must not be longer than 10000 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, reply{b.acme(c.method, c.target, c.body, c.mime).ResponseRecorder, t}.xrpc(http.StatusBadRequest, "InvalidRequest"))
		})
	}
}

func TestBlueskyFailuresHaveItsNames(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		bsky(o)
		o.Tenants[0].Rate = 1
		o.Tenants[1].Dialects = []string{"bird"}
	})
	b.call("POST", blueskyBatch, three, asJSON).xrpc(http.StatusUnauthorized, "AuthMissing")
	b.call("POST", blueskyBatch, three, asJSON, "Authorization: Bearer nobody").xrpc(http.StatusUnauthorized, "AuthenticationRequired")
	b.call("POST", blueskyBatch, three, asJSON, "Authorization: Bearer "+otherKey).xrpc(http.StatusForbidden, "Forbidden")
	b.call("GET", "/xrpc/chat.bsky.convo.listConvos", "").xrpc(http.StatusNotImplemented, "MethodNotImplemented")
	b.acme("POST", blueskyMessage, strings.Repeat(" ", 2<<20), asJSON).xrpc(http.StatusRequestEntityTooLarge, "PayloadTooLarge")
	r := b.acme("POST", blueskyMessage, hello, asJSON)
	r.xrpc(http.StatusTooManyRequests, "RateLimitExceeded")
	require.Equal(t, "1", r.Header().Get("Retry-After"))
	require.Empty(t, b.batches)
}

func TestBlueskyAPartialFailureNamesWhatWasSent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state  message.State
		code   string
		status int
		name   string
	}{
		{message.Failed, "RecipientNotFound", http.StatusBadRequest, "RecipientNotFound"},
		{message.Failed, "ConvoLocked", http.StatusBadRequest, "ConvoLocked"},
		{message.Failed, "InvalidRequest", http.StatusBadRequest, "InvalidRequest"},
		{message.Failed, "RateLimitExceeded", http.StatusTooManyRequests, "RateLimitExceeded"},
		{message.Failed, "NotEnoughResources", http.StatusServiceUnavailable, "NotEnoughResources"},
		{message.Failed, "PayloadTooLarge", http.StatusRequestEntityTooLarge, "PayloadTooLarge"},
		{message.Failed, "InvalidToken", http.StatusBadGateway, "UpstreamFailure"},
		{message.Failed, "connection", http.StatusBadGateway, "UpstreamFailure"},
		{message.Unknown, "timeout", http.StatusBadGateway, "UpstreamFailure"},
		{message.Canceled, "", http.StatusBadGateway, "UpstreamFailure"},
		{message.Expired, "expired", http.StatusGatewayTimeout, "UpstreamTimeout"},
	} {
		t.Run(c.state.String()+" "+c.code, func(t *testing.T) {
			t.Parallel()
			b := newEnv(t, bsky)
			b.rows = func(starter.Ref) []message.Row {
				return []message.Row{
					{Index: 0, State: message.Delivered, SentAt: &now, Rev: 1},
					{Index: 1, State: c.state, Code: c.code, Detail: "said so", Rev: 2},
					{Index: 2, State: message.Failed, Code: "InvalidConvo", Rev: 3},
				}
			}
			r := b.acme("POST", blueskyBatch, three, asJSON)
			text := r.xrpc(c.status, c.name)
			require.Contains(t, text, "item 1 of batch new-0: ")
			require.Contains(t, text, "said so; sent: 0; not sent: 1 "+c.state.String()+", 2 failed")
			require.Equal(t, "new-0", r.Header().Get("Volley-Batch-Id"))
			require.Empty(t, b.expected, "the caller was told")
		})
	}
}

func TestBlueskyACallThatWaitedLongEnoughIsToldSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newEnv(t, bsky)
		ended := make(chan struct{})
		b.wait = func(ctx context.Context, ref starter.Ref) (message.Status, error) {
			select {
			case <-ctx.Done():
				return message.Status{}, fmt.Errorf("batch %s: %w", ref.ID, ctx.Err())
			case <-ended:
				return message.Status{}, nil
			}
		}
		began := time.Now()
		r := b.acme("POST", blueskyBatch, three, asJSON, "Idempotency-Key: k")
		require.Equal(t, 25*time.Second, time.Since(began))
		require.Contains(t, r.xrpc(http.StatusGatewayTimeout, "UpstreamTimeout"), "batch key-k has not ended yet")
		require.Equal(t, "key-k", r.Header().Get("Volley-Batch-Id"))

		answers := make(chan reply)
		go func() { answers <- b.acme("POST", blueskyBatch, three, asJSON, "Idempotency-Key: k") }()
		synctest.Wait()
		select {
		case <-answers:
			require.Fail(t, "the repeat did not wait")
		default:
		}
		close(ended)
		require.Len(t, (<-answers).json(http.StatusOK)["items"], 3)
		require.Len(t, b.batches, 1)
	})
}

func TestBlueskyAGatewayThatLeavesLetsCallsGo(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	_, leave := listen(t, b)
	waits := make(chan struct{})
	b.wait = func(ctx context.Context, _ starter.Ref) (message.Status, error) {
		close(waits)
		<-ctx.Done()
		return message.Status{}, ctx.Err()
	}
	go func() {
		<-waits
		leave()
	}()
	b.acme("POST", blueskyMessage, hello, asJSON).xrpc(http.StatusGatewayTimeout, "UpstreamTimeout")
}

func TestBlueskyWhatFailsAfterTheStartNamesTheBatch(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	b.wait = func(context.Context, starter.Ref) (message.Status, error) {
		return message.Status{}, starter.ErrUnreachable
	}
	r := b.acme("POST", blueskyMessage, hello, asJSON)
	require.Contains(t, r.xrpc(http.StatusGatewayTimeout, "UpstreamTimeout"), "batch new-0 was accepted")
	require.Equal(t, "new-0", r.Header().Get("Volley-Batch-Id"))
	require.Empty(t, r.Header().Get("Retry-After"))
	require.Equal(t, []string{"new-0"}, b.expected, "a client that comes again gets the same batch")

	r = b.acme("POST", blueskyMessage, hello, asJSON, "Idempotency-Key: k")
	r.xrpc(http.StatusGatewayTimeout, "UpstreamTimeout")
	require.Equal(t, "5", r.Header().Get("Retry-After"))
	require.Len(t, b.expected, 1)
}

func TestBlueskyClientsLogIn(t *testing.T) {
	t.Parallel()
	clock := now
	b := newEnv(t, func(o *gateway.Options) {
		bsky(o)
		o.Now = func() time.Time { return clock }
	})
	login := func(body string) reply { return b.call("POST", "/xrpc/com.atproto.server.createSession", body, asJSON) }
	s := login(`{"identifier":"bot.example.com","password":"` + acmeKey + `"}`).json(http.StatusOK)
	require.Equal(t, "did:plc:ewvi7nxzyoun6zhxrhs64oiz", s["did"])
	require.Equal(t, "handle.invalid", s["handle"])
	access, refresh := "Authorization: Bearer "+fmt.Sprint(s["accessJwt"]), "Authorization: Bearer "+fmt.Sprint(s["refreshJwt"])

	who := b.call("GET", "/xrpc/com.atproto.server.getSession", "", access).json(http.StatusOK)
	require.Equal(t, map[string]any{"did": s["did"], "handle": s["handle"], "active": true}, who)
	require.Equal(t, http.StatusOK, b.call("POST", blueskyMessage, hello, asJSON, access).Code)
	require.Equal(t, "acme", b.requests[0].Tenant)
	b.call("POST", blueskyMessage, hello, asJSON, refresh).xrpc(http.StatusBadRequest, "InvalidToken")

	clock = now.Add(2 * time.Hour)
	b.call("POST", blueskyMessage, hello, asJSON, access).xrpc(http.StatusBadRequest, "ExpiredToken")
	const renew = "/xrpc/com.atproto.server.refreshSession"
	next := b.call("POST", renew, "", refresh).json(http.StatusOK)
	require.Equal(t, http.StatusOK, b.call("POST", blueskyMessage, hello, asJSON, "Authorization: Bearer "+fmt.Sprint(next["accessJwt"])).Code)
	b.call("POST", renew, "", access).xrpc(http.StatusBadRequest, "InvalidToken")
	b.call("POST", renew, "").xrpc(http.StatusUnauthorized, "AuthMissing")
	clock = now.Add(90 * 24 * time.Hour)
	b.call("POST", renew, "", refresh).xrpc(http.StatusBadRequest, "ExpiredToken")

	login(`{"identifier":"x","password":"nobody"}`).xrpc(http.StatusUnauthorized, "AuthenticationRequired")
	login("").xrpc(http.StatusBadRequest, "InvalidRequest")
	login("[]").xrpc(http.StatusBadRequest, "InvalidRequest")
	require.Equal(t, `Input must have the property "password"`, login(`{"identifier":"x"}`).xrpc(http.StatusBadRequest, "InvalidRequest"))
	login(`"`+strings.Repeat("x", 20<<10)+`"`).xrpc(http.StatusRequestEntityTooLarge, "PayloadTooLarge")
}
