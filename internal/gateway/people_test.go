package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/gateway"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// keyOf is the key of the person who has a role, and is named like it.
func keyOf(role access.Role) string { return string(role) + "-key-0123456789" }

// people are one person of each role, and some who may see less.
func people(o *gateway.Options) {
	entries := []access.Entry{
		{Person: access.Person{Name: "narrow", Role: access.Operator, Tenants: []string{"acme"}}, Key: "narrow-key-0123456789"},
		{Person: access.Person{Name: "two", Role: access.Viewer, Tenants: []string{"acme", "other"}}, Key: "two-key-0123456789"},
		{Person: access.Person{Name: "proxied@example.com", Role: access.Sender}},
	}
	for _, role := range access.Roles() {
		entries = append(entries, access.Entry{Person: access.Person{Name: string(role), Role: role}, Key: keyOf(role)})
	}
	o.People = access.New(access.Options{
		People: entries, UserHeader: "X-Forwarded-User", From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	o.Tenants = append(o.Tenants, intake.Caller{Tenant: message.DefaultTenant, Router: o.Tenants[0].Router})
	o.Metrics = http.NotFoundHandler()
	readers, err := provider.Open(nil, provider.Options{})
	if err != nil {
		panic(err)
	}
	o.Readers, o.Reporter = readers, &reporter{}
	bsky(o)
}

// peopleEnv has the batch b of the tenant acme, with one message that failed.
func peopleEnv(t *testing.T) (b *testEnv, read func() ([]audit.Entry, string)) {
	t.Helper()
	b, read = auditEnvWith(t, people)
	b.acme("POST", "/v1/batches?id=b", `{"text":"hi","metadata":{"campaign":"spring","customer":"+4915112345678","n":4915112345678},"messages":[{"to":"+4915112345678","reference":"c-4001"},{"to":"ann.smith@example.com"}]}`)
	read()
	return b, read
}

// as calls Volley's own API as a person.
func (b *testEnv) as(role access.Role, method, target, body string, headers ...string) reply {
	b.t.Helper()
	return b.call(method, target, body, append(headers, "Authorization: Bearer "+keyOf(role))...)
}

// nobody is the lowest role of what no person may.
const nobody access.Role = "nobody"

// routeNeeds is a request to each route, and the role that may least of those that may make
// it; empty needs no login.
func routeNeeds() map[string][]struct {
	path, body string
	lowest     access.Role
} {
	type q = struct {
		path, body string
		lowest     access.Role
	}
	bird := "/workspaces/" + workspace + "/channels/" + channel
	sinch := "/v1/projects/" + project + "/messages"
	return map[string][]q{
		"GET /healthz":                            {{path: "/healthz"}},
		"GET /readyz":                             {{path: "/readyz"}},
		"GET /openapi.json":                       {{path: "/openapi.json"}},
		"GET /metrics":                            {{path: "/metrics"}},
		"POST /reports/{account}":                 {{path: "/reports/x"}},
		"GET /v1/batches":                         {{path: "/v1/batches?tenant=acme", lowest: access.Viewer}},
		"GET /v1/batches/{id}":                    {{path: "/v1/batches/b?tenant=acme", lowest: access.Viewer}},
		"GET /v1/batches/{id}/messages":           {{path: "/v1/batches/b/messages?tenant=acme", lowest: access.Viewer}, {path: "/v1/batches/b/messages?tenant=acme&to=%2B4915112345678", lowest: access.Support}},
		"GET /v1/batches/{id}/messages/{message}": {{path: "/v1/batches/b/messages/0?tenant=acme", lowest: access.Support}},
		"GET /v1/batches/{id}/results":            {{path: "/v1/batches/b/results?tenant=acme", lowest: access.Viewer}, {path: "/v1/batches/b/results?tenant=acme&reference=c-4001", lowest: access.Support}},
		"GET /v1/batches/{id}/events":             {{path: "/v1/batches/b/events?tenant=acme", lowest: access.Viewer}},
		"POST /v1/batches":                        {{path: "/v1/batches?tenant=acme", body: one, lowest: access.Sender}},
		"POST /v1/batches:validate":               {{path: "/v1/batches:validate?tenant=acme", body: one, lowest: access.Sender}},
		"POST /v1/batches:test":                   {{path: "/v1/batches:test?tenant=acme&to=%2B15550009999", body: one, lowest: access.Sender}},
		"GET /v1/messages":                        {{path: "/v1/messages?tenant=acme&q=x", lowest: access.Support}},
		"GET /v1/stats":                           {{path: "/v1/stats?tenant=acme", lowest: access.Viewer}},
		"GET /v1/stuck":                           {{path: "/v1/stuck?tenant=acme", lowest: access.Viewer}},
		"GET /v1/audit":                           {{path: "/v1/audit?tenant=acme", lowest: access.Operator}},
		"POST /v1/batches/{action}": {
			{path: "/v1/batches/b:cancel?tenant=acme", body: `{"to":"+4915112345678"}`, lowest: access.Support},
			{path: "/v1/batches/b:cancel?tenant=acme", body: `{"reference":"c-4001"}`, lowest: access.Support},
			{path: "/v1/batches/b:cancel?tenant=acme", body: `{"messages":["0"]}`, lowest: access.Support},
			{path: "/v1/batches/b:cancel?tenant=acme", body: `{"messages":["0","1"]}`, lowest: access.Operator},
			{path: "/v1/batches/b:cancel?tenant=acme", body: `{"state":"scheduled"}`, lowest: access.Operator},
			{path: "/v1/batches/b:cancel?tenant=acme", lowest: access.Operator},
			{path: "/v1/batches/b:pause?tenant=acme", lowest: access.Operator},
			{path: "/v1/batches/b:resume?tenant=acme", lowest: access.Operator},
			{path: "/v1/batches/b:reschedule?tenant=acme", body: `{"sendAfter":"10m"}`, lowest: access.Operator},
			{path: "/v1/batches/b:redrive?tenant=acme", lowest: access.Operator},
			{path: "/v1/batches/b:frobnicate?tenant=acme", lowest: nobody},
			{path: "/v1/batches/b?tenant=acme", lowest: nobody},
		},
		"GET /v1/accounts": {{path: "/v1/accounts", lowest: access.Viewer}},
		"POST /v1/accounts/{action}": {
			{path: "/v1/accounts/hook:hold", lowest: access.Operator},
			{path: "/v1/accounts/hook:release", lowest: access.Operator},
		},
		"POST /v1/holds":         {{path: "/v1/holds", body: `{"all":true}`, lowest: access.Operator}},
		"POST /v1/holds:release": {{path: "/v1/holds:release", body: `{"all":true}`, lowest: access.Operator}},

		"GET /v1/suppressions":    {{path: "/v1/suppressions?tenant=acme", lowest: access.Viewer}, {path: "/v1/suppressions?tenant=acme&recipient=%2B15550009999", lowest: access.Support}},
		"POST /v1/suppressions":   {{path: "/v1/suppressions?tenant=acme", body: `{"recipient":"+15550009999"}`, lowest: access.Operator}},
		"DELETE /v1/suppressions": {{path: "/v1/suppressions?recipient=%2B15550009999&tenant=acme", lowest: access.Operator}},
		"POST /v1/persons:forget": {{path: "/v1/persons:forget?tenant=acme", body: `{"person":"+15550009999","dryRun":true}`, lowest: access.Operator}},
		"POST /v1/persons:export": {{path: "/v1/persons:export?tenant=acme", body: `{"person":"+15550009999"}`, lowest: access.Operator}},

		"POST /workspaces/{workspaceId}/channels/{channelId}/batch/messages": {{path: bird + "/batch/messages", lowest: nobody}},
		"GET /workspaces/{workspaceId}/channels/{channelId}/messages":        {{path: bird + "/messages", lowest: nobody}},
		"GET /workspaces/{workspaceId}/channels/{channelId}/messages/{id}":   {{path: bird + "/messages/x", lowest: nobody}},
		"GET /workspaces/{workspaceId}/messages/{id}":                        {{path: "/workspaces/" + workspace + "/messages/x", lowest: nobody}},
		"POST /messages/batch":                              {{path: "/messages/batch", lowest: nobody}},
		"GET /messages/batch":                               {{path: "/messages/batch", lowest: nobody}},
		"POST /v1/projects/{project_id}/messages":           {{path: sinch, lowest: nobody}},
		"GET /v1/projects/{project_id}/messages":            {{path: sinch, lowest: nobody}},
		"DELETE /v1/projects/{project_id}/messages":         {{path: sinch, lowest: nobody}},
		"GET /v1/projects/{project_id}/messages/{batch_id}": {{path: sinch + "/b", lowest: nobody}},
		"POST /oauth2/token":                                {{path: "/oauth2/token", body: "grant_type=client_credentials&client_secret=KEY", lowest: nobody}},
		"POST /xrpc/chat.bsky.convo.sendMessageBatch":       {{path: "/xrpc/chat.bsky.convo.sendMessageBatch", lowest: nobody}},
		"POST /xrpc/chat.bsky.convo.sendMessage":            {{path: "/xrpc/chat.bsky.convo.sendMessage", lowest: nobody}},
		"POST /xrpc/com.atproto.server.createSession":       {{path: "/xrpc/com.atproto.server.createSession", body: `{"identifier":"x","password":"KEY"}`, lowest: nobody}},
		"POST /xrpc/com.atproto.server.refreshSession":      {{path: "/xrpc/com.atproto.server.refreshSession", lowest: nobody}},
		"GET /xrpc/com.atproto.server.getSession":           {{path: "/xrpc/com.atproto.server.getSession", lowest: nobody}},
	}
}

func TestEachRouteIsForTheRolesThatMay(t *testing.T) {
	t.Parallel()
	b, _ := peopleEnv(t)
	needs := routeNeeds()
	calls := 0
	call := func(method, path, body string, headers ...string) *httptest.ResponseRecorder {
		calls++ // each from another address, so that none is slowed down
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.RemoteAddr = fmt.Sprintf("198.18.%d.%d:1000", calls/250, calls%250)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		b.g.ServeHTTP(w, r)
		return w
	}
	for _, pattern := range b.g.Patterns() {
		method, _, ok := strings.Cut(pattern, " ")
		if !ok { // it answers 404 or 405, whoever asks
			continue
		}
		require.Contains(t, needs, pattern, "say in routeNeeds and in internal/access who may use it")
		for _, q := range needs[pattern] {
			for i, role := range access.Roles() {
				key := keyOf(role)
				r := call(method, q.path, strings.ReplaceAll(q.body, "KEY", key), asFormOrJSON(q.path),
					"Authorization: Bearer "+key, "IM-API-KEY: "+key)
				if strings.Contains(pattern, "/workspaces/") {
					r = call(method, q.path, q.body, "Authorization: AccessKey "+key)
				}
				what := string(role) + ": " + method + " " + q.path + " " + q.body + " " + r.Body.String()
				switch {
				case q.lowest == nobody:
					require.Contains(t, []int{http.StatusUnauthorized, http.StatusBadRequest, http.StatusNotFound}, r.Code, what)
				case q.lowest != "" && i < slices.Index(access.Roles(), q.lowest):
					require.Equal(t, http.StatusForbidden, r.Code, what)
					require.Contains(t, r.Body.String(), `"code":"forbidden"`)
				default:
					require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, r.Code, what)
				}
			}
			r := call(method, q.path, q.body, asFormOrJSON(q.path))
			if q.lowest == "" {
				require.NotEqual(t, http.StatusForbidden, r.Code, q.path)
			} else {
				require.Contains(t, []int{http.StatusUnauthorized, http.StatusBadRequest}, r.Code, "without a login: %s", q.path)
			}
		}
	}
	for pattern := range needs {
		require.Contains(t, b.g.Patterns(), pattern)
	}
}

func asFormOrJSON(path string) string {
	if strings.HasPrefix(path, "/oauth2/") {
		return "Content-Type: application/x-www-form-urlencoded"
	}
	return asJSON
}

// What a refused person asked for was not done.
func TestWhatARoleMayNotIsNotDone(t *testing.T) {
	t.Parallel()
	b, read := peopleEnv(t)
	canceled := 0
	b.fake.cancel = func(starter.Ref, message.CancelRequest) (message.CancelResult, error) {
		canceled++
		return message.NewCancelResult("b"), nil
	}
	b.as(access.Viewer, "POST", "/v1/batches/b:cancel?tenant=acme", `{"to":"+4915112345678"}`).json(http.StatusForbidden)
	b.as(access.Support, "POST", "/v1/batches/b:cancel?tenant=acme", "").json(http.StatusForbidden)
	b.as(access.Sender, "POST", "/v1/batches/b:cancel?tenant=acme", "").json(http.StatusForbidden)
	require.Zero(t, canceled)
	b.as(access.Support, "POST", "/v1/batches?tenant=acme&id=x", one).json(http.StatusForbidden)
	require.Len(t, b.requests, 1)
	b.as(access.Sender, "POST", "/v1/holds", `{"all":true}`).json(http.StatusForbidden)
	require.Empty(t, b.holds)
	entries, text := read()
	require.Len(t, entries, 5, text)
	for _, e := range entries {
		require.Equal(t, "forbidden", e.Result, text)
		require.NotEmpty(t, e.Role, text)
		require.Equal(t, e.Role, e.Actor)
	}
}

func TestASenderControlsTheBatchesThatItStarted(t *testing.T) {
	t.Parallel()
	b, read := peopleEnv(t)
	b.as(access.Sender, "POST", "/v1/batches?tenant=acme&id=own", one).json(http.StatusAccepted)
	require.Equal(t, "sender", b.batches[starter.Ref{Tenant: "acme", ID: "own"}].StartedBy)
	entries, text := read()
	require.Len(t, entries, 1, text)
	require.Equal(t, []string{"start", "sender", "sender", "acme"}, []string{entries[0].Action, entries[0].Actor, entries[0].Role, entries[0].Tenant})
	for _, action := range []string{"pause", "resume", "cancel"} {
		b.as(access.Sender, "POST", "/v1/batches/own:"+action+"?tenant=acme", "").json(http.StatusOK)
		doc := b.as(access.Sender, "POST", "/v1/batches/b:"+action+"?tenant=acme", "").json(http.StatusForbidden)
		require.Contains(t, doc["detail"], "somebody else started the batch")
		b.as(access.Operator, "POST", "/v1/batches/own:"+action+"?tenant=acme", "").json(http.StatusOK)
	}
	b.as(access.Sender, "POST", "/v1/batches/own:reschedule?tenant=acme", `{"sendAfter":"10m"}`).json(http.StatusOK)
	require.Equal(t, http.StatusNotFound, b.as(access.Sender, "POST", "/v1/batches/none:pause?tenant=acme", "").Code)
	lines := strings.Repeat(`{"to":"+15550001111"}`+"\n", 60_000)
	b.as(access.Sender, "POST", "/v1/batches?tenant=acme&id=large", `{"text":"hi"}`+"\n"+lines).json(http.StatusAccepted)
	require.Equal(t, "sender", b.batches[starter.Ref{Tenant: "acme", ID: "large"}].StartedBy, "one that is read message by message")
}

func TestAPersonAsksAboutATenantThatItMaySee(t *testing.T) {
	t.Parallel()
	b, _ := peopleEnv(t)
	status := func(key, query string) int {
		return b.call("GET", "/v1/batches/b"+query, "", "Authorization: Bearer "+key).Code
	}
	const narrow, two = "narrow-key-0123456789", "two-key-0123456789"
	require.Equal(t, http.StatusOK, status(narrow, ""), "the only one needs no name")
	require.Equal(t, http.StatusOK, status(narrow, "?tenant=acme"))
	require.Equal(t, http.StatusForbidden, status(narrow, "?tenant=other"))
	require.Equal(t, http.StatusForbidden, status(narrow, "?tenant=nobody"))
	require.Equal(t, http.StatusForbidden, status(two, ""), "the default tenant is none of its own")
	require.Equal(t, http.StatusNotFound, status(two, "?tenant=other"))
	viewer := keyOf(access.Viewer)
	require.Equal(t, http.StatusNotFound, status(viewer, ""), "the default tenant has no batch b")
	require.Equal(t, http.StatusNotFound, status(viewer, "?tenant=nobody"))
	require.Equal(t, http.StatusBadRequest, status(viewer, "?tenant="))
	require.Equal(t, http.StatusBadRequest, status(viewer, "?tenant=acme&tenant=other"))
	require.Equal(t, http.StatusBadRequest, status(acmeKey, "?tenant=acme"), "a tenant's key is that tenant's")
	require.Equal(t, http.StatusBadRequest, status(viewer, "?tenant=acme&x=1"))

	// An operator of one tenant holds that tenant's messages, and no others.
	hold := func(body string) reply {
		return b.call("POST", "/v1/holds", body, "Authorization: Bearer "+narrow)
	}
	hold(`{"all":true}`).json(http.StatusForbidden)
	hold(`{"tenant":"other"}`).json(http.StatusForbidden)
	hold(`{"account":"hook"}`).json(http.StatusOK)
	require.Equal(t, "acme", b.holds[0].(starter.HoldRequest).ByTenant)
	b.as(access.Operator, "POST", "/v1/holds", `{"tenant":"other"}`).json(http.StatusOK)
	require.Empty(t, b.holds[1].(starter.HoldRequest).ByTenant)
}

func TestAViewerSeesNoRecipientInAnyAnswer(t *testing.T) {
	t.Parallel()
	b, _ := peopleEnv(t)
	reference := "c-4001"
	b.fake.rows = func(starter.Ref) []message.Row {
		return []message.Row{
			{
				Index: 0, ID: "i0", To: "+4915112345678", Given: "0151 12345678", Reference: &reference, State: message.Failed, ProviderID: "wamid.HBgNNDkxNTExMjM0NTY3OA",
				Code: "not_in_service", Detail: "0151 12345678 (c-4001) is not in service", Rev: 1,
			},
			{Index: 1, ID: "i1", To: "ann.smith@example.com", State: message.Sent, Detail: "to ann.smith@example.com", Rev: 2},
		}
	}
	b.fake.status = func(ref starter.Ref) (message.Status, error) {
		counts := message.Counts{message.Sent: 1, message.Failed: 1}
		return message.Status{
			ID: ref.ID, Tenant: ref.Tenant, State: message.BatchCompleted, Total: 2, Counts: &counts, AsOf: now, Rev: 2,
			Metadata: json.RawMessage(`{"campaign":"spring","day":"2026-12-01","customer":"+4915112345678","list":[4915112345678]}`),
			Reasons:  message.Reasons{{State: message.Failed, Code: "not_in_service", Count: 1, Detail: "+4915112345678 is not in service"}},
		}, nil
	}
	personal := []string{"15112345678", "0151", "ann.smith", "c-4001", "wamid"}
	for _, path := range []string{
		"/v1/batches", "/v1/batches?counts=true", "/v1/batches/b", "/v1/batches/b/messages", "/v1/batches/b/messages?state=failed",
		"/v1/batches/b/results", "/v1/batches/b/results?format=csv", "/v1/batches/b/results?format=csv&raw=true",
		"/v1/batches/b/events", "/v1/batches/b/events?messages=true",
	} {
		query := path + "?tenant=acme"
		if strings.Contains(path, "?") {
			query = path + "&tenant=acme"
		}
		seen := b.as(access.Viewer, "GET", query, "")
		require.Equal(t, http.StatusOK, seen.Code, seen.Body)
		for _, s := range personal {
			require.NotContains(t, seen.Body.String(), s, path)
		}
		require.Contains(t, seen.Body.String(), "not_in_service", path)
		whole := b.as(access.Support, "GET", query, "").Body.String()
		require.Contains(t, whole, "15112345678", "support sees them: %s", path)
		if strings.Contains(path, "/messages") || strings.Contains(path, "/results") {
			require.Contains(t, seen.Body.String(), "+49***78", path)
			require.Equal(t, !strings.Contains(path, "state="), strings.Contains(seen.Body.String(), "a***@example.com"), path)
		} else if !strings.Contains(path, "counts") {
			require.Contains(t, seen.Body.String(), `"day":"2026-12-01"`)
		}
	}
	require.Contains(t, b.acme("GET", "/v1/batches/b/messages", "").Body.String(), "+4915112345678", "a tenant's key sees its own")
}

func TestATrustedProxySaysWhoSomebodyIs(t *testing.T) {
	t.Parallel()
	b, read := peopleEnv(t)
	call := func(from, method, target, body string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		r.RemoteAddr = from
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		w := httptest.NewRecorder()
		b.g.ServeHTTP(w, r)
		return w
	}
	const proxy, user = "192.0.2.9:1000", "X-Forwarded-User: proxied@example.com"
	require.Equal(t, http.StatusOK, call(proxy, "GET", "/v1/batches/b?tenant=acme", "", user).Code)
	w := call(proxy, "POST", "/v1/batches?tenant=acme&id=p", one, user)
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	entries, text := read()
	require.Len(t, entries, 1, text)
	require.Equal(t, []string{"proxied@example.com", "sender"}, []string{entries[0].Actor, entries[0].Role}, text)

	require.Equal(t, http.StatusUnauthorized, call("198.51.100.1:1000", "GET", "/v1/batches/b?tenant=acme", "", user).Code)
	require.Equal(t, http.StatusUnauthorized, call("198.51.100.1:1000", "GET", "/v1/batches/b?tenant=acme", "", user, "X-Forwarded-For: 192.0.2.9").Code)
	require.Equal(t, http.StatusUnauthorized, call(proxy, "GET", "/v1/batches/b?tenant=acme", "", user, "X-Forwarded-User: operator").Code, "two names are none")
	require.Equal(t, http.StatusUnauthorized, call(proxy, "GET", "/v1/batches/b", "", "X-Forwarded-User: eve").Code)
	require.Equal(t, http.StatusUnauthorized, call(proxy, "GET", "/v1/batches/b", "", "Authorization: Bearer wrong", user).Code, "a key that is given counts")
	require.Equal(t, http.StatusUnauthorized, call(proxy, "GET", "/messages/batch", "", user).Code, "the dialects' APIs are for keys")
	read()

	w = call(proxy, "POST", "/v1/batches?tenant=acme&id=q", one, user, "Sec-Fetch-Site: cross-site")
	require.Equal(t, http.StatusForbidden, w.Code, "a browser is made to send it by another site")
	require.Contains(t, w.Body.String(), "another site")
	require.Equal(t, http.StatusForbidden, call(proxy, "POST", "/v1/batches?tenant=acme&id=q", one, user, "Origin: https://evil.example").Code)
	require.Equal(t, http.StatusAccepted, call(proxy, "POST", "/v1/batches?tenant=acme&id=q", one, user, "Sec-Fetch-Site: same-origin").Code)
}

func TestGuessesOfAPersonsKeyAreSlowedDownAndCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		counted := 0
		b := newEnv(t, func(o *gateway.Options) {
			people(o)
			o.Now = time.Now
			o.CountFailedLogin = func(string) { counted++ }
		})
		began := time.Now()
		for range 21 {
			require.Equal(t, http.StatusUnauthorized, b.call("GET", "/v1/batches", "", "Authorization: Bearer viewer-key-wrong").Code)
		}
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, 21, counted)
		began = time.Now()
		require.Equal(t, http.StatusOK, b.as(access.Viewer, "GET", "/v1/batches", "").Code)
		require.Equal(t, began, time.Now(), "who has a key is not slowed down")
		require.Equal(t, http.StatusUnauthorized, b.call("GET", "/v1/batches", "", "X-Forwarded-User: eve").Code)
		require.Equal(t, 22, counted, "a name that the proxy knows and nobody else")
	})
}

