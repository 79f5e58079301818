package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/starter"
)

func document(t *testing.T) *openapi3.T {
	t.Helper()
	raw, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	return doc
}

// Every operation of the document is called, and each of the answers is one that the
// document allows; so are the requests, unless they are meant to be wrong.
func TestTheDocumentDescribesWhatIsServed(t *testing.T) {
	t.Parallel()
	doc := document(t)
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	b := newEnv(t, func(o *gateway.Options) {
		withList(&listed{})(o)
		o.Index, o.Persons = &fakeIndex{}, &forgotten{}
	})
	b.acme("POST", "/v1/batches?id=b1", `{"text":"hi ${n}","metadata":{"k":"v"},"messages":[{"to":"+15550001111","params":{"n":"1"}},{"to":"+15550002222"}]}`)
	b.states[starter.Ref{Tenant: "acme", ID: "open"}] = message.BatchRunning
	called := map[string]bool{}
	for _, c := range []struct {
		call, body string
		status     int
		wrong      bool
		headers    []string
	}{
		{call: "POST /v1/batches?id=b2", body: one, status: 202},
		{call: "POST /v1/batches?id=b2", body: one, status: 200},
		{call: "POST /v1/batches?id=b2", body: strings.Replace(one, "hi", "ho", 1), status: 409},
		{call: "POST /v1/batches?dialect=smtp", body: one, status: 400, wrong: true},
		{call: "POST /v1/batches", body: `{"messages":[]}`, status: 422},
		{call: "POST /v1/batches", body: one, status: 202, headers: []string{"Idempotency-Key: k"}},
		{call: "POST /v1/batches:validate?preview=5&id=b9", body: one, status: 200},
		{call: "POST /v1/batches:validate", body: `{"text":"hi","messages":[{"to":"+15550001111"},{}]}`, status: 200},
		{call: "POST /v1/batches:validate?preview=21", body: one, status: 400, wrong: true},
		{call: "POST /v1/batches:test?to=%2B15550009999&sample=1", body: one, status: 202},
		{call: "POST /v1/batches:test?to=%2B15550009999", body: one, status: 202, headers: []string{"Idempotency-Key: k"}},
		{call: "POST /v1/batches:test?to=%2B15550009999", body: one, status: 200, headers: []string{"Idempotency-Key: k"}},
		{call: "POST /v1/batches:test?to=%2B15550009999", body: `{"messages":[]}`, status: 422},
		{call: "POST /v1/batches:test", body: one, status: 400, wrong: true},
		{call: "GET /v1/batches", status: 200},
		{call: "POST /v1/suppressions", body: `{"recipients":["+15550009999"],"reason":"asked","until":"90d"}`, status: 200},
		{call: "POST /v1/suppressions", body: `{"recipient":"+15550009999","everybody":true}`, status: 403},
		{call: "POST /v1/suppressions", body: `{}`, status: 422},
		{call: "GET /v1/suppressions?limit=5", status: 200},
		{call: "GET /v1/suppressions?recipient=%2B15550009999", status: 200},
		{call: "DELETE /v1/suppressions?recipient=%2B15550009999", status: 200},
		{call: "POST /v1/persons:forget", body: `{"person":"c-4001","dryRun":true}`, status: 200},
		{call: "POST /v1/persons:forget", body: `{"person":"+15550009999"}`, status: 200},
		{call: "POST /v1/persons:forget", body: `{"person":""}`, status: 422, wrong: true},
		{call: "POST /v1/persons:export", body: `{"person":"+15550009999"}`, status: 200},
		{call: "GET /v1/batches?state=running&limit=5&counts=true", status: 200},
		{call: "GET /v1/batches/b1", status: 200},
		{call: "POST /v1/batches?id=b3&text=Hi&map=to%3Dphone&ignoreColumns=a&skipIf=c%3D1", status: 202, body: "phone,c,send_at\n+15550001111,1,x\n+15550002222,2,y\n"},
		{call: "GET /v1/batches/nobody", status: 404},
		{call: "GET /v1/batches/b1/messages?limit=1", status: 200},
		{call: "GET /v1/batches/b1/messages?state=sent&since=1", status: 200},
		{call: "GET /v1/batches/b1/messages/0", status: 200},
		{call: "GET /v1/batches/b1/messages/7", status: 404},
		{call: "GET /v1/batches/b1/results", status: 200},
		{call: "GET /v1/batches/b1/results?format=csv", status: 200},
		{call: "GET /v1/batches/b1/events", status: 200},
		{call: "GET /v1/batches/b1/events", status: 204, headers: []string{"Last-Event-ID: 99"}},
		{call: "POST /v1/batches/b1:cancel", status: 200, body: `{"reason":"wrong price","messages":["0"]}`},
		{call: "POST /v1/batches/b1:pause", status: 200},
		{call: "POST /v1/batches/b1:resume", status: 200},
		{call: "POST /v1/batches/b1:reschedule", status: 200, body: `{"sendAfter":"10m"}`},
		{call: "POST /v1/batches/b1:reschedule", status: 422, wrong: true, body: `{"sendAfter":""}`},
		{call: "GET /v1/messages?q=c-1&state=sent&limit=5", status: 200},
		{call: "GET /v1/messages", status: 400},
		{call: "GET /v1/stats?by=day&since=3d", status: 200},
		{call: "GET /v1/stuck?for=1m", status: 200},
		{call: "GET /v1/audit?since=12h", status: 200},
		{call: "GET /v1/accounts", status: 200},
		{call: "POST /v1/accounts/hook:hold", status: 200, body: `{"for":"1h","reason":"rotation"}`},
		{call: "POST /v1/accounts/hook:release", status: 200},
		{call: "POST /v1/holds", status: 200, body: `{"meta":"campaign=spring","priority":"3-5"}`},
		{call: "POST /v1/holds", status: 403, body: `{"all":true}`},
		{call: "POST /v1/holds:release", status: 200, body: `{"meta":"campaign=spring"}`},
		{call: "POST /v1/batches/b1:redrive", status: 202, body: `{"states":["failed"],"id":"again"}`},
		{call: "POST /v1/batches/b1:redrive", status: 200, body: `{"states":["failed"],"id":"again"}`},
	} {
		t.Run(fmt.Sprintf("%s %d", c.call, c.status), func(t *testing.T) {
			method, target, _ := strings.Cut(c.call, " ")
			headers := append(c.headers, "Authorization: Bearer "+acmeKey)
			if c.body != "" {
				headers = append(headers, "Content-Type: application/json")
			}
			r := b.call(method, target, c.body, headers...)
			require.Equal(t, c.status, r.Code, r.Body.String())
			called[conforms(t, router, method, target, c.body, headers, r, c.wrong)] = true
		})
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			require.True(t, called[op.OperationID], "%s %s was not called", method, path)
		}
	}
}

