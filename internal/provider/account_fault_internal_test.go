package provider

// Inside of the package, since the table is nobody else's.

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswersThatConcernTheAccount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		provider string
		status   int
		code     string
		account  bool
	}{
		{"webhook", 401, "http_401", true},
		{"webhook", 402, "http_402", true},
		{"webhook", 403, "http_403", false},
		{"webhook", 404, "http_404", false},
		{"bird", 401, "Unauthorized", true},
		{"bird", 403, "Forbidden", true},
		{"bird", 422, "InvalidPayload", false},
		{"sinch", 401, "UNAUTHENTICATED", true},
		{"sinch", 400, "invalid_client", true},
		{"sinch", 403, "PERMISSION_DENIED", false},
		{"imkit", 200, "INVALID_API_KEY", true},
		{"imkit", 403, "INSUFFICIENT_PERMISSIONS", true},
		{"imkit", 403, "INSUFFICIENT_PERMISSION", false},
		{"imkit", 403, "NOT_ROOM_MEMBER", false},
		{"bluesky", 400, "InvalidToken", true},
		{"bluesky", 400, "AccountTakedown", true},
		{"bluesky", 400, "MessagesDisabled", false},
		{"bluesky", 400, "AccountSuspended", false},
		{"bluesky", 429, "RateLimitExceeded", false},
	} {
		require.Equal(t, c.account, accountFault(c.provider, c.status, c.code) != "", "%s %d %s", c.provider, c.status, c.code)
	}
}

func TestEveryAccountFaultHasItsSource(t *testing.T) {
	t.Parallel()
	for name, list := range accountFaults {
		require.True(t, slices.Contains(names(), name), name)
		for _, f := range slices.Concat(list, everyAccount) {
			require.NotEmpty(t, f.Says)
			require.NotEmpty(t, f.Source)
			require.False(t, f.Status == 0 && f.Code == "", "that would be every answer")
		}
	}
	for _, code := range slices.Concat(blueskyRefusals(), []string{CodeContent, CodeRecipient}) {
		require.Empty(t, accountFault("bluesky", 400, code), "%s concerns a recipient or a content", code)
	}
}
