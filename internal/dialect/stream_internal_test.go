package dialect

// An internal test: how a file is cut is no choice of a caller.

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// files are bodies in JSON lines and CSV with everything that makes cutting hard.
func files(t testing.TB) [][]byte {
	t.Helper()
	out := [][]byte{
		[]byte("to,a\r\nann,\"x\ny\"\r\n\r\nbob,\"\"\"\n\"\"\"\nc,\"d"),
		[]byte("to,a\n1,\"b\"x\n2,c\n"),
		[]byte("to,a\n1,b\n2,c\"\n3,\"d\n"),
		[]byte("to\n\n\n\"a\n\n\nb\"\n\n"),
		[]byte("{}\n\n{\"to\":\"ann\"}\r\n \t\r\n{\"to\":\"bob\",\"params\":{\"a\":\"b\"}}\n7\n{"),
		[]byte("to,a\nann,\xff\nbob,b\n\"\xff\n\",c"),
		[]byte("to,a\r\r\nann,\"x\ry\"\r\rbob,\"\r\r\n\"\n\ufeffto,a\r\ufeffc,d"),
		[]byte(",\n to ;a\nann;\"x;\n\"\n ; \nbob;\x00\nto;b\nc;d\n"),
		[]byte("sep=\t\nto\ta\nann\t\"b\t\"\n\"\"\t\nto\ta\n"),
	}
	for _, pattern := range []string{"*.jsonl", "*.csv"} {
		names, err := filepath.Glob(filepath.Join("testdata", "volley", pattern))
		require.NoError(t, err)
		for _, name := range names {
			body, err := os.ReadFile(name)
			require.NoError(t, err)
			out = append(out, body)
		}
	}
	return out
}

// result is all that a stream gives.
type result struct {
	header   *message.Batch
	messages []message.Message
	problems message.Problems
	refused  bool
	err      error
}

func drain(s *Stream) result {
	defer s.Close()
	out := result{header: s.Header()}
	var m message.Message
	for s.Next(&m) {
		out.messages = append(out.messages, m)
	}
	out.problems, out.refused, out.err = s.Problems(), s.refused, s.Err()
	return out
}

// cutAt streams a file in chunks of a size; ok is false where it is no file.
func cutAt(body []byte, size, most int, background bool, o Options) (out result, ok bool) {
	body, encoding := wholeText(body)
	f, _ := beginVolley(body, encoding, true, o)
	if f == nil {
		return result{}, false
	}
	c := f.splitter(iotest.HalfReader(bytes.NewReader(body[f.used:])))
	c.size, c.most = size, most
	if background {
		return drain(f.stream(newPrefetchReader(c, f.read), o)), true
	}
	return drain(f.stream(&sequentialReader{splitter: c, read: f.read}, o)), true
}

// sameHoweverCut compares a file in one chunk with the same file in many.
func sameHoweverCut(t *testing.T, body []byte) {
	t.Helper()
	for _, o := range []Options{
		{Now: time.Unix(1_800_000_000, 0), Text: "Hi ${a}"},
		{Now: time.Unix(1_800_000_000, 0), Text: "Hi", MaxMessages: 2},
	} {
		for _, most := range []int{12, maxLine} {
			want, ok := cutAt(body, len(body)+1, most, false, o)
			if !ok {
				return
			}
			for _, size := range []int{1, 2, 3, 7, 16, 50} {
				got, _ := cutAt(body, size, most, size%2 == 0, o)
				if !reflect.DeepEqual(want, got) {
					require.Equalf(t, want, got, "%q in chunks of %d, lines of at most %d", body, size, most)
				}
			}
		}
	}
}

func TestAFileIsTheSameHoweverItIsCut(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(20261120, 30))
	for _, body := range files(t) {
		sameHoweverCut(t, body)
		for range 6 {
			damaged := bytes.Clone(body)
			for range 1 + rng.IntN(4) {
				const bytes = "\"\n\r, a{}\\\xff"
				damaged[rng.IntN(len(damaged))] = bytes[rng.IntN(len(bytes))]
			}
			sameHoweverCut(t, damaged)
		}
	}
}

func FuzzCutting(f *testing.F) {
	for _, body := range files(f) {
		f.Add(body)
	}
	f.Fuzz(sameHoweverCut)
}

// A line that is plain must read as it does in every other way.
func samePlain(t *testing.T, line []byte) {
	t.Helper()
	var plain, other volleyRow
	plain.reset(3, 5)
	other.reset(3, 5)
	if !plain.readPlain(line) {
		return
	}
	n, problems := openAny(line)
	require.Empty(t, problems, "%q", line)
	other.readAny(n)
	require.Empty(t, other.problems, "%q", line)
	require.Nil(t, other.metadata, "%q", line)
	require.Len(t, plain.params.pairs, len(other.params.named), "%q", line)
	for _, p := range plain.params.pairs {
		require.Equal(t, other.params.named[p.name], p.value, "%q", line)
	}
	plain.params, other.params = params{}, params{}
	require.Equal(t, other, plain, "%q", line)
}

var plainLines = []string{
	`{}`, ` { } `, `{"to":"ann"}`, "\t{ \"to\" : \"ann\" , \"params\" : { } }\r", `{"to":"\u00e9\n","text":"x","channel":"SMS"}`,
	`{"to":"ann","params":{"a":"1","b":""}}`, `{"\u0074o":"ann"}`, `{"to":"ä€😀","ttl":"1h","sendAfter":"2h","reference":"r"}`,
	`{"to":""}`, `{"to":"\ud83d\ude00"}`,
}

