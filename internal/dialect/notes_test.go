package dialect_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

// What was noted in parts of a file that were decoded apart adds up.
func TestWarningsOfALongFileAreThoseOfAllItsMessages(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	file.WriteString("{\"text\":\"Hi ${name}\"}\n")
	for i := range 40_000 {
		switch i {
		case 25_000, 39_000:
			fmt.Fprintf(&file, "{\"to\":\"a\",\"text\":\"{{x}}\",\"params\":{\"late\":\"1\",\"plan\":\"gold\"}}\n")
		case 39_500:
			fmt.Fprintf(&file, "{\"to\":\"a\",\"text\":\"${plan}\",\"params\":{\"plan\":\"tin\"}}\n")
		default:
			fmt.Fprintf(&file, "{\"to\":\"+1555%07d\",\"params\":{\"name\":\"Ann\"}}\n", i)
		}
	}
	_, whole, s := streamed(t, volley(t), &file, dialect.Options{Now: accepted})
	require.Empty(t, whole)
	require.Equal(t, message.Problems{
		{Index: -1, Path: "messages", Code: "unused", Detail: "no text uses the parameter late"},
		{
			Index: -1, Path: "messages[25000].text", Code: "parameter",
			Detail: `"{{x}}" is sent as it stands, a placeholder is written ${name} (2 messages have such a text)`,
		},
	}, s.Warnings())
}
