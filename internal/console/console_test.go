package console_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/access"
	"volley/internal/console"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

func jar() http.CookieJar {
	j, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it has no options that could be wrong
	}
	return j
}

// full is a console with everything.
func full(t *testing.T) (*site, *batches) {
	t.Helper()
	w := world()
	return serve(t, console.Options{Batches: w, Index: searched(), People: people(), ConfirmAbove: 1000}), w
}

func searched() *find {
	return &find{
		found: []index.Found{
			{Batch: "b-1", Tenant: "default", To: "+491511234567", Reference: "c-4001", Account: eu, State: message.Undelivered, Code: "UNKNOWN_SUBSCRIBER", SentAt: at(-26 * time.Hour)},
			{Batch: "b-4", Tenant: "default", To: "+491511234567", Reference: "c-9", Account: eu, State: message.Delivered, SentAt: at(-50 * time.Minute), FinishedAt: at(-49 * time.Minute)},
		},
		batches: []index.Batch{{ID: "b-4", Tenant: "default", State: message.BatchCompleted, Total: 900, Metadata: map[string]string{"campaign": "Invoices"}, FinishedAt: start.Add(-time.Hour)}},
		audit:   []index.AuditEntry{{Time: start, Action: "cancel", Actor: "ann", Result: "ok", Through: "console", Line: []byte(`{"batch":"b-4","tenant":"default","action":"cancel","reason":"` + "x" + `"}`)}},
	}
}

func TestEachPageIsForTheRolesThatMayOpenIt(t *testing.T) {
	t.Parallel()
	s, _ := full(t)
	const ok, no = http.StatusOK, http.StatusForbidden
	for role, want := range map[access.Role][]int{
		//               now, find, batches, batch, message, cancel, redrive, accounts, hold, new, log
		access.Viewer:   {ok, no, ok, ok, no, no, no, ok, no, no, no},
		access.Support:  {ok, ok, ok, ok, ok, no, no, ok, no, no, no},
		access.Sender:   {ok, ok, ok, ok, ok, http.StatusUnprocessableEntity, no, ok, no, ok, no},
		access.Operator: {ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok},
	} {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			b := s.as(t, role)
			for i, path := range []string{
				"/", "/find", "/batches", "/batches/default/b-1", "/batches/default/b-1/messages/0", "/batches/default/b-1/control/cancel", "/batches/default/b-1/control/redrive",
				"/accounts", "/holds/hold?account=sinch-eu", "/new", "/log",
			} {
				body := b.get(path, want[i])
				require.Equal(t, 1, strings.Count(body, "<h1"), path)
			}
		})
	}
}

func TestNobodyIsShownAPageWithoutALogin(t *testing.T) {
	t.Parallel()
	s, _ := full(t)
	b := s.visitor(t)
	for _, path := range []string{"/", "/find?q=x", "/batches/default/b-1", "/log", "/new"} {
		require.NotContains(t, b.get(path, http.StatusSeeOther), "Spring sale")
	}
	b.get("/live?path=/", http.StatusUnauthorized)
	b.get("/login", http.StatusOK)
	res := b.post("/login", url.Values{"key": {"wrong"}})
	require.Equal(t, http.StatusUnauthorized, res.status)
	require.Contains(t, s.audit.String(), `"action":"login","result":"unauthorized"`)
	require.Equal(t, http.StatusUnauthorized, b.post("/batches/default/b-1/control/pause", url.Values{}).status)
}

