package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"volley/internal/message"
)

// encode writes v as one line of JSON.
func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// print writes the one JSON document of a command.
func (a *app) print(v any) error { return encode(a.stdout, v) }

// printf writes to stdout what a person reads; every text in args is made printable.
func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.stdout, format, harmless(args)...) }

// harmless makes the texts in args printable.
func harmless(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			arg = printable(v)
		case error:
			arg = printable(v.Error())
		}
		out[i] = arg
	}
	return out
}

// colour is the number of an ANSI colour; 0 is none.
type colour int

const (
	red    colour = 31
	green  colour = 32
	yellow colour = 33
	cyan   colour = 36
	faint  colour = 2
)

// cell is one field of a table.
type cell struct {
	text   string
	colour colour
}

// table is rows whose columns are as wide as their widest cell.
type table struct {
	rows [][]cell
	// right are the columns that hold numbers.
	right map[int]bool
}

func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

func (t *table) texts(texts ...string) {
	cells := make([]cell, len(texts))
	for i, s := range texts {
		cells[i].text = s
	}
	t.row(cells...)
}

// width is that of the whole table.
func (t *table) width() int {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], uniseg.StringWidth(printable(c.text)))
		}
	}
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	return total
}

// drop takes a column out.
func (t *table) drop(column int) {
	right := map[int]bool{}
	for i := range t.right {
		if i > column {
			i--
		}
		right[i] = true
	}
	t.right = right
	for i, row := range t.rows {
		t.rows[i] = slices.Delete(row, column, column+1)
	}
}

// table writes t to stdout, in colour where that is a terminal that wants it.
func (a *app) table(t *table) {
	var widths []int
	own := make([][]int, len(t.rows))
	for r, row := range t.rows {
		own[r] = make([]int, len(row))
		for i := range row {
			row[i].text = printable(row[i].text)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			own[r][i] = uniseg.StringWidth(row[i].text)
			widths[i] = max(widths[i], own[r][i])
		}
	}
	colours := a.colours()
	var out strings.Builder
	for r, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-own[r][i])
			text := c.text
			if colours && c.colour != 0 && text != "" {
				text = fmt.Sprintf("\x1b[%dm%s\x1b[0m", c.colour, text)
			}
			switch {
			case t.right[i]:
				text = pad + text
			case i < len(row)-1:
				text += pad
			}
			if i > 0 {
				line.WriteString("  ")
			}
			line.WriteString(text)
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, _ = io.WriteString(a.stdout, out.String()) // each cell is printable
}

// colours reports whether stdout is a terminal and NO_COLOR is not set.
func (a *app) colours() bool {
	if v, _ := a.env.LookupEnv("NO_COLOR"); v != "" {
		return false
	}
	return a.terminal(a.stdout)
}

// printable keeps what others wrote from steering the terminal: control characters and
// ends of lines become spaces, and what changes the direction of text, or cannot be
// seen and is in no word, shows its code.
func printable(s string) string {
	harmful := func(r rune) bool { return unicode.IsControl(r) || hidden(r) }
	if strings.IndexFunc(s, harmful) < 0 && utf8.ValidString(s) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			out.WriteByte(' ')
		case hidden(r):
			fmt.Fprintf(&out, "<U+%04X>", r)
		default:
			out.WriteRune(r) // a byte that is no UTF-8 is U+FFFD by now
		}
	}
	return out.String()
}

// hidden reports whether r is a format character that cannot be seen. Joiners are none
// of them: words of many scripts and emoji have them.
func hidden(r rune) bool {
	const nonJoiner, joiner = 0x200C, 0x200D
	switch {
	case r < 0x80:
		return false
	case r == nonJoiner, r == joiner, r >= 0xE0020 && r <= 0xE007F, // the last are of flags
		unicode.Is(unicode.Prepended_Concatenation_Mark, r): // seen, in numbers and the like
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// clipWidth cuts s to a number of columns.
func clipWidth(s string, columns int) string {
	if uniseg.StringWidth(s) <= columns {
		return s
	}
	var out strings.Builder
	left := columns - 1
	for g := uniseg.NewGraphemes(s); g.Next() && left >= g.Width(); left -= g.Width() {
		out.WriteString(g.Str())
	}
	return out.String() + "…"
}

func stateColour(s message.State) colour {
	switch s {
	case message.Sent, message.Delivered:
		return green
	case message.Failed, message.Undelivered, message.Rejected:
		return red
	case message.Expired, message.Canceled, message.Unknown, message.Retrying:
		return yellow
	case message.Sending:
		return cyan
	}
	return 0
}

// batchColour is red as soon as a message has failed, and green only where every one
// was sent.
func batchColour(st message.Status) colour {
	var worst colour
	if c := st.Counts; c != nil {
		switch {
		case c[message.Failed]+c[message.Undelivered] > 0:
			return red
		case c[message.Sent]+c[message.Delivered]+c.Open() < st.Total:
			worst = yellow
		}
	}
	switch st.State {
	case message.BatchFailed:
		return red
	case message.BatchCompleted:
		if worst == 0 {
			return green
		}
		return worst
	case message.BatchPaused, message.BatchCanceling, message.BatchCanceled:
		return yellow
	case message.BatchRunning:
		return cyan
	}
	return 0
}

// number writes 5,000, and plural "1 message" or "5,000 messages".
func number(n int) string { return message.Number(n) }

func plural(n int, noun string) string { return message.Plural(n, noun) }

// facts returns what adds a line of a name and a value, and one of a name and a
// time; an empty value and no time add none.
func (t *table) facts(now time.Time) (line func(name, value string), at func(name string, v *time.Time)) {
	line = func(name, value string) {
		if value != "" {
			t.row(cell{name, faint}, cell{value, 0})
		}
	}
	at = func(name string, v *time.Time) {
		if v != nil {
			line(name, when(*v, now))
		}
	}
	return line, at
}
