package main

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rivo/uniseg"
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
	// below are what stands on a line of its own below a row, by the row's place.
	below map[int]cell
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

// widthWithout is the width of the table without what a column holds.
func (t *table) widthWithout(column int) int {
	widest := 0
	for _, row := range t.rows {
		widest = max(widest, uniseg.StringWidth(printable(row[column].text)))
	}
	return t.width() - widest
}

// clip cuts what a column holds.
func (t *table) clip(column, width int) {
	for _, row := range t.rows {
		row[column].text = clipWidth(printable(row[column].text), width)
	}
}

// dropEmpty takes out the columns that hold nothing below their heading.
func (t *table) dropEmpty() {
	for i := len(t.rows[0]) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(t.rows[1:], func(row []cell) bool { return row[i].text != "" }) {
			t.drop(i)
		}
	}
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
			text := painted(c, colours)
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
		if c := t.below[r]; c.text != "" {
			out.WriteString("  " + painted(cell{printable(c.text), c.colour}, colours) + "\n")
		}
	}
	_, _ = io.WriteString(a.stdout, out.String()) // each cell is printable
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
