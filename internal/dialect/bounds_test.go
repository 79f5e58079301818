package dialect_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

func TestDecodingEndsWhereNobodyWaits(t *testing.T) {
	t.Parallel()
	const many = 1000
	const birdItem = `{"receiver":{"contacts":[{"id":"c"}]},"body":{"type":"text","text":{"text":"x"}}}`
	items := func(item string) string { return strings.Repeat(item+",", many-1) + item }
	for name, c := range map[string]struct{ dialect, body string }{
		"sinch":        {"sinch", `{"app_id":"a","message":{"text_message":{"text":"x"}},"recipient_and_params":[` + items(`{"recipient":{"contact_id":"c"}}`) + `]}`},
		"imkit":        {"imkit", `{"messageType":"text","message":"x","paras":[` + items(`{"receiver":"r"}`) + `]}`},
		"bird":         {"bird", `{"messageRequests":[` + strings.Repeat(birdItem+",", 99) + birdItem + `]}`},
		"bluesky":      {"bluesky", `{"items":[{"convoId":"c","message":{"text":"x"}},{"convoId":"c","message":{"text":"x"}},{"convoId":"c","message":{"text":"x"}}]}`},
		"volley":       {"volley", `{"text":"x","messages":[` + items(`{"to":"1"}`) + `]}`},
		"volley lines": {"volley", `{"text":"x"}` + strings.Repeat("\n"+`{"to":"1","reference":"`+strings.Repeat("r", 100)+`"}`, many)},
		"volley rows":  {"volley", "to,reference\n" + strings.Repeat("1,"+strings.Repeat("r", 100)+"\n", many)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			o := dialect.Options{Now: accepted, Text: "x", Ended: func() bool {
				asked++
				return asked > 2
			}}
			b, problems := decode(t, c.dialect, c.body, o)
			require.Nil(t, b)
			require.Equal(t, message.Problems{{Index: message.WholeBatch, Code: message.CodeFormat, Detail: dialect.ErrEnded.Error()}}, problems)
			require.LessOrEqual(t, asked, 5)
			asked = 0
			d, err := dialect.Named(c.dialect)
			require.NoError(t, err)
			s, err := dialect.Open(d, strings.NewReader(c.body), streamLimit, o)
			if err == nil {
				var m message.Message
				for s.Next(&m) {
				}
				err = s.Err()
			}
			require.ErrorIs(t, err, dialect.ErrEnded)
		})
	}
}

func TestATextHasOnlySoManyParameters(t *testing.T) {
	t.Parallel()
	text := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("${" + strings.Repeat("n", 1+i) + "}")
		}
		return b.String()
	}
	for n, problems := range map[int]int{1000: 0, 1001: 1} {
		_, whole := decode(t, "volley", `{"text":"`+text(n)+`","messages":[{"to":"1","text":"x"}]}`, dialect.Options{Now: accepted})
		require.Len(t, whole, problems)
		b, whole := decode(t, "volley", `{"messages":[{"to":"1","params":{},"text":"`+text(n)+`"},{"to":"1","text":"x"}]}`, dialect.Options{Now: accepted})
		require.Empty(t, whole)
		require.Equal(t, 1, b.Rejected())
		if n > 1000 {
			require.Equal(t, message.Problems{{
				Index: 0, Path: "messages[0].text", Code: message.CodeTooMany, Detail: "at most 1000 different parameters are possible in a text",
			}}, b.Messages[0].Problems)
		} else {
			require.Len(t, b.Messages[0].Problems, 10, "of the parameters that it lacks")
		}
	}
}

// The batch's metadata may be repeated as often as a message is large, and beyond that
// in a number of bytes.
func TestMetadataIsRepeatedInOnlySoManyBytes(t *testing.T) {
	t.Parallel()
	header := func(bytes int) string {
		return `{"text":"x","metadata":{"k":"` + strings.Repeat("v", bytes-len(`{"k":""}`)) + `"}`
	}
	const item = `{"to":"1","metadata":{"own":"value"}}`
	for name, c := range map[string]struct {
		bytes, messages int
		refused         bool
	}{
		"small metadata in many messages":   {8 * len(item), 100_000, false},
		"large metadata in few messages":    {1 << 20, 8, false},
		"large metadata in one too many":    {1 << 20, 9, true},
		"middling metadata in too many":     {8*len(item) + 1<<10, 8193, true},
		"middling metadata in just so many": {8*len(item) + 1<<10, 8192, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for form, body := range map[string]string{
				"document": header(c.bytes) + `,"messages":[` + strings.TrimSuffix(strings.Repeat(item+",", c.messages), ",") + `]}`,
				"lines":    header(c.bytes) + "}" + strings.Repeat("\n"+item, c.messages),
			} {
				b, whole := decode(t, "volley", body, dialect.Options{Now: accepted})
				if c.refused {
					require.Nil(t, b, form)
					require.Len(t, whole, 1)
					require.Equal(t, []string{"metadata", message.CodeTooLong}, []string{whole[0].Path, whole[0].Code})
					continue
				}
				require.Empty(t, whole, form)
				require.Len(t, b.Messages, c.messages)
				require.Greater(t, len(b.Messages[0].Metadata), c.bytes)
			}
		})
	}
}
