package provider_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/provider"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestClassifyDecidesByStatus(t *testing.T) {
	t.Parallel()
	want := map[provider.Kind][]int{
		provider.Invalid:      {400, 413, 414, 415, 422, 431},
		provider.Unauthorized: {401, 403},
		provider.Rejected:     {300, 301, 302, 303, 304, 307, 308, 402, 404, 405, 409, 410, 418, 423, 425, 451, 499, 501},
		provider.Throttled:    {429},
		provider.Unavailable:  {408, 503},
		provider.Ambiguous:    {101, 500, 502, 504, 505, 507, 520, 522, 599, 600, 999},
	}
	for kind, statuses := range want {
		for _, status := range statuses {
			e := provider.Classify(provider.Reply{Status: status}, provider.Fault{}, nil, noon)
			require.NotNil(t, e, status)
			require.Equal(t, kind, e.Kind, status)
			require.Regexp(t, `^http_\d{3}$`, e.Code)
			require.NotEmpty(t, e.Detail)
		}
	}
	for _, status := range []int{200, 201, 202, 204, 299} {
		require.Nil(t, provider.Classify(provider.Reply{Status: status}, provider.Fault{}, nil, noon), status)
	}
}

func TestClassifyReadsHowLongToWait(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header string
		body   time.Duration
		want   time.Duration
	}{
		"nothing said":             {},
		"seconds":                  {header: "120", want: 2 * time.Minute},
		"seconds with a fraction":  {header: "1.5", want: 1500 * time.Millisecond},
		"a date":                   {header: "Sun, 01 Mar 2026 12:01:00 GMT", want: time.Minute},
		"a date gone by":           {header: "Sun, 01 Mar 2026 11:59:00 GMT"},
		"a date far away":          {header: "Sun, 01 Mar 2099 12:00:00 GMT", want: provider.MaxRetryAfter},
		"negative seconds":         {header: "-5"},
		"no number at all":         {header: "NaN"},
		"more than a day":          {header: "9e99", want: provider.MaxRetryAfter},
		"infinite":                 {header: "+Inf", want: provider.MaxRetryAfter},
		"words":                    {header: "soon"},
		"in the body":              {body: 3 * time.Second, want: 3 * time.Second},
		"in the body, too long":    {body: 1000 * time.Hour, want: provider.MaxRetryAfter},
		"the header beats a body":  {header: "1", body: time.Hour, want: time.Second},
		"a body for a broken date": {header: "soon", body: time.Second, want: time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, status := range []int{429, 503} {
				r := provider.Reply{Status: status, Header: http.Header{"Retry-After": {tc.header}}}
				e := provider.Classify(r, provider.Fault{RetryAfter: tc.body}, nil, noon)
				require.Equal(t, tc.want, e.RetryAfter)
			}
		})
	}
}

func TestClassifyPrefersWhatTheProviderSays(t *testing.T) {
	t.Parallel()
	over := provider.Overrides{501: {Kind: provider.Ambiguous, Source: "a document"}}
	require.Equal(t, provider.Ambiguous, provider.Classify(provider.Reply{Status: 501}, provider.Fault{}, over, noon).Kind)
	require.Equal(t, provider.Unavailable,
		provider.Classify(provider.Reply{Status: 501}, provider.Fault{Kind: provider.Unavailable}, over, noon).Kind)

	e := provider.Classify(provider.Reply{Status: 400}, provider.Fault{Code: "E1", Detail: "why"}, over, noon)
	require.Equal(t, provider.Error{Kind: provider.Invalid, Code: "E1", Detail: "why"}, *e)
}

func TestClassifyDoubtsASuccessThatCannotBeRead(t *testing.T) {
	t.Parallel()
	ok := provider.Reply{Status: 200}
	require.Equal(t, provider.Ambiguous, provider.Classify(ok, provider.Unreadable("no id"), nil, noon).Kind)
	require.Equal(t, provider.Rejected, provider.Classify(ok, provider.Fault{Code: "E1"}, nil, noon).Kind)
	require.Equal(t, provider.Throttled,
		provider.Classify(ok, provider.Fault{Kind: provider.Throttled, Code: "E1", RetryAfter: time.Second}, nil, noon).Kind)
	broken := provider.Reply{Status: 200, Broken: errors.New("cut")}
	require.Equal(t, provider.Ambiguous, provider.Classify(broken, provider.Fault{Code: "E1"}, nil, noon).Kind)
}

func TestADetailNamesWhereARedirectLeads(t *testing.T) {
	t.Parallel()
	const plain = "the answer was 302 Found"
	for to, want := range map[string]string{
		"":                                   plain,
		"https://example.com/v2/hook":        plain + ", which leads to https://example.com/v2/hook",
		"/login":                             plain + ", which leads to /login",
		"https://u:p@example.com/a?key=k#f":  plain + ", which leads to https://example.com/a",
		"https://x/hook/0123456789abcdef/in": plain + ", which leads to https://x/hook/***/in",
		"http://[::1":                        plain,
	} {
		e := provider.Classify(provider.Reply{Status: 302, Header: http.Header{"Location": {to}}}, provider.Fault{}, nil, noon)
		require.Equal(t, want, e.Detail)
	}
	e := provider.Classify(provider.Reply{Status: 404, Header: http.Header{"Location": {"/x"}}}, provider.Fault{}, nil, noon)
	require.Equal(t, "the answer was 404 Not Found", e.Detail)
}
