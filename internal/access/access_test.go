package access_test

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/access"
)

func book() *access.Book {
	return access.New(access.Options{
		People: []access.Entry{
			{Person: access.Person{Name: "ann", Role: access.Support, Tenants: []string{"acme"}}, Key: "ann-key-ann-key-ann"},
			{Person: access.Person{Name: "bob@example.com", Role: access.Viewer}},
			{Person: access.Person{Name: "olga", Role: access.Operator}, Key: "olga-key-olga-key"},
		},
		UserHeader: "X-Forwarded-User",
		From:       []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
	})
}

func TestEachRoleMayWhatThoseBeforeItMay(t *testing.T) {
	t.Parallel()
	may := map[access.Role][]access.Right{}
	for _, role := range access.Roles() {
		for _, right := range access.Rights() {
			if access.May(role, right) {
				may[role] = append(may[role], right)
			}
		}
	}
	require.Equal(t, []access.Right{access.Read}, may[access.Viewer])
	require.Equal(t, []access.Right{access.Read, access.Unmask, access.Find, access.CancelPerson}, may[access.Support])
	require.Equal(t, []access.Right{access.Read, access.Unmask, access.Find, access.CancelPerson, access.Start, access.Control}, may[access.Sender])
	require.Equal(t, access.Rights(), may[access.Operator])

	require.False(t, access.May("admin", access.Read))
	require.False(t, access.May("", access.Read))
	for _, nobodys := range []access.Right{"", "fly", access.Tenants, access.Everyone} {
		require.False(t, access.May(access.Operator, nobodys), nobodys)
	}
	require.Equal(t, "sender or operator", access.Needed(access.Control))
	require.Equal(t, "operator", access.Needed(access.Forget))
}

func TestAKeyIsOnePersonsAndNoKeyIsNobodys(t *testing.T) {
	t.Parallel()
	b := book()
	p, ok := b.Login("ann-key-ann-key-ann")
	require.True(t, ok)
	require.Equal(t, access.Person{Name: "ann", Role: access.Support, Tenants: []string{"acme"}}, p)
	require.True(t, p.Sees("acme"))
	require.False(t, p.Sees("default"))
	p, ok = b.Login("olga-key-olga-key")
	require.True(t, ok)
	require.True(t, p.Sees("any"))
	for _, key := range []string{"", "ann", "olga-key-olga-key "} {
		_, ok = b.Login(key)
		require.False(t, ok, key)
	}
	var none *access.Book
	_, ok = none.Login("olga-key-olga-key")
	require.False(t, ok)
	require.True(t, none.Empty())
}

func TestOnlyATrustedProxysHeaderNamesSomebody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from    string
		headers []string
		other   map[string]string
		proxied bool
		person  string
	}{
		"a proxy":                     {from: "10.1.2.3:400", headers: []string{"bob@example.com"}, proxied: true, person: "bob@example.com"},
		"a proxy by IPv6":             {from: "[fd00::7]:400", headers: []string{"ann"}, proxied: true, person: "ann"},
		"a proxy at a mapped address": {from: "[::ffff:10.1.2.3]:400", headers: []string{"ann"}, proxied: true, person: "ann"},
		"somebody unknown":            {from: "10.1.2.3:400", headers: []string{"eve"}, proxied: true},
		"another case":                {from: "10.1.2.3:400", headers: []string{"Ann"}, proxied: true},
		"an empty name":               {from: "10.1.2.3:400", headers: []string{""}, proxied: true},
		"another address":             {from: "192.0.2.1:400", headers: []string{"ann"}},
		"one that says it is trusted": {from: "192.0.2.1:400", headers: []string{"ann"}, other: map[string]string{"X-Forwarded-For": "10.1.2.3", "X-Real-IP": "10.1.2.3"}},
		"two headers":                 {from: "10.1.2.3:400", headers: []string{"ann", "olga"}},
		"no header":                   {from: "10.1.2.3:400"},
		"no address":                  {from: "@", headers: []string{"ann"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			r.RemoteAddr = c.from
			for _, v := range c.headers {
				r.Header.Add("X-Forwarded-User", v)
			}
			for k, v := range c.other {
				r.Header.Set(k, v)
			}
			p, ok := book().Trusted(r)
			require.Equal(t, c.person, p.Name)
			require.Equal(t, c.person != "", ok)
			require.Equal(t, c.proxied, book().Proxied(r))
			_, ok = access.New(access.Options{People: []access.Entry{{Person: access.Person{Name: "ann"}}}}).Trusted(r)
			require.False(t, ok, "without a header in the configuration none counts")
		})
	}
}

func TestAViewerSeesSoLittleOfARecipientThatNobodyIsFound(t *testing.T) {
	t.Parallel()
	viewer, support := access.Person{Role: access.Viewer}, access.Person{Role: access.Support}
	for in, want := range map[string]string{
		"":                      "",
		"+4915112345678":        "+49***78",
		"+15550001111":          "+15***11",
		"+491511":               "***",
		"ann.smith@example.com": "a***@example.com",
		"änne@example.com":      "ä***@example.com",
		"@ann":                  "***",
		"c-4001":                "***",
		"customer-4711-0001":    "***",
		"+49abc1234567":         "***",
	} {
		require.Equal(t, want, viewer.Mask(in))
		require.Equal(t, in, support.Mask(in))
		require.Equal(t, want, access.Person{}.Mask(in), "a person without a role sees no more")
	}
}

func TestASentenceSaysNoRecipientToAViewer(t *testing.T) {
	t.Parallel()
	viewer, support := access.Person{Role: access.Viewer}, access.Person{Role: access.Support}
	for in, want := range map[string]string{
		"number +4915112345678 is not in service":   "number +49***78 is not in service",
		"number 0151 1234 5678 is not in service":   "number *** is not in service",
		"number (0151) 1234-5678: not in service":   "number ***: not in service",
		"no mailbox <ann.smith@example.com>":        "no mailbox <a***@example.com>",
		"error 30006: landline":                     "error 30006: landline",
		"room c-4001 is closed":                     "room *** is closed",
		"after 3 attempts, the last one at 10:02":   "after 3 attempts, the last one at 10:02",
		"4915112345678/4915112345679 are not valid": "*** are not valid",
	} {
		require.Equal(t, want, viewer.MaskText(in, "c-4001", ""))
		require.Equal(t, in, support.MaskText(in, "c-4001"))
	}
}

func TestATableSaysWhatEachRouteNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, action string
		right           access.Right
		known           bool
	}{
		{"GET /v1/batches", "", access.Read, true},
		{"POST /v1/batches/{action}", "pause", access.Control, true},
		{"POST /v1/batches/{action}", "frobnicate", "", false},
		{"POST /v1/batches/{action}", "", "", false},
		{"POST /messages/batch", "", access.Tenants, true},
		{"GET /v1/secrets", "", "", false},
	} {
		right, known := access.RightFor(c.pattern, c.action)
		require.Equal(t, c.right, right)
		require.Equal(t, c.known, known)
	}
}