// A tenant that reads as much as it may keeps nobody from looking at it.
func TestPeopleReadWhateverTheTenantReads(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		people(o)
		o.Tenants[0].ReadRate = 1
	})
	require.Equal(t, http.StatusOK, b.acme("GET", "/v1/batches", "").Code)
	require.Equal(t, http.StatusTooManyRequests, b.acme("GET", "/v1/batches", "").Code)
	require.Equal(t, http.StatusOK, b.as(access.Viewer, "GET", "/v1/batches?tenant=acme", "").Code)
}

func TestTheDocumentDescribesWhatPeopleGet(t *testing.T) {
	t.Parallel()
	b, _ := peopleEnv(t)
	router, err := gorillamux.NewRouter(document(t))
	require.NoError(t, err)
	for _, c := range []struct {
		method, target string
		role           access.Role
		status         int
	}{
		{"GET", "/v1/batches/b?tenant=acme", access.Viewer, http.StatusOK},
		{"GET", "/v1/batches/b/messages?tenant=acme", access.Viewer, http.StatusOK},
		{"GET", "/v1/batches/b/messages/0?tenant=acme", access.Viewer, http.StatusForbidden},
		{"GET", "/v1/batches/b/messages/0?tenant=acme", access.Support, http.StatusOK},
		{"POST", "/v1/batches/b:pause?tenant=acme", access.Sender, http.StatusForbidden},
		{"GET", "/v1/accounts", access.Viewer, http.StatusOK},
	} {
		r := b.as(c.role, c.method, c.target, "")
		require.Equal(t, c.status, r.Code, r.Body)
		conforms(t, router, c.method, c.target, "", nil, r, false)
	}
}

func TestViewersReadNoRecipientInTheReasonOfAHold(t *testing.T) {
	t.Parallel()
	b := newEnv(t, people)
	require.NotContains(t, b.as(access.Viewer, "GET", "/v1/accounts", "").Body.String(), "15550001111")
	require.Contains(t, b.as(access.Operator, "GET", "/v1/accounts", "").Body.String(), "+15550001111")
}
