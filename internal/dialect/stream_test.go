package dialect_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

const streamLimit = 64 << 20

// streamed reads a request as a stream and gathers what Decode would return.
func streamed(t testing.TB, d dialect.Dialect, r io.Reader, o dialect.Options) (*message.Batch, message.Problems, *dialect.Stream) {
	t.Helper()
	s, err := dialect.Open(d, r, streamLimit, o)
	require.NoError(t, err)
	defer s.Close()
	b := s.Header()
	var m message.Message
	for s.Next(&m) {
		if b != nil {
			b.Messages = append(b.Messages, m)
		}
	}
	require.NoError(t, s.Err())
	if b != nil {
		b.Warnings = s.Warnings()
	}
	return b, s.Problems(), s
}

// agree holds a stream to what Decode returns.
func agree(t *testing.T, d dialect.Dialect, body []byte, o dialect.Options) {
	t.Helper()
	want, wantWhole := d.Decode(body, o)
	got, whole, s := streamed(t, d, bytes.NewReader(body), o)
	require.Equal(t, wantWhole, whole)
	if len(whole) > 0 {
		return
	}
	require.Equal(t, len(want.Messages), s.Count())
	if len(want.Messages) == 0 {
		want.Messages = nil
	}
	if !reflect.DeepEqual(want, got) {
		require.Equal(t, want, got)
	}
}

