package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// imkit calls as the tenant acme.
func (b *testEnv) imkit(method, target, body string, headers ...string) reply {
	b.t.Helper()
	return b.call(method, target, body, append(headers, "IM-API-KEY: "+acmeKey)...)
}

const imkitTwo = `{"messageType":"text","message":"Hi $n$","extra":{"k":"$n$"},"paras":[
 {"receiver":"ann","$n$":"Ann"},{"room":"blue","receiver":"bob","$n$":"all"}]}`

// imkitResult is the result of an answer that is OK.
func imkitResult(t *testing.T, r reply) map[string]any {
	t.Helper()
	doc := r.json(http.StatusOK)
	require.EqualValues(t, 0, doc["RC"])
	require.Equal(t, "OK", doc["RM"])
	require.Len(t, doc, 3)
	return doc["result"].(map[string]any)
}

func TestAnIMKITBatchIsAnsweredWithItsCount(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	r := b.imkit("POST", "/messages/batch", imkitTwo, "Content-Type: application/json; charset=utf-8")
	require.Equal(t, map[string]any{"batchID": "new-0", "count": 2.0}, imkitResult(t, r))
	require.Equal(t, "new-0", r.Header().Get("Volley-Batch-Id"))
	require.Equal(t, "application/json", r.Header().Get("Content-Type"))
	older := b.call("POST", "/messages/batch", imkitTwo, "API_KEY: "+acmeKey)
	require.Equal(t, "new-1", imkitResult(t, older)["batchID"])
}

func TestTheMessagesOfAnIMKITBatchAreThoseThatWereSent(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		o.Accounts = append(o.Accounts, provider.Account{Name: "hook", Provider: "imkit", Sender: "support"})
	})
	imkitResult(t, b.imkit("POST", "/messages/batch", imkitTwo))
	result := imkitResult(t, b.imkit("GET", "/messages/batch?batchID=new-0", ""))
	require.EqualValues(t, 2, result["count"])
	first, second := result["data"].([]any)[0].(map[string]any), result["data"].([]any)[1].(map[string]any)
	require.Equal(t, map[string]any{
		"_id": message.KeyOf("batch-acme/new-0").MessageID(0), "messageType": "text", "message": "Hi Ann", "extra": map[string]any{"k": "Ann"},
		"push": false, "skipTotalBadge": false, "receiver": "ann", "sender": map[string]any{"_id": "support"}, "batchID": "new-0",
		"messageTimeMS": float64(now.UnixMilli()), "createdAtMS": float64(now.UnixMilli()), "updatedAtMS": float64(now.UnixMilli()),
	}, first)
	require.Equal(t, "blue", second["room"])
	require.NotContains(t, second, "receiver")

	ref := starter.Ref{Tenant: "acme", ID: "new-0"}
	all := b.rowsOf(ref, b.batches[ref])
	all[0].State = message.Sending
	all[1].State = message.Delivered
	b.rows = func(starter.Ref) []message.Row { return all }
	imkitResult(t, b.imkit("POST", "/messages/batch", imkitTwo))
	result = imkitResult(t, b.imkit("GET", "/messages/batch?batchID=new-1", ""))
	require.EqualValues(t, 1, result["count"])
	require.Equal(t, all[1].ID, result["data"].([]any)[0].(map[string]any)["_id"])
}

func TestParasWithProblemsAreNotToldAndNotSent(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	for i, c := range []struct {
		paras       string
		count, sent float64
	}{
		{`[{"receiver":"ann"},{},{"receiver":7},{"receiver":"bob","name":"x"}]`, 4, 1},
		{`[{}]`, 1, 0},
	} {
		body := `{"messageType":"text","message":"hi","paras":` + c.paras + `}`
		require.InDelta(t, c.count, imkitResult(t, b.imkit("POST", "/messages/batch", body))["count"], 0)
		result := imkitResult(t, b.imkit("GET", fmt.Sprintf("/messages/batch?batchID=new-%d", i), ""))
		require.InDelta(t, c.sent, result["count"], 0)
		require.Len(t, result["data"], int(c.sent))
	}
}

