package dialect_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

func imkitRequest(paras int, more string) string {
	items := make([]string, paras)
	for i := range items {
		items[i] = fmt.Sprintf(`{"receiver":"client-%d","$name$":"N%d"}`, i, i)
	}
	return `{"messageType":"text","message":"Hello $name$.",` + more + `"paras":[` + strings.Join(items, ",") + `]}`
}

func TestIMKITCapsItsParas(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		cap, paras int
		fine       bool
	}{
		"1,000 where no cap is given":    {0, 1000, true},
		"1,001 are too many then":        {0, 1001, false},
		"as many as the cap allows":      {1500, 1500, true},
		"one more than the cap are not":  {1500, 1501, false},
		"one is enough with a cap of 1":  {1, 1, true},
		"two are too many with that cap": {1, 2, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, problems := decode(t, "imkit", imkitRequest(c.paras, ""), dialect.Options{Now: accepted, IMKITParas: c.cap})
			if c.fine {
				require.Empty(t, problems)
				require.Len(t, b.Messages, c.paras)
				return
			}
			require.Len(t, problems, 1)
			require.Equal(t, message.CodeTooMany, problems[0].Code)
			require.Equal(t, "paras", problems[0].Path)
		})
	}
}

func TestIMKITSender(t *testing.T) {
	t.Parallel()
	body := imkitRequest(1, `"sender":"support",`)

	t.Run("is refused where the caller may not name one", func(t *testing.T) {
		t.Parallel()
		_, problems := decode(t, "imkit", body, dialect.Options{Now: accepted})
		require.Equal(t, message.Problems{{Index: message.WholeBatch, Path: "sender", Code: message.CodeConflict, Detail: "this caller may not name a sender"}}, problems)
	})

	t.Run("leaves with the message where the caller may", func(t *testing.T) {
		t.Parallel()
		b, problems := decode(t, "imkit", body, dialect.Options{Now: accepted, MaySetSender: true})
		require.Empty(t, problems)
		content, _, err := b.Template.Render(&b.Messages[0])
		require.NoError(t, err)
		require.JSONEq(t, `{"messageType":"text","message":"Hello N0.","sender":"support","push":false,"skipTotalBadge":false,"receiver":"client-0"}`, string(content))
	})
}

func TestIMKITMessagesThatSayTheSame(t *testing.T) {
	t.Parallel()
	b, problems := decode(t, "imkit", `{"messageType":"text","message":"Hi $n$","paras":[
		{"receiver":"ann","$n$":"A","$unused$":"1"},
		{"receiver":"ann","$n$":"A","$unused$":"2"},
		{"receiver":"ann","$n$":"B"}]}`, dialect.Options{Now: accepted, Account: "im"})
	require.Empty(t, problems)
	require.Equal(t, b.Messages[0].HashFor("a"), b.Messages[1].HashFor("a"), "a value that the message does not use tells nothing apart")
	require.NotEqual(t, b.Messages[0].HashFor("a"), b.Messages[2].HashFor("a"))
}

func TestIMKITKeepsValuesThatItDoesNotLookFor(t *testing.T) {
	t.Parallel()

	t.Run("in a long message", func(t *testing.T) {
		t.Parallel()
		b, problems := decode(t, "imkit", `{"messageType":"text","message":"$`+strings.Repeat("x", 70_000)+`$n$","paras":[{"receiver":"ann","$n$":"A","$o$":"B"}]}`, dialect.Options{Now: accepted})
		require.Empty(t, problems)
		require.Equal(t, map[string]string{"$n$": "A", "$o$": "B"}, b.Messages[0].Params)
	})

	t.Run("behind the thousandth pattern", func(t *testing.T) {
		t.Parallel()
		var values strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&values, `"$p%d$":"v",`, i)
		}
		b, problems := decode(t, "imkit", `{"messageType":"text","message":"$last$","paras":[{`+values.String()+`"$last$":"A","receiver":"ann"}]}`, dialect.Options{Now: accepted})
		require.Empty(t, problems)
		require.Equal(t, map[string]string{"$last$": "A"}, b.Messages[0].Params)
	})
}

func TestIMKITTextOfOtherTypes(t *testing.T) {
	t.Parallel()
	b, problems := decode(t, "imkit", `{"messageType":"image","message":"a caption","originalUrl":"https://x.example/a.png","paras":[{"room":"r"}]}`, dialect.Options{Now: accepted})
	require.Empty(t, problems)
	_, text, err := b.Template.Render(&b.Messages[0])
	require.NoError(t, err)
	require.Empty(t, text, "a caption alone is not the message")
}

func TestIMKITExample(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../examples/imkit.json")
	require.NoError(t, err)
	b, problems := decode(t, "imkit", string(body), dialect.Options{Now: accepted})
	require.Empty(t, problems)
	require.Len(t, b.Messages, 5)
	require.Len(t, b.Problems(), 1)
	require.Equal(t, "paras[3]", b.Problems()[0].Path)
}

func TestIMKITFlags(t *testing.T) {
	t.Parallel()
	past := accepted.Add(-time.Hour)
	b, problems := decode(t, "imkit", imkitRequest(1, ""), dialect.Options{Now: accepted, Account: "im", SendAfter: past, TTL: 90 * time.Minute})
	require.Empty(t, problems)
	require.Equal(t, "im", b.Account)
	require.Equal(t, past.UnixMilli(), b.DueAt(&b.Messages[0]), "a time in the past is not moved")
	require.Equal(t, (90 * time.Minute).Milliseconds(), b.Validity(&b.Messages[0]))
}

func BenchmarkDecodeIMKIT(b *testing.B) {
	d, err := dialect.Named("imkit")
	require.NoError(b, err)
	body := []byte(imkitRequest(1000, ""))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if batch, problems := d.Decode(body, dialect.Options{Now: accepted}); len(problems) > 0 || batch.Rejected() > 0 {
			b.Fatal("a valid request is refused")
		}
	}
}
