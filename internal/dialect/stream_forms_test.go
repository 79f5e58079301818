package dialect_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
)

// wanted is a message, or the only problem of one that is rejected.
type wanted struct{ to, name, problem string }

// form writes a file in one of the forms in which files come, and what must be read of
// it.
type form struct {
	rng  *rand.Rand
	text strings.Builder
	// line is the number of the line that is written next.
	line int
	// ends are the line ends of rows; values have the first one.
	ends      []string
	separator string
	encoding  int
	want      []wanted
}

const (
	asUTF8 = iota
	asMarkedUTF8
	asLittleEndian
	asBigEndian
)

// corruptMark stands for what cannot be read in a file's encoding.
const corruptMark = "\ue000"

func newForm(rng *rand.Rand) *form {
	ends := []string{"\n", "\r\n", "\r\r\n", "\r"}
	f := &form{rng: rng, line: 1, ends: ends, separator: []string{",", ";", "\t"}[rng.IntN(3)], encoding: rng.IntN(4)}
	if n := rng.IntN(5); n < 4 {
		f.ends = ends[n : n+1]
	}
	return f
}

func (f *form) end() {
	f.text.WriteString(f.ends[f.rng.IntN(len(f.ends))])
	f.line++
}

func (f *form) cell(value string) {
	if !strings.ContainsAny(value, "\n\""+f.separator) && f.rng.IntN(3) > 0 {
		f.text.WriteString(value)
		return
	}
	f.line += strings.Count(value, "\n")
	value = strings.NewReplacer(`"`, `""`, "\n", f.ends[0]).Replace(value)
	f.text.WriteString(`"` + value + `"`)
}

func (f *form) row(cells ...string) {
	for i, cell := range cells {
		if i > 0 {
			f.text.WriteString(f.separator)
		}
		f.cell(cell)
	}
	f.end()
}

// value is a text of a few of the characters that are hard to read.
func (f *form) value(between ...string) string {
	var b strings.Builder
	for range f.rng.IntN(6) {
		b.WriteString(between[f.rng.IntN(len(between))])
	}
	return b.String()
}

// rows writes CSV of about size bytes.
func (f *form) rows(size int) {
	if f.rng.IntN(3) == 0 {
		f.row(" ", "")
	}
	f.row("to", "name")
	for i := 0; f.text.Len() < size; i++ {
		to, line := fmt.Sprintf("+1555%07d", i), f.line
		name := f.value("a", "é", "，", "😀", "x\ufeffy", "\n", `"`, ",", ";", "\t", " ", "\n\n")
		switch f.rng.IntN(12) {
		case 0:
			f.row("", " \t")
			continue
		case 1:
			f.text.WriteString("\ufeff")
			f.row("to", " name")
			f.want = append(f.want, wanted{problem: fmt.Sprintf("line %d: the row repeats the header", line)})
			continue
		case 2:
			f.row(to, name, name)
			f.want = append(f.want, wanted{problem: fmt.Sprintf("line %d: 3 cells, but the first row names 2 columns", line)})
			continue
		case 3:
			f.row(to, name+corruptMark+name)
			f.want = append(f.want, wanted{problem: fmt.Sprintf("line %d: the row is not in %s", line, f.unicode())})
			continue
		case 4:
			if len(f.ends) == 1 { // a CR and the LF of an empty line are one line end
				f.end()
			}
			line = f.line
			name += "\x00"
			f.row(to, name)
			f.want = append(f.want, wanted{problem: fmt.Sprintf("line %d: the row has the character U+0000", line)})
			continue
		case 5:
			f.text.WriteString("\ufeff")
		case 6: // so that a chunk may end anywhere in what follows
			name = strings.Repeat("z", max(0, 32<<10-8+f.rng.IntN(16)-f.text.Len()%(32<<10)))
		}
		f.row(to, name)
		f.want = append(f.want, wanted{to: to, name: name})
	}
}

