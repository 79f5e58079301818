package suppression_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/suppression"
)

func TestARecipientForWhomNoMessageCanBeIsRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", " ", "a\x00b", "\x1b[31m", "a\xffb", "015123450077", "1.5555E+10"} {
		_, err := suppression.Recipient(s, "")
		require.Error(t, err, "%q", s)
	}
	for s, want := range map[string]string{"+49 151 23450077": "+4915123450077", " c-4001 ": "c-4001", "@ann": "@ann"} {
		got, err := suppression.Recipient(s, "")
		require.NoError(t, err, s)
		require.Equal(t, want, got)
	}
}