func TestAStreamGivesWhatDecodeGives(t *testing.T) {
	t.Parallel()
	for _, d := range dialect.All() {
		for _, r := range requests(t, d.Name) {
			t.Run(d.Name+" "+r.name, func(t *testing.T) {
				t.Parallel()
				agree(t, d, r.body, r.options)
			})
		}
	}
	t.Run("of files larger than what is read ahead", func(t *testing.T) {
		t.Parallel()
		d := volley(t)
		for seed := range sample(4, 4) {
			lines, rows := manyRows(rand.New(rand.NewPCG(20261120, uint64(seed))), 20_000)
			for _, o := range []dialect.Options{
				{Now: accepted, Text: "Hi ${name}"}, {Now: accepted, Text: "Hi", MaxMessages: 15_000},
			} {
				agree(t, d, lines, o)
				agree(t, d, rows, o)
				agree(t, d, append(rows, "a,\"b\"c,d\n"...), o)
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	for _, seed := range seeds(f, "volley") {
		f.Add(seed)
	}
	d, err := dialect.Named("volley")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, o := range damageOptions() {
			agree(t, d, body, o)
		}
	})
}

func volley(t testing.TB) dialect.Dialect {
	t.Helper()
	d, err := dialect.Named("volley")
	require.NoError(t, err)
	return d
}

// manyRows are JSON lines and CSV with a few of everything: empty lines, quotes,
// line ends inside of quotes, escapes, and rows that are wrong.
func manyRows(rng *rand.Rand, count int) (lines, rows []byte) {
	var l, r bytes.Buffer
	l.WriteString("{\"text\":\"Hi ${name}\",\"metadata\":{\"a\":1}}\n")
	r.WriteString("to,name,ttl\r\n")
	oddLines := []string{
		"", "  ", "7", "{", `{"to":1}`, `{"to":"x","to":"y"}`, `{ "to" : "x", "params" : { "name" : "n\u00e9" } }`,
		`{"to":"x","params":{"name":"a"},"metadata":{"b": [1, 2]}}`, `{"to":"x","text":"own ${a}"}`, `{"to":"x","ttl":"soon"}`,
		`{"to":"` + strings.Repeat("y", 2_000) + `"}`,
	}
	oddRows := []string{"", "x", "x,y,soon", "\"x\",\"a \"\"b\"\"\",1h", "x,\"a\nb\n\nc\",", ",,", strings.Repeat("y", 2_000) + ",a,1m"}
	for i := range count {
		if rng.IntN(20) == 0 {
			l.WriteString(oddLines[rng.IntN(len(oddLines))] + "\n")
			r.WriteString(oddRows[rng.IntN(len(oddRows))] + "\r\n")
			continue
		}
		fmt.Fprintf(&l, `{"to":"+1555%07d","reference":"order-%d","params":{"name":"Ann %d"},"ttl":"1h"}`+"\n", i, i, i)
		fmt.Fprintf(&r, "+1555%07d,Ann %060d,1h\n", i, i)
	}
	return l.Bytes(), r.Bytes()
}

func TestOpenStream(t *testing.T) {
	t.Parallel()

	t.Run("streams JSON lines and CSV, and nothing else", func(t *testing.T) {
		t.Parallel()
		for body, want := range map[string]bool{
			"{\"text\":\"Hi\"}\n{\"to\":\"ann\"}\n":         true,
			"to\nann\n":                                     true,
			"\ufeff\n\nto\nann":                             true,
			`{"text":"Hi","messages":[{"to":"ann"}]}`:       false,
			"{\n\"text\":\"Hi\",\"messages\":[{\"to\":1}]}": false,
		} {
			_, whole, s := streamed(t, volley(t), strings.NewReader(body), dialect.Options{Now: accepted, Text: "Hi"})
			require.Empty(t, whole)
			require.Equal(t, want, s.Streamed(), "%q", body)
			require.Equal(t, 1, s.Count())
		}
	})

	t.Run("has no header of a refused request, and still shows the problems of messages", func(t *testing.T) {
		t.Parallel()
		s, err := dialect.Open(volley(t), strings.NewReader("{\"priority\":9}\n{\"to\":1}\n"), streamLimit, dialect.Options{Now: accepted})
		require.NoError(t, err)
		require.Nil(t, s.Header())
		require.Equal(t, "priority", s.Problems()[0].Path)
		var m message.Message
		require.True(t, s.Next(&m))
		require.NotEmpty(t, m.Problems)
		require.False(t, s.Next(&m))
		require.Len(t, s.Problems(), 1)
	})

	t.Run("a request that is no stream must fit the limit, a stream may be larger", func(t *testing.T) {
		t.Parallel()
		_, err := dialect.Open(volley(t), strings.NewReader(`{"text":"Hi","messages":[{"to":"ann"}]}`), 10, dialect.Options{Now: accepted})
		require.ErrorContains(t, err, "larger than 10 bytes")
		s, err := dialect.Open(volley(t), strings.NewReader("to\nann\nbob\n"), 10, dialect.Options{Now: accepted, Text: "Hi"})
		require.NoError(t, err)
		var m message.Message
		require.True(t, s.Next(&m))
	})

	t.Run("a header that does not fit what is looked at is read whole", func(t *testing.T) {
		t.Parallel()
		d, o := volley(t), dialect.Options{Now: accepted, Text: "Hi"}
		long := strings.Repeat("x", 2<<20)
		for _, body := range []string{
			`{"text":"` + long + "\"}\n{\"to\":\"ann\"}\n", "to," + long + "\nann,b\n", "to,\"a\n" + long + "\"\nann,b\n",
			strings.Repeat("\n", 2<<20) + "to\nann\n", `{"messages":[` + "\n" + strings.Repeat("\n", 2<<20) + "]}", `"` + long + `"`,
		} {
			agree(t, d, []byte(body), o)
			_, _, s := streamed(t, d, strings.NewReader(body), o)
			require.False(t, s.Streamed())
		}
	})

	t.Run("a line or row of more than 1 MiB is one rejected message", func(t *testing.T) {
		t.Parallel()
		d, o := volley(t), dialect.Options{Now: accepted, Text: "Hi"}
		long := strings.Repeat("x", 5<<20)
		for _, body := range []string{
			"{}\n{\"to\":\"ann\"}\n{\"to\":\"" + long + "\"}\n{\"to\":\"bob\"}\n", "to\nann\n" + long + "\nbob\n",
			"to\nann\n\"" + strings.ReplaceAll(long, "xxxx", "\"\"x\n") + "\"\nbob\n",
			"to\rann\r\"" + strings.ReplaceAll(long, "xxxx", "\"\"x\r") + "\"\rbob\r",
			"to;name\nann;\n\"" + strings.ReplaceAll(long, "xxxx", "\"\"x\n") + "\";\"a\nb\"\nbob;\n",
		} {
			agree(t, d, []byte(body), o)
			b, whole, _ := streamed(t, d, strings.NewReader(body), o)
			require.Empty(t, whole)
			require.Len(t, b.Messages, 3)
			require.Equal(t, 1, b.Rejected())
			require.Equal(t, message.CodeTooLong, b.Messages[1].Problems[0].Code)
			require.Equal(t, "messages[1]", b.Messages[1].Problems[0].Path)
			require.Contains(t, b.Messages[1].Problems[0].Detail, "line 3: ")
			require.Equal(t, "bob", b.Messages[2].To)
		}
	})

	t.Run("quotes that are never closed refuse the whole", func(t *testing.T) {
		t.Parallel()
		for _, end := range []string{"\n", "\r", "\r\r\n"} {
			body := "to" + end + "ann" + end + "\"" + strings.Repeat("x"+end, 1<<20)
			agree(t, volley(t), []byte(body), dialect.Options{Now: accepted, Text: "Hi"})
			_, whole, _ := streamed(t, volley(t), strings.NewReader(body), dialect.Options{Now: accepted, Text: "Hi"})
			require.Len(t, whole, 1)
			require.Equal(t, message.CodeFormat, whole[0].Code)
			require.Contains(t, whole[0].Detail, "the row begins on line 3, where a quote may be missing")
		}
	})

	t.Run("a file without a line end that is larger than 1 MiB is refused or rejected, and never kept", func(t *testing.T) {
		t.Parallel()
		for body, detail := range map[string]string{
			strings.Repeat("x", 5<<20):                            "there is no column",
			strings.Repeat("\x00", 5<<20):                         "line 1: the character U+0000",
			"to\nann\n" + strings.Repeat("\x00", 5<<20) + "\nbob": "line 3: at most 1048576 bytes are one message",
		} {
			o := dialect.Options{Now: accepted, Text: "Hi"}
			agree(t, volley(t), []byte(body), o)
			b, whole, _ := streamed(t, volley(t), strings.NewReader(body), o)
			if b != nil {
				require.Len(t, b.Messages, 3)
				whole = b.Problems()
			}
			require.Contains(t, whole.Error(), detail)
		}
	})

	t.Run("what is not UTF-8 is one rejected message", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{"{}\n{\"to\":\"ann\"}\n{\"to\":\"\xff\"}\n{\"to\":\"bob\"}\n", "to\nann\n\xff\nbob\n"} {
			agree(t, volley(t), []byte(body), dialect.Options{Now: accepted, Text: "Hi"})
			b, whole, _ := streamed(t, volley(t), strings.NewReader(body), dialect.Options{Now: accepted, Text: "Hi"})
			require.Empty(t, whole)
			require.Len(t, b.Messages, 3)
			require.Equal(t, []int{0, 1, 0}, []int{
				len(b.Messages[0].Problems) / max(len(b.Messages[0].Problems), 1), len(b.Messages[1].Problems), len(b.Messages[2].Problems),
			})
			require.Equal(t, message.CodeFormat, b.Messages[1].Problems[0].Code)
		}
	})

	t.Run("keeps the first 100 problems of a message", func(t *testing.T) {
		t.Parallel()
		line := `{"to":"ann"`
		for i := range 150 {
			line += fmt.Sprintf(`,"x%d":1`, i)
		}
		b, _, _ := streamed(t, volley(t), strings.NewReader("{\"text\":\"Hi\"}\n"+line+"}\n"), dialect.Options{Now: accepted})
		require.Len(t, b.Messages[0].Problems, 100)
	})

	t.Run("reads the body once, in order and to its end", func(t *testing.T) {
		t.Parallel()
		lines, rows := manyRows(rand.New(rand.NewPCG(20261120, 9)), 20_000)
		for _, body := range [][]byte{lines, rows, []byte("to\nann"), []byte(`{"messages":[]}`)} {
			h := sha256.New()
			_, _, _ = streamed(t, volley(t), io.TeeReader(bytes.NewReader(body), h), dialect.Options{Now: accepted, Text: "Hi"})
			require.Equal(t, sha256.Sum256(body), [32]byte(h.Sum(nil)))
		}
	})

	t.Run("says that reading failed, at once or later", func(t *testing.T) {
		t.Parallel()
		gone := errors.New("gone")
		_, rows := manyRows(rand.New(rand.NewPCG(20261120, 9)), 20_000)
		for _, d := range dialect.All() {
			_, err := dialect.Open(d, iotest.ErrReader(gone), streamLimit, dialect.Options{Now: accepted})
			require.ErrorIs(t, err, gone)
		}
		s, err := dialect.Open(volley(t), io.MultiReader(bytes.NewReader(rows), iotest.ErrReader(gone)), streamLimit, dialect.Options{Now: accepted, Text: "Hi"})
		require.NoError(t, err)
		var m message.Message
		for s.Next(&m) {
		}
		require.ErrorIs(t, s.Err(), gone)
		require.Positive(t, s.Count())
	})
}
