package message_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestTheSizeOfAReportIsNotLessThanItsJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "<", `"`, `\`, "\x00", "\n", "é", "\u2028", "😀", "\xff"} {
		p := message.Report{
			ID: message.KeyOf("batch-a").MessageID(7), State: message.Undelivered, At: 1 << 60, Account: "one" + text,
			ProviderID: strings.Repeat(text, 90), Code: strings.Repeat(text, 40), Detail: strings.Repeat(text, 90),
		}.Bounded()
		raw, err := json.Marshal(p)
		require.NoError(t, err)
		require.LessOrEqual(t, len(raw), p.Size(), "%q", text)
		require.Less(t, p.Size(), 4*len(raw), "%q", text)
	}
}
