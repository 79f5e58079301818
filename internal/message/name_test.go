package message_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "9": true, "A.b_c-d": true, "a.": true, "a_0x1": true, "a__1": true, strings.Repeat("x", 100): true,
		"": false, "-a": false, ".a": false, "_a": false, "a b": false, "a/b": false, "a~0001": false, "ä": false, "a\n": false,
		"a..": false, "a..b": false, "r__0x1": false, "a__0x2f__": false, strings.Repeat("x", 101): false,
	} {
		require.Equal(t, want, message.CheckName(name) == nil, "%q", name)
	}
}
