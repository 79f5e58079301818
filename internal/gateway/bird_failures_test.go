package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/starter"
)

func TestBirdsFailuresHaveBirdsShape(t *testing.T) {
	t.Parallel()
	ok := birdText("+15550001111")
	for name, c := range map[string]struct {
		method, target, body string
		headers              []string
		status               int
		code, text           string
	}{
		"unreadable":           {body: `{"messageRequests":[`, status: 400, code: "InvalidPayload", text: "JSON"},
		"empty":                {body: "", status: 400, code: "InvalidPayload", text: "empty"},
		"no object":            {body: "[]", status: 400, code: "InvalidPayload", text: "an object"},
		"no message":           {body: `{"messageRequests":[]}`, status: 400, code: "InvalidPayload", text: "messageRequests: "},
		"too many":             {body: birdText(make([]string, 101)...), status: 400, code: "InvalidPayload", text: "messageRequests: "},
		"a long key":           {body: ok, headers: []string{"Idempotency-Key: " + strings.Repeat("k", 256)}, status: 400, code: "InvalidPayload", text: "Idempotency-Key"},
		"no key":               {body: ok, headers: []string{"Authorization: "}, status: 401, code: "Unauthorized", text: "key"},
		"another scheme":       {body: ok, headers: []string{"Authorization: Bearer " + acmeKey}, status: 401, code: "Unauthorized", text: "key"},
		"an unknown key":       {body: ok, headers: []string{"Authorization: AccessKey nobody"}, status: 401, code: "Unauthorized", text: "key"},
		"a key for others":     {body: ok, headers: []string{"Authorization: AccessKey " + otherKey}, status: 403, code: "Forbidden", text: "bird"},
		"an unknown workspace": {target: "/workspaces/" + elsewhere + "/channels/" + channel + "/batch/messages", body: ok, status: 404, code: "NotFound", text: "workspace"},
		"an unknown channel":   {target: "/workspaces/" + workspace + "/channels/" + elsewhere + "/batch/messages", body: ok, status: 404, code: "NotFound", text: "channel"},
		"an unknown path":      {target: birdChannel + "/media", body: ok, status: 404, code: "NotFound", text: "POST " + birdChannel},
		"an unlisted channel":  {method: "GET", target: "/workspaces/" + workspace + "/channels/" + elsewhere + "/messages", status: 404, code: "NotFound", text: "channel"},
		"reading a submit":     {method: "GET", status: 405, code: "MethodNotAllowed", text: "POST"},
		"changing a message":   {method: "DELETE", target: birdChannel + "/messages/" + elsewhere, status: 405, code: "MethodNotAllowed", text: "GET"},
		"a single send":        {target: birdChannel + "/messages", body: ok, status: 405, code: "MethodNotAllowed", text: "GET"},
		"too large":            {body: `{"messageRequests":[{"a":"` + strings.Repeat("x", 2<<20) + `"}]}`, status: 413, code: "RequestEntityTooLarge", text: "large"},
		"a form":               {body: ok, headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 415, code: "UnsupportedMediaType", text: "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBirdEnv(t, func(o *gateway.Options) { o.Tenants[1].Dialects = []string{"volley"} })
			if c.method == "" {
				c.method = "POST"
			}
			if c.target == "" {
				c.target = birdSubmit
			}
			if len(c.headers) == 0 || !strings.HasPrefix(c.headers[0], "Authorization") {
				c.headers = append(c.headers, "Authorization: AccessKey "+acmeKey)
			}
			doc := b.call(c.method, c.target, c.body, c.headers...).json(c.status)
			require.Equal(t, c.code, doc["code"])
			require.Contains(t, doc["message"], c.text)
			require.NotContains(t, doc, "details")
			require.Empty(t, b.batches)
		})
	}
}

func TestWhatIsWrongWithABirdRequestIsToldByField(t *testing.T) {
	t.Parallel()
	b := newBirdEnv(t, nil)
	for body, fields := range map[string][]string{
		`{}`:                                     {"messageRequests"},
		`{"messageRequests":null}`:               {"messageRequests"},
		`{"messageRequests":{}}`:                 {"messageRequests"},
		`{"messageRequests":[],"x":1,"y.z":2}`:   {"messageRequests", "x", `["y.z"]`},
		`{"messageRequests":[1],"MessageReq":1}`: {"MessageReq"},
	} {
		doc := b.bird("POST", birdSubmit, body).json(http.StatusUnprocessableEntity)
		require.Equal(t, "InvalidPayload", doc["code"])
		details := doc["details"].(map[string]any)
		require.Len(t, details, len(fields), body)
		for _, f := range fields {
			require.NotEmpty(t, details[f], body)
		}
	}
	require.Empty(t, b.batches)
}

func TestTroubleOfOursIsToldToBirdsClients(t *testing.T) {
	t.Parallel()
	b := newBirdEnv(t, func(o *gateway.Options) { o.Tenants[0].Rate = 1 })
	doc := b.bird("POST", birdSubmit, birdText("+15550001111")).json(http.StatusAccepted)
	r := b.bird("POST", birdSubmit, birdText("+15550001111"))
	require.Equal(t, "TooManyRequests", r.json(http.StatusTooManyRequests)["code"])
	require.Equal(t, "1", r.Header().Get("Retry-After"))
	b.list = func(starter.ListQuery) (starter.Batches, error) {
		return starter.Batches{}, fmt.Errorf("list: %w", starter.ErrUnreachable)
	}
	r = b.bird("GET", birdChannel+"/messages", "")
	require.Equal(t, "ServiceUnavailable", r.json(http.StatusServiceUnavailable)["code"])
	require.Equal(t, "5", r.Header().Get("Retry-After"))
	b.list = func(starter.ListQuery) (starter.Batches, error) { return starter.Batches{}, fmt.Errorf("a secret") }
	r = b.bird("GET", birdChannel+"/messages", "")
	require.Equal(t, "InternalError", r.json(http.StatusInternalServerError)["code"])
	require.NotContains(t, r.Body.String(), "secret")
	require.NotEmpty(t, doc["id"])
}
