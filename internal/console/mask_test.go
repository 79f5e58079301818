package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/access"
	"volley/internal/console"
	"volley/internal/intake"
	"volley/internal/message"
)

// Who sees one tenant only is shown its accounts, and no figure to which others add.
func TestWhoSeesOneTenantSeesItsAccountsAndNobodyElsesFigures(t *testing.T) {
	t.Parallel()
	book := access.New(access.Options{People: []access.Entry{
		{Person: access.Person{Name: "vera", Role: access.Viewer, Tenants: []string{"acme"}}, Key: "key-of-viewer"},
		{Person: access.Person{Name: "olga", Role: access.Operator}, Key: "key-of-operator"},
	}})
	s := serve(t, console.Options{
		Batches: world(), Index: searched(), People: book,
		Callers: []intake.Caller{{Tenant: "default"}, {Tenant: "acme", Accounts: []string{eu}}},
	})
	vera, olga := s.as(t, access.Viewer), s.as(t, access.Operator)
	require.Contains(t, olga.get("/accounts", http.StatusOK), "bird-main")
	for _, page := range []string{"/", "/accounts"} {
		body := vera.get(page, http.StatusOK)
		require.Contains(t, body, eu, page)
		require.NotContains(t, body, "bird-main", page)
		require.NotContains(t, body, "3,200", "%s: what waits is another tenant's", page)
		require.NotContains(t, body, "132.5", page)
	}
}

// What callers and providers write cannot turn a page around.
func TestPagesHaveNoCharactersThatSteer(t *testing.T) {
	t.Parallel()
	w := world()
	st := w.statuses["b-1"]
	st.Metadata = []byte(`{"campaign":"Spring\u202eelas \u001b[31m\u0007"}`)
	st.Reasons = message.Reasons{{State: message.Failed, Code: "x", Count: 1, Detail: "no\u2066 \x1b such"}}
	w.statuses["b-1"] = st
	s := serve(t, console.Options{Batches: w, Index: searched(), People: people()})
	for _, page := range []string{"/", "/batches/default/b-1"} {
		body := s.as(t, access.Operator).get(page, http.StatusOK)
		require.Contains(t, body, "Spring\ufffdelas", page)
		require.False(t, strings.ContainsAny(body, "\u202e\u2066\x1b\x07"), page)
	}
}