func TestTheMessagesOfALargeIMKITBatchAreOnOnePage(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Limits.IMKITParas = 1200 })
	body := strings.Replace(imkitTwo, `"paras":[`, `"paras":[`+strings.Repeat(`{"receiver":"ann"},`, 1198), 1)
	require.EqualValues(t, 1200, imkitResult(t, b.imkit("POST", "/messages/batch", body))["count"])
	result := imkitResult(t, b.imkit("GET", "/messages/batch?batchID=new-0", ""))
	require.EqualValues(t, 1200, result["count"])
	require.Len(t, result["data"], 1200)
}

func TestARepeatedIMKITBatchHasTheSameAnswer(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	first := b.imkit("POST", "/messages/batch", imkitTwo, "Idempotency-Key: k1")
	again := b.imkit("POST", "/messages/batch", imkitTwo, "Idempotency-Key: k1")
	imkitResult(t, first)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, first.Header(), again.Header())
	other := b.imkit("POST", "/messages/batch", strings.Replace(imkitTwo, "Hi", "Ho", 1), "Idempotency-Key: k1").json(http.StatusConflict)
	require.EqualValues(t, http.StatusConflict, other["RC"])
	require.Equal(t, "CONFLICT", other["error"].(map[string]any)["code"])
}

func TestABatchOfAnotherTenantOrDialectIsNotThereForIMKIT(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	imkitResult(t, b.imkit("POST", "/messages/batch", imkitTwo))
	b.acme("POST", "/v1/batches?id=own", one).json(http.StatusAccepted)
	for _, c := range [][2]string{{otherKey, "new-0"}, {acmeKey, "own"}, {acmeKey, "nobody"}, {acmeKey, "no%20id"}} {
		doc := b.call("GET", "/messages/batch?batchID="+c[1], "", "IM-API-KEY: "+c[0]).json(http.StatusNotFound)
		require.EqualValues(t, http.StatusNotFound, doc["RC"])
		require.Equal(t, "NOT_FOUND", doc["error"].(map[string]any)["code"])
	}
}

func TestIMKITsFailuresHaveIMKITsShape(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, target, body string
		headers              []string
		status               int
		code, text           string
	}{
		"unreadable":         {body: `{"paras":[`, status: 400, code: "INVALID_PARAMETER", text: "JSON"},
		"no object":          {body: `[]`, status: 400, code: "INVALID_PARAMETER", text: "an object"},
		"no message type":    {body: `{"message":"hi","paras":[{"room":"r"}]}`, status: 400, code: "MISSING_PARAMETER", text: "messageType: is required"},
		"no paras":           {body: `{"messageType":"text","message":"hi"}`, status: 400, code: "MISSING_PARAMETER", text: "paras"},
		"an empty list":      {body: `{"messageType":"text","message":"hi","paras":[]}`, status: 400, code: "INVALID_PARAMETER", text: "paras"},
		"too many paras":     {body: `{"messageType":"text","message":"hi","paras":[{},{},{}]}`, status: 400, code: "INVALID_PARAMETER", text: "paras"},
		"no batch":           {method: "GET", status: 400, code: "MISSING_PARAMETER", text: "batchID"},
		"a para's as well":   {body: `{"messageType":"text","message":7,"paras":[{},{"room":"r"}]}`, status: 400, code: "INVALID_PARAMETER", text: "message: "},
		"two of the batch":   {body: `{"messageType":"text","message":7,"sender":"x","paras":[{}]}`, status: 400, code: "INVALID_PARAMETER", text: "message: "},
		"a sender":           {body: `{"messageType":"text","message":"hi","sender":"x","paras":[{"room":"r"}]}`, status: 403, code: "INSUFFICIENT_PERMISSION", text: "sender"},
		"an unknown path":    {target: "/messages/single", body: "{}", status: 404, code: "NOT_FOUND", text: "/messages/single"},
		"another method":     {method: "DELETE", status: 405, code: "METHOD_NOT_ALLOWED", text: "GET, POST"},
		"too large":          {body: `{"message":"` + strings.Repeat("x", 2<<20) + `"}`, status: 413, code: "REQUEST_ENTITY_TOO_LARGE", text: "large"},
		"a form":             {body: imkitTwo, headers: []string{"Content-Type: text/plain"}, status: 415, code: "UNSUPPORTED_MEDIA_TYPE", text: "application/json"},
		"an idempotency key": {body: imkitTwo, headers: []string{"Idempotency-Key: " + strings.Repeat("k", 256)}, status: 400, code: "INVALID_PARAMETER", text: "Idempotency-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newEnv(t, func(o *gateway.Options) { o.Limits.IMKITParas = 2 })
			if c.method == "" {
				c.method = "POST"
			}
			if c.target == "" {
				c.target = "/messages/batch"
			}
			doc := b.imkit(c.method, c.target, c.body, c.headers...).json(c.status)
			require.EqualValues(t, c.status, doc["RC"])
			failed := doc["error"].(map[string]any)
			require.Equal(t, c.code, failed["code"])
			require.Contains(t, failed["message"], c.text)
			require.Equal(t, failed["message"], doc["RM"])
			require.Empty(t, b.batches)
		})
	}
}