func TestASessionIsABrowsersAloneAndEnds(t *testing.T) {
	t.Parallel()
	now := start
	s := serve(t, console.Options{Batches: world(), People: people(), Now: func() time.Time { return now }})
	b := s.visitor(t)
	b.get("/login", http.StatusOK)
	res := b.post("/login", url.Values{"key": {"key-of-viewer"}, "to": {"//evil.example"}})
	require.Equal(t, "/", res.header.Get("Location"), "a login leads to pages of ours only")
	cookie := res.header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		require.Contains(t, cookie, part)
	}
	b.get("/", http.StatusOK)
	now = now.Add(13 * time.Hour)
	b.get("/", http.StatusSeeOther)
	now = start
	forged := strings.Replace(cookie, strings.Split(strings.SplitN(cookie, "=", 2)[1], ".")[0], "b3BlcmF0b3ItYW5u", 1) // operator-ann
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/", nil)
	require.NoError(t, err)
	r.Header.Set("Cookie", strings.SplitN(forged, ";", 2)[0])
	require.Equal(t, http.StatusSeeOther, s.visitor(t).do(r).status)
}

func TestNothingIsChangedWithoutTheTokenOfAForm(t *testing.T) {
	t.Parallel()
	s, w := full(t)
	b := s.as(t, access.Operator)
	b.get("/", http.StatusOK)
	good := b.token
	b.token = ""
	require.Equal(t, http.StatusForbidden, b.post("/batches/default/b-1/control/pause", url.Values{}).status)
	b.token = s.as(t, access.Operator).token // another browser's
	require.Equal(t, http.StatusForbidden, b.post("/batches/default/b-1/control/pause", url.Values{}).status)
	b.token = good
	for name, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/batches/default/b-1/control/pause", strings.NewReader(url.Values{"csrf": {good}}.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(name, value)
		require.Equal(t, http.StatusForbidden, b.do(r).status, name)
	}
	require.Empty(t, w.calls)
	require.Equal(t, http.StatusOK, b.post("/batches/default/b-1/control/pause", url.Values{}).status)
	require.Equal(t, []string{"pause b-1"}, w.calls)
}

func TestABrowserLoadsNothingButTheConsolesOwnFiles(t *testing.T) {
	t.Parallel()
	s, _ := full(t)
	b := s.as(t, access.Operator)
	for _, path := range []string{"/", "/batches/default/b-1", "/batches/default/b-1/messages/0", "/find?q=%2B491511234567", "/accounts", "/new", "/log", "/nowhere"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		require.NoError(t, err)
		a := b.do(r)
		policy := a.header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.NotContains(t, policy, "unsafe")
		require.Contains(t, policy, "frame-ancestors 'none'")
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		require.Equal(t, "same-origin", a.header.Get("Referrer-Policy"))
		for _, inline := range []string{" style=", "<style", " onclick=", "javascript:"} {
			require.NotContains(t, a.body, inline, path)
		}
		require.Equal(t, 1, strings.Count(a.body, "<script"), path)
	}
	for _, file := range []string{"console.css", "console.js", "icon.svg"} {
		require.NotContains(t, b.get("/assets/"+file, http.StatusOK), "https://", file)
	}
}

func TestWhatOthersWroteIsShownAsTheText(t *testing.T) {
	t.Parallel()
	s, _ := full(t)
	b := s.as(t, access.Operator)
	for _, path := range []string{"/", "/batches", "/batches/default/b-1", "/batches/default/b-2", "/batches/default/b-1/messages/1", "/find?q=" + url.QueryEscape(hot), "/batches/default/b-1?to=" + url.QueryEscape(hot)} {
		require.NotContains(t, b.get(path, http.StatusOK), hot, path)
	}
	require.Contains(t, b.get("/", http.StatusOK), "&lt;script&gt;alert(1)&lt;/script&gt;")
}

