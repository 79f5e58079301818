package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatGoesThroughASensitiveAccountIsNotShownAgain(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
accounts:
  plain: {provider: webhook, url: "https://h.example", secret: s}
  codes: {provider: webhook, url: "https://h.example", secret: s, sensitive: true}
`, nil)
	require.NoError(t, err)
	policies := c.Router("default").Accounts
	require.True(t, policies["codes"].Sensitive)
	require.False(t, policies["plain"].Sensitive)
}
