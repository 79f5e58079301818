package dialect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

func TestVolleyTellsItsFormatsApart(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body string }{
		{"a JSON document on one line", `{"text":"Hi","messages":[{"to":"ann"}]}`},
		{"a JSON document on many lines", "{\n\"text\":\"Hi\",\n\"messages\":[\n{\"to\":\"ann\"}\n]\n}\n"},
		{"JSON lines", "{\"text\":\"Hi\"}\n{\"to\":\"ann\"}\n"},
		{"JSON lines without a last newline", "{\"text\":\"Hi\"}\n{\"to\":\"ann\"}"},
		{"JSON lines with CRLF and empty lines", "\r\n{\"text\":\"Hi\"}\r\n\r\n{\"to\":\"ann\"}\r\n\r\n"},
		{"CSV", "to\nann\n"},
		{"CSV in quotes", "\"to\"\r\n\"ann\""},
	}
	for _, tt := range tests {
		for _, mark := range []string{"", "\ufeff"} {
			t.Run(fmt.Sprintf("%s, %d bytes of order mark", tt.name, len(mark)), func(t *testing.T) {
				t.Parallel()
				b, whole := decode(t, "volley", mark+tt.body, dialect.Options{Text: "Hi"})
				require.Empty(t, whole)
				require.Empty(t, b.Problems())
				require.Len(t, b.Messages, 1)
				require.Equal(t, "ann", b.Messages[0].To)
				_, text, err := b.Template.Render(&b.Messages[0])
				require.NoError(t, err)
				require.Equal(t, "Hi", text)
			})
		}
	}
}

func TestVolleyOptions(t *testing.T) {
	t.Parallel()
	header := `"account":"body","channel":"SMS","text":"body","sendAfter":"1h","ttl":"1h"`
	flags := dialect.Options{
		Account: "flag", Channel: "RCS", Text: "flag", SendAfter: accepted.Add(2 * time.Hour), TTL: 2 * time.Hour,
	}

	t.Run("account and times of the options beat the header's, text and channel do not", func(t *testing.T) {
		t.Parallel()
		b, whole := decode(t, "volley", `{`+header+`,"messages":[{"to":"ann"}]}`, flags)
		require.Empty(t, whole)
		require.Equal(t, "flag", b.Account)
		require.Equal(t, accepted.Add(2*time.Hour).UnixMilli(), b.DueAt(&b.Messages[0]))
		require.Equal(t, (2 * time.Hour).Milliseconds(), b.Validity(&b.Messages[0]))
		require.Equal(t, []string{"SMS"}, b.Messages[0].Channels)
		_, text, err := b.Template.Render(&b.Messages[0])
		require.NoError(t, err)
		require.Equal(t, "body", text)
	})

	t.Run("a message's own times beat the options", func(t *testing.T) {
		t.Parallel()
		b, whole := decode(t, "volley", `{`+header+`,"messages":[{"to":"ann","sendAfter":"5m","ttl":"6m"}]}`, flags)
		require.Empty(t, whole)
		require.Equal(t, accepted.Add(5*time.Minute).UnixMilli(), b.DueAt(&b.Messages[0]))
		require.Equal(t, (6 * time.Minute).Milliseconds(), b.Validity(&b.Messages[0]))
	})
}

func TestVolleyReportsAHeaderAndItsMessagesTogether(t *testing.T) {
	t.Parallel()
	b, whole := decode(t, "volley", `{"priority":9,"text":"Hi","messages":[{"to":"ann"},{"to":1}]}`, dialect.Options{})
	require.Len(t, whole, 1)
	require.Equal(t, "priority", whole[0].Path)
	require.NotNil(t, b)
	require.Len(t, b.Problems(), 1)
	require.Equal(t, "messages[1].to", b.Problems()[0].Path)
}