func TestAViewerSeesNoRecipient(t *testing.T) {
	t.Parallel()
	s, w := full(t)
	st := w.statuses["b-1"]
	st.Reasons = append(st.Reasons, message.Reason{State: message.Failed, Code: "x1", Count: 5, Detail: "no route to +491511234567"})
	w.statuses["b-1"] = st
	b := s.as(t, access.Viewer)
	for _, path := range []string{"/", "/batches", "/batches/default/b-1", "/accounts"} {
		body := b.get(path, http.StatusOK)
		require.NotContains(t, body, "491511234567", path)
		require.NotContains(t, body, "c-4001", path)
	}
	require.Contains(t, b.get("/batches/default/b-1", http.StatusOK), "49***67")
	b.get("/batches/default/b-1?to=%2B491511234567", http.StatusForbidden) // whether somebody is in it says as much
	require.Contains(t, s.as(t, access.Support).get("/batches/default/b-1", http.StatusOK), "491511234567")
}

func TestAStrangersNameIsNotAnswered(t *testing.T) {
	t.Parallel()
	s := serve(t, console.Options{Batches: world(), Open: true, Hosts: []string{"volley.example"}})
	for host, want := range map[string]int{"localhost:8090": 200, "127.0.0.1:1": 200, "[::1]:1": 200, "volley.example": 200, "evil.example": 421, "localhost.evil.example:8090": 421} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/", nil)
		require.NoError(t, err)
		r.Host = host
		require.Equal(t, want, s.visitor(t).do(r).status, host)
	}
}

func TestAPersonOfOneTenantSeesNoOther(t *testing.T) {
	t.Parallel()
	w := world()
	book := access.New(access.Options{People: []access.Entry{{Person: access.Person{Name: "eve", Role: access.Operator, Tenants: []string{"acme"}}, Key: "key-of-operator"}}})
	s := serve(t, console.Options{Batches: w, Index: searched(), People: book})
	b := s.as(t, access.Operator)
	require.NotContains(t, b.get("/", http.StatusOK), "Spring sale")
	b.get("/batches/default/b-1", http.StatusNotFound)
	require.Equal(t, http.StatusNotFound, b.post("/batches/default/b-1/control/cancel", url.Values{}).status)
	b.get("/batches?tenant=default", http.StatusUnprocessableEntity)
	require.NotContains(t, b.get("/find?q=%2B491511234567", http.StatusOK), "b-1")
	b.get("/holds/hold?all=true", http.StatusForbidden)
	require.Empty(t, w.calls)
}

func TestWithoutTemporalThePageSaysSo(t *testing.T) {
	t.Parallel()
	w := world()
	w.err = starter.ErrUnreachable
	s := serve(t, console.Options{Batches: w, Open: true})
	require.Contains(t, s.visitor(t).get("/", http.StatusOK), "Temporal does not answer")
	require.Contains(t, s.visitor(t).get("/batches/default/b-1", http.StatusServiceUnavailable), "Temporal does not answer")
}

func TestABatchSaysWhoDidWhatWithIt(t *testing.T) {
	t.Parallel()
	s, _ := full(t)
	body := s.as(t, access.Operator).get("/batches/default/b-4", http.StatusOK)
	for _, want := range []string{"Who did what", "ann", "cancel", "console", "“x”", `href="/log?batch=b-4"`} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, s.as(t, access.Sender).get("/batches/default/b-4", http.StatusOK), "Who did what", "the log is an operator's")
}

func TestAnAccountSaysWhenItsHoldEndsAndWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	w := world()
	w.accounts.Holds[0].Until = at(time.Hour)
	breaker, inFlight := "open", 3
	w.accounts.Accounts[0].Breaker, w.accounts.Accounts[0].InFlight, w.accounts.Accounts[0].LastReport = &breaker, &inFlight, at(-time.Minute)
	s := serve(t, console.Options{Batches: w, Open: true})
	body := s.visitor(t).get("/accounts", http.StatusOK)
	require.Contains(t, body, `until <time datetime="2026-11-24T10:02:13Z">10:02 UTC</time>, in 1 h`)
	require.Contains(t, body, "<dt>In flight</dt><dd>3</dd>")
	require.Contains(t, body, `<dt>In flight</dt><dd><span class="none">–</span></dd>`, "of the other nobody has told")
	require.Contains(t, body, "1 min ago")
}