// conforms holds a request and its answer to the document, and names the operation.
func conforms(t *testing.T, router routers.Router, method, target, body string, headers []string, r reply, wrong bool) string {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	route, params, err := router.FindRoute(req)
	require.NoError(t, err)
	in := &openapi3filter.RequestValidationInput{
		Request: req, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if !wrong {
		require.NoError(t, openapi3filter.ValidateRequest(t.Context(), in))
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: r.Code, Header: r.Header(), Options: in.Options,
	}
	switch strings.Split(r.Header().Get("Content-Type"), ";")[0] {
	case "application/json", "application/problem+json":
		out.Body = io.NopCloser(bytes.NewReader(r.Body.Bytes()))
		require.NoError(t, openapi3filter.ValidateResponse(t.Context(), out))
	case "application/jsonl":
		for line := range strings.Lines(r.Body.String()) {
			header := r.Header().Clone()
			header.Set("Content-Type", "application/json")
			schema := route.Operation.Responses.Status(r.Code).Value.Content["application/jsonl"].Schema.Value
			require.NotNil(t, schema)
			require.Contains(t, line, `"index":`)
		}
	default:
		require.NotNil(t, route.Operation.Responses.Status(r.Code), "status %d", r.Code)
	}
	return route.Operation.OperationID
}

// What redocly and spectral ask for with their recommended rules.
func TestTheDocumentExplainsItself(t *testing.T) {
	t.Parallel()
	doc := document(t)
	require.NotEmpty(t, doc.Servers)
	for _, s := range doc.Servers {
		require.NotEmpty(t, s.URL)
	}
	require.NotNil(t, doc.Info.Contact)
	require.NotEmpty(t, doc.Info.Description)
	for _, tag := range doc.Tags {
		require.NotEmpty(t, tag.Description, tag.Name)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			require.NotEmpty(t, op.Summary, "%s %s", method, path)
			require.NotEmpty(t, op.Description, "%s %s", method, path)
			require.Len(t, op.Tags, 1, "%s %s", method, path)
			require.NotNil(t, doc.Tags.Get(op.Tags[0]), "%s %s", method, path)
		}
	}
}

// Every route of the own API is in the document, and the other way round.
func TestEveryRouteOfTheOwnAPIIsInTheDocument(t *testing.T) {
	t.Parallel()
	served := map[string]bool{}
	for _, pattern := range gateway.New(gateway.Options{Batches: newFake()}).Patterns() {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok || !slices.ContainsFunc([]string{"/v1/batches", "/v1/accounts", "/v1/holds", "/v1/messages", "/v1/stats", "/v1/stuck", "/v1/audit", "/v1/suppressions", "/v1/persons"}, func(p string) bool { return strings.HasPrefix(path, p) }) {
			continue
		}
		if path == "/v1/accounts/{action}" {
			for _, action := range []string{"hold", "release"} {
				served[method+" /v1/accounts/{name}:"+action] = true
			}
			continue
		}
		if path == "/v1/batches/{action}" {
			for _, action := range []string{"cancel", "pause", "resume", "reschedule", "redrive"} {
				served[method+" /v1/batches/{id}:"+action] = true
			}
			continue
		}
		served[pattern] = true
	}
	described := map[string]bool{}
	for path, item := range document(t).Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	require.Equal(t, described, served)
}

func TestTheDocumentIsServedToEveryone(t *testing.T) {
	t.Parallel()
	r := newEnv(t, nil).call(http.MethodGet, "/openapi.json", "")
	require.Equal(t, "3.1.0", r.json(http.StatusOK)["openapi"])
}
