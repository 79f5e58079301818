package dialect_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

func TestBlueskyIsAllOrNothing(t *testing.T) {
	t.Parallel()
	item := `{"convoId":"c","message":{"text":"fine"}}`
	bad := `{"convoId":"c","message":{"text":%s}}`

	t.Run("one bad item refuses the call and its path names the item", func(t *testing.T) {
		t.Parallel()
		body := `{"items":[` + item + `,` + item + `,` + item + `,` + fmt.Sprintf(bad, "7") + `]}`
		b, whole := decode(t, "bluesky", body, dialect.Options{})
		require.Nil(t, b)
		require.Equal(t, message.Problems{{
			Index: message.WholeBatch, Path: "items[3].message.text",
			Code: message.CodeType, Detail: "expected a string, got a number",
		}}, whole)
	})

	t.Run("the problems of all items are reported together", func(t *testing.T) {
		t.Parallel()
		body := `{"items":[` + fmt.Sprintf(bad, "null") + `,` + item + `,` + fmt.Sprintf(bad, "[]") + `]}`
		_, whole := decode(t, "bluesky", body, dialect.Options{})
		require.Len(t, whole, 2)
		require.Equal(t, "items[0].message.text", whole[0].Path)
		require.Equal(t, "items[2].message.text", whole[1].Path)
	})

	t.Run("no items at all are a batch of nothing", func(t *testing.T) {
		t.Parallel()
		b, whole := decode(t, "bluesky", `{"items":[]}`, dialect.Options{})
		require.Empty(t, whole)
		require.NotNil(t, b.Messages)
		require.Empty(t, b.Messages)
	})
}

func TestBlueskyText(t *testing.T) {
	t.Parallel()
	family := "👩‍👩‍👧" // one grapheme, 18 bytes
	tests := []struct {
		name, text, detail string
	}{
		{"an empty text is legal", "", ""},
		{"1,000 graphemes of ASCII fit", strings.Repeat("a", 1_000), ""},
		{"1,001 graphemes of ASCII do not", strings.Repeat("a", 1_001), "at most 1000 graphemes, got 1001"},
		{"graphemes are counted, not code points", strings.Repeat(family, 555), ""},
		{"10,000 bytes fit", strings.Repeat(family, 555) + strings.Repeat("a", 10), ""},
		{"10,001 bytes do not", strings.Repeat(family, 555) + strings.Repeat("a", 11), "at most 10000 bytes of UTF-8, got 10001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(tt.text)
			require.NoError(t, err)
			b, whole := decode(t, "bluesky", `{"items":[{"convoId":"c","message":{"text":`+string(text)+`}}]}`, dialect.Options{})
			if tt.detail != "" {
				require.Len(t, whole, 1)
				require.Equal(t, message.CodeTooLong, whole[0].Code)
				require.Equal(t, tt.detail, whole[0].Detail)
				return
			}
			require.Empty(t, whole)
			_, got, err := b.Template.Render(&b.Messages[0])
			require.NoError(t, err)
			require.Equal(t, tt.text, got)
		})
	}
}

func TestBlueskyContentLeavesAsItCame(t *testing.T) {
	t.Parallel()
	item := `{"convoId":"c","message":{"zeta":1.50,"text":"<&> ${x} \u00e9","embed":{"$type":"org.example.new","big":12345678901234567890}},"more":[]}`
	b, whole := decode(t, "bluesky", `{"items":[`+item+`]}`, dialect.Options{})
	require.Empty(t, whole)
	content, text, err := b.Template.Render(&b.Messages[0])
	require.NoError(t, err)
	require.Equal(t, item, string(content))
	require.Equal(t, "<&> ${x} é", text)
	require.Equal(t, "c", b.Messages[0].To)
	require.Equal(t, (365 * 24 * time.Hour).Milliseconds(), b.Horizon)
}

// One cluster of each is a grapheme by Unicode's rules since 15.1 (UAX 29, GB9c).
func TestBlueskyCountsAConjunctAsOneGrapheme(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"क्ष", "ক্ষ", "ક્ષ", "କ୍ଷ", "క్ష", "ക്ഷ", "ក្ក", "က္က", "👋🏽", "e\u0301"} {
		for n, want := range map[int]int{1000: 0, 1001: 1} {
			_, problems := decode(t, "bluesky", `{"items":[{"convoId":"c","message":{"text":"`+strings.Repeat(c, n)+`"}}]}`, dialect.Options{Now: accepted})
			require.Len(t, problems, want, "%d × %s", n, c)
			for _, p := range problems {
				require.Equal(t, message.CodeTooLong, p.Code)
				require.Contains(t, p.Detail, "got 1001")
			}
		}
	}
}