func TestVolleyTimes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, sendAfter string
		due             time.Time
	}{
		{"a duration counts from now", "90s", accepted.Add(90 * time.Second)},
		{"a time has its own zone", "2026-11-20T14:00:00+01:00", accepted.Add(time.Hour)},
		{"a time in the past is not moved", "2026-11-20T11:00:00Z", accepted.Add(-time.Hour)},
		{"a part of a millisecond is rounded up, never down", "2026-11-20T12:00:00.0000001Z", accepted.Add(time.Millisecond)},
		{"exactly a year is not too far", "8760h", accepted.Add(8760 * time.Hour)},
		{"the epoch is a time like others", "1970-01-01T00:00:00Z", time.UnixMilli(1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, body := range []string{
				`{"text":"Hi","sendAfter":"` + tt.sendAfter + `","messages":[{"to":"ann"}]}`,
				`{"text":"Hi","sendAfter":"2h","messages":[{"to":"ann","sendAfter":"` + tt.sendAfter + `"}]}`,
				"to,send_after\nann," + tt.sendAfter,
			} {
				b, whole := decode(t, "volley", body, dialect.Options{Text: "Hi"})
				require.Empty(t, whole)
				require.Empty(t, b.Problems())
				require.Equal(t, tt.due.UnixMilli(), b.DueAt(&b.Messages[0]))
			}
		})
	}

	t.Run("a time to live is never rounded to none", func(t *testing.T) {
		t.Parallel()
		b, whole := decode(t, "volley", `{"text":"Hi","ttl":"1ns","messages":[{"to":"ann"},{"to":"bob","ttl":"1us"}]}`, dialect.Options{})
		require.Empty(t, whole)
		require.EqualValues(t, 1, b.Validity(&b.Messages[0]))
		require.EqualValues(t, 1, b.Validity(&b.Messages[1]))
	})

	t.Run("a time to live of centuries is legal and cut", func(t *testing.T) {
		t.Parallel()
		b, whole := decode(t, "volley", `{"text":"Hi","ttl":"2500000h","messages":[{"to":"ann"}]}`, dialect.Options{})
		require.Empty(t, whole)
		require.Equal(t, message.MaxTTL.Milliseconds(), b.Validity(&b.Messages[0]))
	})
}

// Which placeholders a text has is known to the decoder and to the rendering
// apart; they must agree.
func TestVolleyFindsThePlaceholdersThatRenderingFills(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "$", "${", "${}", "${a", "$a}", "${a}", "$${a}", "${a}${b}", "${ a }", "${a${b}}", "${a}}", "${{a}}",
		"${a$b}", "${é}", "${a.b[0]}", "${a\nb}", "{a}", "$ {a}", "${\u2028}",
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			t.Parallel()
			b, whole := decode(t, "volley", "to\nann\n", dialect.Options{Text: "." + text})
			require.Empty(t, whole)
			m := b.Messages[0]
			_, _, err := b.Template.Render(&m)
			if len(m.Problems) == 0 {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.Equal(t, message.CodeParameter, m.Problems[0].Code)
			var missing *message.ParameterError
			require.ErrorAs(t, err, &missing)
			require.Contains(t, m.Problems[0].Detail, "${"+missing.Name+"}")
		})
	}
}

func TestVolleyCSVNamesTheRowWhoseQuoteIsNeverClosed(t *testing.T) {
	t.Parallel()
	const detail = ": extraneous or missing \" in quoted-field; the row begins on line 3, where a quote may be missing"
	for name, cell := range map[string]string{"short": "b", "longer than a row may be": strings.Repeat("b", 2<<20)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := dialect.Named("volley")
			require.NoError(t, err)
			s, err := dialect.Open(d, strings.NewReader("to,name\nann,a\nbob,\""+cell+"\ncid,c\ndan,d\n"), 1<<30, dialect.Options{Text: "Hi"})
			require.NoError(t, err)
			for m := (message.Message{}); s.Next(&m); m = (message.Message{}) {
			}
			require.Len(t, s.Problems(), 1)
			require.Contains(t, s.Problems()[0].Detail, detail)
		})
	}
}

func TestVolleyMetadata(t *testing.T) {
	t.Parallel()
	b, whole := decode(t, "volley", `{"text":"Hi","metadata":{"b":1.0,"a":"<"},"messages":[
		{"to":"ann"},{"to":"bob","metadata":{"c":[],"b":null}}]}`, dialect.Options{})
	require.Empty(t, whole)
	require.Equal(t, `{"b":1.0,"a":"<"}`, string(b.Metadata))
	require.Nil(t, b.Messages[0].Metadata, "the batch's stands for it")
	require.Equal(t, `{"b":null,"a":"<","c":[]}`, string(b.Messages[1].Metadata))
}

