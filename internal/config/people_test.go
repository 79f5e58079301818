package config_test

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/access"
	"volley/internal/config"
)

const peopleConfig = `
tenants: {acme: {keys: [sixteen-characters]}}
people:
  - {name: ann, role: support, key: "${ANN_KEY}", tenants: [acme]}
  - {name: bob@example.com, role: viewer}
console: {user_header: X-Forwarded-User, from: [10.0.0.0/8, 192.0.2.7, "fd00::/8"]}
`

func TestPeopleLogInWithAKeyOrThroughATrustedProxy(t *testing.T) {
	t.Parallel()
	c, err := load(t, peopleConfig, map[string]string{"ANN_KEY": "ann-key-ann-key-ann"})
	require.NoError(t, err)
	p, ok := c.People().Login("ann-key-ann-key-ann")
	require.True(t, ok)
	require.Equal(t, access.Person{Name: "ann", Role: access.Support, Tenants: []string{"acme"}}, p)
	for from, trusted := range map[string]bool{"10.9.9.9:1": true, "192.0.2.7:1": true, "192.0.2.8:1": false, "[fd00::1]:1": true} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = from
		r.Header.Set("X-Forwarded-User", "bob@example.com")
		p, ok := c.People().Trusted(r)
		require.Equal(t, trusted, ok, from)
		if trusted {
			require.Equal(t, access.Person{Name: "bob@example.com", Role: access.Viewer}, p)
		}
	}
}

// Commands read the configuration without the keys of people.
func TestAKeyOfAPersonMayBeUnsetWhereNobodyLogsIn(t *testing.T) {
	t.Parallel()
	_, err := load(t, peopleConfig, nil)
	require.Error(t, err)
	c, err := config.LoadWithoutSecrets(write(t, peopleConfig), environment(nil))
	require.NoError(t, err)
	_, ok := c.People().Named("ann")
	require.True(t, ok)
}

func TestAGatewayNeedsSomebodyWhoCanLogIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"":                    false,
		"tenants: {acme: {}}": false,
		"tenants: {acme: {keys: [sixteen-characters]}}":                 true,
		"people: [{name: ann, role: viewer, key: ann-key-ann-key-ann}]": true,
	} {
		c, err := load(t, text, nil)
		require.NoError(t, err)
		require.Equal(t, want, c.HasLogins(), text)
	}
}