// lines writes JSON lines of about size bytes.
func (f *form) lines(size int) {
	f.text.WriteString(`{"text":"Hi ${name}"}`)
	f.end()
	for i := 0; f.text.Len() < size; i++ {
		to, line := fmt.Sprintf("+1555%07d", i), f.line
		name := f.value("a", "é", "，", "😀", "x\ufeffy", "\n", "\r", `"`, " ")
		switch f.rng.IntN(8) {
		case 0:
			f.text.WriteString(" \t")
			f.end()
			continue
		case 1:
			f.text.WriteString(`{"to":"` + corruptMark + `"}`)
			f.end()
			f.want = append(f.want, wanted{problem: fmt.Sprintf("line %d: the line is not in %s", line, f.unicode())})
			continue
		case 2:
			f.text.WriteString("\ufeff")
		}
		params, _ := json.Marshal(map[string]string{"name": name})
		fmt.Fprintf(&f.text, `{"to":%q,"params":%s}`, to, params)
		f.end()
		f.want = append(f.want, wanted{to: to, name: name})
	}
}

func (f *form) unicode() string {
	if f.encoding < asLittleEndian {
		return "UTF-8"
	}
	return "UTF-16"
}

// file is the text in its encoding, mostly without its last line end.
func (f *form) file() []byte {
	text := f.text.String()
	if f.rng.IntN(3) > 0 {
		text = strings.TrimRight(text, "\r\n")
	}
	var order binary.AppendByteOrder = binary.LittleEndian
	switch f.encoding {
	case asMarkedUTF8:
		text = "\ufeff" + text
		fallthrough
	case asUTF8:
		return []byte(strings.ReplaceAll(text, corruptMark, "\xe9"))
	case asBigEndian:
		order = binary.BigEndian
	}
	var out []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		if unit == 0xe000 { // damage
			unit = 0xd83d
		}
		out = order.AppendUint16(out, unit)
	}
	return out
}

// readers give a file in pieces.
var readers = []func(io.Reader) io.Reader{
	func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
}

// holds compares what is read of a file, whole and in pieces, with what must be.
func (f *form) holds(t *testing.T, slow bool) {
	t.Helper()
	body, o := f.file(), dialect.Options{Now: accepted}
	if !strings.HasPrefix(f.text.String(), "{") {
		o.Text = "Hi ${name}"
	}
	d := volley(t)
	b, whole := d.Decode(bytes.Clone(body), o)
	if len(f.want) == 0 {
		require.Len(t, whole, 1)
		require.Equal(t, "messages", whole[0].Path)
		return
	}
	require.Empty(t, whole, "%.500q", body)
	require.Len(t, b.Messages, len(f.want), "%.500q", body)
	for i, m := range b.Messages {
		got := wanted{to: m.To, name: m.Params["name"]}
		if len(m.Problems) > 0 {
			require.Len(t, m.Problems, 1)
			got = wanted{problem: m.Problems[0].Detail}
		}
		if got != f.want[i] {
			require.Equal(t, f.want[i], got, "%.500q", body)
		}
	}
	for i, pieces := range readers {
		if slow && i == 1 {
			continue
		}
		got, problems, s := streamed(t, d, pieces(bytes.NewReader(body)), o)
		require.Empty(t, problems)
		require.True(t, s.Streamed())
		require.Equal(t, b, got, "%.500q", body)
	}
}

func TestAFileReadsTheSameInEveryForm(t *testing.T) {
	t.Parallel()
	for name, sizes := range map[string]struct{ size, count int }{
		"small": {200, 300}, "of a few chunks": {100 << 10, 40}, "read in the background": {2 << 20, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(20261128, uint64(sizes.size)))
			for range sample(sizes.count, 8) {
				size := 1 + rng.IntN(sizes.size)
				csv := newForm(rng)
				csv.rows(size)
				csv.holds(t, sizes.size > 1<<20)
				lines := newForm(rng)
				lines.lines(max(size, 30))
				lines.holds(t, sizes.size > 1<<20)
			}
		})
	}
}