var otherLines = []string{
	``, `{`, `{}}`, `{} {}`, `{"to"}`, `{"to":}`, `{"to":"ann",}`, `{,}`, `{"to":"ann" "text":"b"}`, `{"to":1}`, `{"to":null}`,
	`{"to":"ann","to":"bob"}`, `{"params":{},"params":{"a":"b"}}`, `{"params":{"a":"1","a":"2"}}`, `{"text":""}`, `{"channel":""}`,
	`{"x":"y"}`, `{"metadata":{}}`, `{"params":{"a":1}}`, `{"params":[]}`, `{"to":"a` + "\t" + `"}`, `{"to":"\x"}`, `{"to":"\`, `{"to":"a\"}`,
	`{"to":"\ud800"}`, `{"to":"\u0000"}`, `{"params":{"\ude00":""}}`, "{\"to\":\"\xff\"}", "{}\x00", "\v{}", `{"params":{` + strings.Repeat(`"a":"b",`, 20) + `"c":"d"}}`,
}

func TestPlainLines(t *testing.T) {
	t.Parallel()
	for _, line := range plainLines {
		t.Run(line+" is read in one pass", func(t *testing.T) {
			t.Parallel()
			require.True(t, new(volleyRow).readPlain([]byte(line)))
			samePlain(t, []byte(line))
		})
	}
	for _, line := range otherLines {
		t.Run(line+" is not", func(t *testing.T) {
			t.Parallel()
			require.False(t, new(volleyRow).readPlain([]byte(line)))
		})
	}
}

func FuzzPlainLine(f *testing.F) {
	for _, line := range append(plainLines, otherLines...) {
		f.Add([]byte(line))
	}
	f.Fuzz(samePlain)
}

func FuzzQuoting(f *testing.F) {
	for _, row := range []string{"a,b\n", "\"a\nb\",\"\"\"\"\r\n", `a"`, `"a"b`, "\"a\"\rb\n", "\"a\"\r", `"`, "a\r\n"} {
		f.Add([]byte(row))
	}
	f.Fuzz(sameQuoting)
}

// sameQuoting compares where a row of CSV ends, and whether it is broken, with
// what the standard library says.
func sameQuoting(t *testing.T, row []byte) {
	t.Helper()
	if len(row) == 0 || row[0] == '\n' || bytes.IndexByte(row, '\r') >= 0 {
		return // empty lines, of which no row is made, and what there is none of in a text
	}
	r := newCSV(row, ',')
	_, err := r.Read()
	q := quoting{separator: ','}
	end, broken := q.rowEnd(row, 1)
	if end == 0 && broken == "" {
		end, broken = len(row), q.end(1+bytes.Count(row, newline))
	}
	if err == nil {
		require.Empty(t, broken, "%q", row)
		require.EqualValues(t, r.InputOffset(), end, "%q", row)
		return
	}
	var p *csv.ParseError
	require.ErrorAs(t, err, &p)
	require.Contains(t, broken, p.Err.Error(), "%q", row)
}

func TestQuotingIsThatOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	const alphabet = "a,;\"\"\"\n"
	rng := rand.New(rand.NewPCG(20261120, 31))
	for range 50_000 {
		row := make([]byte, 1+rng.IntN(10))
		for i := range row {
			row[i] = alphabet[rng.IntN(len(alphabet))]
		}
		sameQuoting(t, row)
	}
}

func TestChunksInTheBackground(t *testing.T) {
	t.Parallel()
	o := Options{Now: time.Unix(1_800_000_000, 0), Text: "Hi"}
	body := []byte("to\n" + strings.Repeat("ann\n", 1_000))

	t.Run("a file that cannot be read to its end gives the rows before, and the error", func(t *testing.T) {
		t.Parallel()
		gone := errors.New("gone")
		f, problems := beginVolley(body, utf8Encoding, true, o)
		require.Empty(t, problems)
		c := f.splitter(io.MultiReader(strings.NewReader("ann\nbob\ncar"), iotest.ErrReader(gone)))
		got := drain(f.stream(newPrefetchReader(c, f.read), o))
		require.ErrorIs(t, got.err, gone)
		require.Len(t, got.messages, 2)
		require.Empty(t, got.problems)
	})

	t.Run("a stream may be closed at any time, and twice", func(t *testing.T) {
		t.Parallel()
		for _, read := range []int{0, 1, 500} {
			f, _ := beginVolley(body, utf8Encoding, true, o)
			c := f.splitter(bytes.NewReader(body[f.used:]))
			c.size = 64
			s := f.stream(newPrefetchReader(c, f.read), o)
			var m message.Message
			for range read {
				require.True(t, s.Next(&m))
			}
			s.Close()
			s.Close()
			for s.Next(&m) {
			}
		}
	})

	t.Run("a line of exactly the most bytes is read, one of a byte more is not", func(t *testing.T) {
		t.Parallel()
		for _, end := range []string{"", "\n"} {
			longest := strings.Repeat("x", 20)
			got, ok := cutAt([]byte("to\nann\n"+longest+"\n"+longest+"y\nbob\n"+longest+end), 8, 20, true, o)
			require.True(t, ok)
			require.Len(t, got.messages, 5)
			for i, m := range got.messages {
				require.Equalf(t, i == 2, len(m.Problems) > 0, "message %d", i)
			}
			require.Equal(t, message.Problem{
				Index: 2, Path: "messages[2]", Code: message.CodeTooLong, Detail: "line 4: at most 1048576 bytes are one message",
			}, got.messages[2].Problems[0])
		}
	})
}
