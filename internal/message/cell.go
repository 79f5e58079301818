package message

import (
	"regexp"
	"slices"
	"strings"
)

// harmlessSigned is what may stand behind a sign that begins a cell: a number, or the
// digits of a phone number with what people write between them.
var harmlessSigned = regexp.MustCompile(`^[+-](?:[0-9 ()./-]*|[0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?)$`)

// EscapeCell writes a text so that a spreadsheet that opens it as the cell of a CSV file
// takes it for no formula: with an apostrophe before it where it begins with = @, a tab or
// the end of a line, and with + or - unless a number or a phone number follows. A text that
// already reads like one with such apostrophes gets one more, so that UnescapeCell finds
// every text again.
func EscapeCell(s string) string {
	if isFormula(strings.TrimLeft(s, "'")) {
		return "'" + s
	}
	return s
}

// UnescapeCell is the text of which EscapeCell made s.
func UnescapeCell(s string) string {
	if rest, ok := strings.CutPrefix(s, "'"); ok && isFormula(strings.TrimLeft(rest, "'")) {
		return rest
	}
	return s
}

func isFormula(s string) bool {
	if s == "" {
		return false
	}
	switch s[0] {
	case '=', '@', '\t', '\r', '\n':
		return true
	case '+', '-':
		return !harmlessSigned.MatchString(s)
	}
	return false
}

// IsResultColumns reports whether the columns of a CSV file are those of results, or some
// of them: then its cells are as EscapeCell wrote them.
func IsResultColumns(names []string) bool {
	known := RowColumns()
	return len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(known, name) })
}