func TestVolleyCSVNeverTakesAMisspeltColumnForAParameter(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"sendAfter": "send_after", "SEND_AFTER": "send_after", "send after": "send_after", "Send-After": "send_after",
		"TTL": "ttl", "Channel": "channel", "Reference": "reference",
	}
	for column, meant := range tests {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			_, whole := decode(t, "volley", "to,"+column+"\nann,x\n", dialect.Options{Text: "Hi"})
			require.Len(t, whole, 1)
			require.Equal(t, message.CodeUnknownField, whole[0].Code)
			require.Equal(t, "columns[1]", whole[0].Path)
			require.Contains(t, whole[0].Detail, fmt.Sprintf("%q", meant))
		})
	}
}

func BenchmarkVolley(b *testing.B) {
	const messages = 10_000
	items := make([]string, messages)
	rows := make([]string, messages)
	for i := range messages {
		items[i] = fmt.Sprintf(`{"to":"+1555%07d","reference":"r-%d","params":{"name":"Ann","code":"%d"}}`, i, i, i)
		rows[i] = fmt.Sprintf("+1555%07d,r-%d,Ann,%d", i, i, i)
	}
	header := `"account":"hook","text":"Hi ${name}: ${code}"`
	bodies := map[string]string{
		"json":  `{` + header + `,"messages":[` + strings.Join(items, ",") + `]}`,
		"jsonl": `{` + header + "}\n" + strings.Join(items, "\n"),
		"csv":   "to,reference,name,code\n" + strings.Join(rows, "\n"),
	}
	for _, format := range []string{"json", "jsonl", "csv"} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bodies[format])))
			for b.Loop() {
				batch, whole := decode(b, "volley", bodies[format], dialect.Options{Now: accepted, Text: "Hi ${name}: ${code}"})
				require.Empty(b, whole)
				require.Len(b, batch.Messages, messages)
			}
		})
	}
}

func TestVolleyKeepsTheParametersThatTheTextUses(t *testing.T) {
	t.Parallel()
	b, problems := decode(t, "volley", `{"text":"Hi ${name}","messages":[
		{"to":"did:plc:a","params":{"name":"Ann","row":"1"}},
		{"to":"did:plc:a","params":{"name":"Ann","row":"2"}},
		{"to":"did:plc:a","params":{"name":"Ann","row":"3"},"text":"Row ${row}"}]}`, dialect.Options{Now: accepted})
	require.Empty(t, problems)
	require.Empty(t, b.Problems())
	require.Equal(t, map[string]string{"name": "Ann"}, b.Messages[0].Params)
	require.Equal(t, map[string]string{"row": "3"}, b.Messages[2].Params)
	require.Equal(t, b.Messages[0].HashFor("a"), b.Messages[1].HashFor("a"), "what no reader sees does not tell two messages apart")
	require.NotEqual(t, b.Messages[0].HashFor("a"), b.Messages[2].HashFor("a"))
}

func TestAFileHasABoundedNumberOfColumns(t *testing.T) {
	t.Parallel()
	columns := make([]string, 1001)
	for i := range columns {
		columns[i] = fmt.Sprint("c", i)
	}
	d, err := dialect.Named("volley")
	require.NoError(t, err)
	_, problems := d.Decode([]byte(strings.Join(columns, ",")+"\na\n"), dialect.Options{Now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), Text: "Hi"})
	require.Len(t, problems, 1)
	require.Equal(t, "line 1: the first row has 1001 cells, at most 1000 columns are possible", problems[0].Detail)
}

func TestVolleySensitive(t *testing.T) {
	t.Parallel()
	d, err := dialect.Named("volley")
	require.NoError(t, err)
	for body, want := range map[string]bool{
		`{"sensitive":true,"text":"x","messages":[{"to":"+15550001111"}]}`:  true,
		`{"sensitive":false,"text":"x","messages":[{"to":"+15550001111"}]}`: false,
		"{\"sensitive\":true,\"text\":\"x\"}\n{\"to\":\"+15550001111\"}\n":  true,
	} {
		b, problems := d.Decode([]byte(body), dialect.Options{})
		require.Empty(t, problems)
		require.Equal(t, want, b.Sensitive)
	}
	_, problems := d.Decode([]byte(`{"sensitive":"yes","text":"x","messages":[{"to":"+15550001111"}]}`), dialect.Options{})
	require.Equal(t, "sensitive", problems[0].Path)
}
