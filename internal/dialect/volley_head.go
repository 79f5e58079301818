package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"volley/internal/message"
)

// csvHead is the first row of a CSV file that is not blank.
type csvHead struct {
	cells     []string
	separator byte
	// line is where it begins, and used how many bytes end with it.
	line, used int
	// open means that the row may go on behind what was read.
	open bool
	err  error
}

// readCSVHead reads the head and finds out what separates cells. Neither a head nor a
// problem is the answer where body is a part and may end within the row.
func readCSVHead(body []byte, encoding string, whole bool) (*csvHead, message.Problems) {
	declared, before := declaredSeparator(body)
	above := bytes.Count(body[:before], newline)
	var h csvHead
	var ambiguous string
	if declared != 0 {
		h = headWith(body[before:], declared, whole)
		h.line += above
		h.used += before
	} else {
		h, ambiguous = guessHead(body, whole)
	}
	switch {
	case h.open:
		return nil, nil
	case ambiguous != "":
		return nil, unreadable(fmt.Sprintf("line %d: %s", h.line, ambiguous))
	case h.err != nil:
		return nil, unreadable(csvDetail(h.err, 1+above))
	case h.cells == nil:
		return nil, unreadable("the request has nothing but blank rows")
	case !validCells(h.cells):
		return nil, unreadable(fmt.Sprintf("line %d: the first row is not in %s", h.line, encoding))
	case slices.ContainsFunc(h.cells, hasNUL):
		return nil, unreadable(fmt.Sprintf("line %d: the first row has the character U+0000", h.line))
	}
	return &h, nil
}

// declaredSeparator reads the line sep=; with which Excel names the separator, and
// returns how many bytes end with it. Without such a line the separator is 0.
func declaredSeparator(body []byte) (separator byte, used int) {
	text := bytes.TrimLeft(body, " \n")
	line, _, found := bytes.Cut(text, newline)
	text = bytes.Trim(bytes.ToLower(line), `"`)
	if !found || len(text) != len("sep=;") || !bytes.HasPrefix(text, []byte("sep=")) || !strings.ContainsRune(",;\t", rune(text[4])) {
		return 0, 0
	}
	return text[4], len(body) - len(bytes.TrimLeft(body, " \n")) + len(line) + 1
}

// guessHead reads the head with commas, or where it then is one cell or cannot be read,
// with semicolons or tabs. It says why it may be meant in two ways.
func guessHead(body []byte, whole bool) (h csvHead, ambiguous string) {
	h = headWith(body, ',', whole)
	commas := h.err == nil && len(h.cells) > 1
	var others []csvHead
	for _, separator := range []byte(";\t") {
		if o := headWith(body, separator, whole); o.err == nil && !o.open && len(o.cells) > 1 {
			others = append(others, o)
		}
	}
	named := slices.DeleteFunc(slices.Clone(others), func(o csvHead) bool { return !o.namesRecipient() })
	switch {
	case commas && (h.namesRecipient() || len(named) == 0) || len(others) == 0:
		return h, ""
	case commas:
		return h, fmt.Sprintf("the first row has commas and %s, so it is not clear what separates its cells; write commas between them", named[0].separators())
	case len(others) == 1:
		return others[0], ""
	case len(named) == 1:
		return named[0], ""
	}
	return h, "the first row has semicolons and tabs, so it is not clear what separates its cells; write commas between them"
}

func headWith(body []byte, separator byte, whole bool) csvHead {
	h := csvHead{separator: separator, line: 1}
	r := newCSV(body, separator)
	for {
		cells, err := r.Read()
		h.used = int(r.InputOffset())
		h.open = !whole && h.used == len(body)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				h.err = err
			}
			return h
		}
		if !isBlankRow(cells) {
			h.cells = slices.Clone(cells)
			h.line, _ = r.FieldPos(0)
			return h
		}
	}
}

// namesRecipient reports whether a column is named as one that has recipients.
func (h *csvHead) namesRecipient() bool {
	return slices.ContainsFunc(h.cells, func(cell string) bool { return isRecipient(strings.TrimSpace(cell)) })
}

func (h *csvHead) separators() string {
	if h.separator == ';' {
		return "semicolons"
	}
	return "tabs"
}

// secondHead finds rows that are a head again, as joined files have them.
type secondHead struct {
	// names are those of the first head, and known the same as a set.
	names []string
	known map[string]bool
	// to is the recipient's column, the first one of several; -1 is none.
	to int
}

// newSecondHead takes the first head as the file has it.
func newSecondHead(cells []string, to int) secondHead {
	s := secondHead{names: make([]string, len(cells)), known: make(map[string]bool, len(cells)), to: to}
	for i, cell := range cells {
		s.names[i] = strings.TrimSpace(cell)
		s.known[s.names[i]] = true
	}
	return s
}

// in reports whether a row is a header again: it has the names of the first header in
// any order, or the name of the recipient's column as its recipient. Unless it equals
// the first header, the rows after it have other columns. A row of another length is
// never a header, and wrong in any case.
func (s *secondHead) in(cells []string) (found, same bool) {
	if len(cells) != len(s.names) {
		return false, false
	}
	at := max(s.to, 0)
	first := strings.TrimSpace(cells[at])
	if !s.known[first] {
		return false, false
	}
	same, strange, distinct := true, false, make(map[string]bool, len(cells))
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		same = same && cell == s.names[i]
		strange = strange || !s.known[cell]
		distinct[cell] = true
	}
	found = s.to >= 0 && first == s.names[at] || !strange && len(distinct) == len(s.known)
	return found, same
}

// isBlankRow reports whether a row has nothing in its cells.
func isBlankRow(cells []string) bool {
	for _, cell := range cells {
		if cell != "" && strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

func validCells(cells []string) bool {
	for _, cell := range cells {
		if !utf8.ValidString(cell) {
			return false
		}
	}
	return true
}

func hasNUL(cell string) bool { return strings.IndexByte(cell, 0) >= 0 }