func TestWhatConcernsAnIMKITKeyHasAShapeOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		o.Tenants[0].Rate = 1
		o.Tenants[1].Dialects = []string{"bird"}
	})
	imkitResult(t, b.imkit("POST", "/messages/batch", imkitTwo))
	for key, c := range map[string]struct {
		status int
		code   string
		more   int
	}{
		"":       {http.StatusUnauthorized, "MISSING_API_KEY", 0},
		"nobody": {http.StatusUnauthorized, "INVALID_API_KEY", 0},
		otherKey: {http.StatusForbidden, "INSUFFICIENT_PERMISSIONS", 0},
		acmeKey:  {http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED", 1},
	} {
		r := b.call("POST", "/messages/batch", imkitTwo, "IM-API-KEY: "+key)
		doc := r.json(c.status)
		require.Equal(t, c.code, doc["error"])
		require.NotEmpty(t, doc["message"])
		require.Len(t, doc, 2+c.more)
		if c.more > 0 {
			require.EqualValues(t, 1, doc["retryAfter"])
			require.Equal(t, "1", r.Header().Get("Retry-After"))
		}
	}
}

func TestASenderIsForTenantsThatMayNameOne(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Tenants[0].MaySetSender = true })
	imkitResult(t, b.imkit("POST", "/messages/batch", `{"messageType":"text","message":"hi","sender":"desk","paras":[{"room":"r"}]}`))
	result := imkitResult(t, b.imkit("GET", "/messages/batch?batchID=new-0", ""))
	require.Equal(t, map[string]any{"_id": "desk"}, result["data"].([]any)[0].(map[string]any)["sender"])
}

func TestTroubleOfOursIsToldToIMKITsClients(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Batches = unreachable{o.Batches} })
	r := b.imkit("GET", "/messages/batch?batchID=b1", "")
	doc := r.json(http.StatusServiceUnavailable)
	require.EqualValues(t, http.StatusServiceUnavailable, doc["RC"])
	require.Equal(t, "SERVICE_UNAVAILABLE", doc["error"].(map[string]any)["code"])
	require.Equal(t, "5", r.Header().Get("Retry-After"))
}

// unreachable is a starter whose Temporal does not answer.
type unreachable struct{ gateway.Batches }

func (unreachable) Accepted(context.Context, starter.Ref) (*message.Batch, error) {
	return nil, fmt.Errorf("batch: %w", starter.ErrUnreachable)
}
