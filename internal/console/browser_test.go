package console_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/console"
	"volley/internal/intake"
	"volley/starter"
)

// people are those who may log in.
func people() *access.Book {
	var all []access.Entry
	for _, role := range access.Roles() {
		all = append(all, access.Entry{Person: access.Person{Name: string(role) + "-ann", Role: role}, Key: "key-of-" + string(role)})
	}
	return access.New(access.Options{People: all})
}

// site is a console that is served.
type site struct {
	*httptest.Server
	audit *strings.Builder
}

func serve(t *testing.T, o console.Options) *site {
	t.Helper()
	out := &strings.Builder{}
	if o.Now == nil {
		o.Now = func() time.Time { return start }
	}
	o.Audit = audit.New(audit.Options{File: audit.Stderr, Stderr: out, Now: o.Now})
	o.Accounts = []starter.AccountOf{{Name: eu, Provider: "sinch", Rate: 500}, {Name: "bird-main", Provider: "bird"}}
	o.SearchMetadata, o.Every = []string{"campaign"}, time.Millisecond
	if o.Callers == nil {
		o.Callers = []intake.Caller{{Tenant: "default"}}
	}
	o.Limits = intake.Limits{BodyBytes: 1 << 20, Messages: 1000}
	s := httptest.NewServer(console.New(o))
	t.Cleanup(s.Close)
	return &site{s, out}
}

// browser is one person's.
type browser struct {
	t     *testing.T
	site  *site
	http  *http.Client
	token string
}

var formToken = regexp.MustCompile(`name="csrf" content="([^"]+)"`)

// visitor is a browser of nobody.
func (s *site) visitor(t *testing.T) *browser {
	t.Helper()
	return &browser{t: t, site: s, http: &http.Client{Jar: jar(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as is a browser in which somebody with a role is logged in.
func (s *site) as(t *testing.T, role access.Role) *browser {
	t.Helper()
	b := s.visitor(t)
	b.get("/login", http.StatusOK)
	res := b.post("/login", url.Values{"key": {"key-of-" + string(role)}, "to": {"/"}})
	require.Equal(t, http.StatusSeeOther, res.status, res.body)
	return b
}

type answer struct {
	status int
	body   string
	header http.Header
}

func (b *browser) do(r *http.Request) answer {
	b.t.Helper()
	res, err := b.http.Do(r)
	require.NoError(b.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	if m := formToken.FindSubmatch(body); m != nil {
		b.token = string(m[1])
	}
	return answer{res.StatusCode, string(body), res.Header}
}

func (b *browser) get(path string, status int) string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.site.URL+path, nil)
	require.NoError(b.t, err)
	a := b.do(r)
	require.Equal(b.t, status, a.status, path+"\n"+a.body)
	return a.body
}

func (b *browser) post(path string, form url.Values) answer {
	b.t.Helper()
	form.Set("csrf", b.token)
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.site.URL+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}
