package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

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

func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.stdout, format, args...) }

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
	a.printf("%s", out.String())
}

// colours reports whether stdout is a terminal and NO_COLOR is not set.
func (a *app) colours() bool {
	if v, _ := a.env.LookupEnv("NO_COLOR"); v != "" {
		return false
	}
	return a.terminal(a.stdout)
}

// printable keeps what others wrote from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
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

func batchColour(s message.BatchState) colour {
	switch s {
	case message.BatchCompleted:
		return green
	case message.BatchFailed:
		return red
	case message.BatchPaused, message.BatchCanceling, message.BatchCanceled:
		return yellow
	case message.BatchRunning:
		return cyan
	}
	return 0
}

// plural writes "1 message", "2 messages".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

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
