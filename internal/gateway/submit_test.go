package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/starter"
)

func TestASubmitNamesTheBatchThatSaidTheSame(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	for i, c := range []struct{ target, scheme, body string }{
		{"/v1/batches", "Bearer ", one},
		{birdSubmit, "AccessKey ", birdText("+15550001111")},
		{sinchMessages, "Bearer ", sinchBody("")},
		{"/messages/batch", "Bearer ", imkitTwo},
		{blueskyBatch, "Bearer ", three},
	} {
		post := func(key string) reply {
			return b.call("POST", c.target, c.body, asJSON, "Idempotency-Key: "+key, "IM-API-KEY: "+acmeKey, "Authorization: "+c.scheme+acmeKey)
		}
		b.same = nil
		require.Empty(t, post(fmt.Sprint("first", i)).Header().Values("Volley-Same-As"), c.target)
		b.same = &starter.Same{ID: "sale-1"}
		r := post(fmt.Sprint("second", i))
		require.Less(t, r.Code, 300, c.target)
		require.Equal(t, "sale-1", r.Header().Get("Volley-Same-As"), c.target)
	}
	require.Equal(t, 300*time.Millisecond, b.requests[0].SameWithin)
	require.Nil(t, b.requests[0].Ask, "nobody is asked")
}

func TestAConflictNamesTheBatchThatIsThere(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	for i, c := range []struct{ target, scheme, first, other string }{
		{"/v1/batches", "Bearer ", one, one + " "},
		{birdSubmit, "AccessKey ", birdText("+15550001111"), birdText("+15550002222")},
		{sinchMessages, "Bearer ", sinchBody(""), sinchBody(`"correlation_id":"c",`)},
		{"/messages/batch", "Bearer ", imkitTwo, imkitTwo + " "},
		{blueskyBatch, "Bearer ", three, three + " "},
	} {
		post := func(body string) reply {
			return b.call("POST", c.target, body, asJSON, fmt.Sprint("Idempotency-Key: k", i), "IM-API-KEY: "+acmeKey, "Authorization: "+c.scheme+acmeKey)
		}
		first, other := post(c.first), post(c.other)
		require.Less(t, first.Code, 300, c.target)
		require.Equal(t, http.StatusConflict, other.Code, c.target)
		for _, r := range []reply{first, other} {
			require.Equal(t, fmt.Sprint("key-k", i), r.Header().Get("Volley-Batch-Id"), c.target)
		}
	}
}

// A client that sends the header wants a safe repetition; without a value it gets none.
func TestAnIdempotencyKeyWithoutAValueIsRefused(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	for _, value := range []string{"", " ", "\t "} {
		key := "Idempotency-Key: " + value
		refused := func(r reply, status int) {
			t.Helper()
			require.Equal(t, status, r.Code, r.Body)
			require.Contains(t, r.Body.String(), "the Idempotency-Key is empty")
		}
		refused(b.acme("POST", "/v1/batches", one, key), http.StatusBadRequest)
		refused(b.bird("POST", birdSubmit, birdText("+15550001111"), key), http.StatusBadRequest)
		refused(b.acme("POST", sinchMessages, sinchBody(""), key), http.StatusBadRequest)
		refused(b.imkit("POST", "/messages/batch", imkitTwo, key), http.StatusBadRequest)
		refused(b.acme("POST", blueskyMessage, hello, asJSON, key), http.StatusBadRequest)
	}
	require.Empty(t, b.batches)
}

func TestASubmitOfWhichNobodyCanSayNamesItsBatchInEveryDialect(t *testing.T) {
	t.Parallel()
	b := newEnv(t, bsky)
	b.start = &starter.MayHaveStartedError{Ref: starter.Ref{Tenant: "acme", ID: "b7"}, Cause: context.DeadlineExceeded}
	for name, c := range map[string]struct {
		target, scheme, body string
		field, code          string
	}{
		"volley":  {"/v1/batches", "Bearer ", one, "code", "may_have_started"},
		"bird":    {birdSubmit, "AccessKey ", birdText("+15550001111"), "code", "GatewayTimeout"},
		"sinch":   {sinchMessages, "Bearer ", sinchBody(""), "status", "DEADLINE_EXCEEDED"},
		"imkit":   {"/messages/batch", "Bearer ", imkitTwo, "RM", "Temporal did not answer: batch b7 may have started, its status says whether it has"},
		"bluesky": {blueskyBatch, "Bearer ", three, "error", "UpstreamTimeout"},
	} {
		t.Run(name, func(t *testing.T) {
			post := func(headers ...string) reply {
				return b.call("POST", c.target, c.body, append(headers, asJSON, "IM-API-KEY: "+acmeKey, "Authorization: "+c.scheme+acmeKey)...)
			}
			r := post()
			require.Equal(t, c.code, r.json(http.StatusGatewayTimeout)[c.field])
			require.Contains(t, r.Body.String(), "batch b7 may have started")
			require.Equal(t, "b7", r.Header().Get("Volley-Batch-Id"))
			require.Empty(t, r.Header().Get("Retry-After"), "nobody is to send it again")
			require.NotContains(t, r.Body.String(), "RetryInfo")

			r = post("Idempotency-Key: k")
			require.Equal(t, http.StatusGatewayTimeout, r.Code)
			require.Equal(t, "5", r.Header().Get("Retry-After"), "the key makes it the same batch")
			require.Equal(t, name == "sinch", strings.Contains(r.Body.String(), "RetryInfo"))
		})
	}
	r := b.acme("POST", "/v1/batches?id=b7", one)
	require.Equal(t, "b7", r.json(http.StatusGatewayTimeout)["batch"])
	require.Equal(t, "5", r.Header().Get("Retry-After"))
}

func TestAStreamOfWhichNobodyCanSayNamesItsBatch(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.start = &starter.MayHaveStartedError{Ref: starter.Ref{Tenant: "acme", ID: "b7"}, Cause: context.DeadlineExceeded}
	rows := "to\n" + strings.Repeat("+15550001111\n", 40_000)
	r := b.acme("POST", "/v1/batches?text=hi", rows)
	require.Equal(t, "may_have_started", r.json(http.StatusGatewayTimeout)["code"])
	require.Equal(t, "b7", r.Header().Get("Volley-Batch-Id"))
	require.Empty(t, r.Header().Get("Retry-After"))
}

// A client that left before the answer asks again, and gets the same batch.
func TestASubmitWhoseClientHasGoneIsExpectedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ target, body string }{
		"whole":    {"/v1/batches", one},
		"streamed": {"/v1/batches?text=hi", "to,x\n" + strings.Repeat("+15550001111,"+strings.Repeat("x", 100)+"\n", 40_000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newEnv(t, nil)
			ctx, leave := context.WithCancel(t.Context())
			b.starting = leave
			r := b.callWith(ctx, "POST", c.target, c.body, "Authorization: Bearer "+acmeKey)
			require.Equal(t, []string{"new-0"}, b.expected, r.Body.String())
		})
	}
}
