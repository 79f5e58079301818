package dialect

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"volley/internal/message"
)

// skipNotes are what was seen of each column that leaves rows out, in the order of
// csvLayout.skips.
type skipNotes []skipNote

// skipNote is what was seen of one. Once a row was left out, values do not matter.
type skipNote struct {
	met bool
	// values are the first different ones, each shortened.
	values []string
}

// maxValues is how many values of a column are named.
const maxValues = 5

// add notes the value of a row for the column at i; met means that it leaves the row
// out.
func (n *skipNotes) add(i int, value string, met bool) {
	for len(*n) <= i {
		*n = append(*n, skipNote{})
	}
	s := &(*n)[i]
	if s.met = s.met || met; s.met || len(s.values) > maxValues {
		return
	}
	if len(value) > 4*maxName {
		cut := 4 * maxName
		for !utf8.RuneStart(value[cut]) {
			cut--
		}
		value = value[:cut]
	}
	if !slices.Contains(s.values, value) {
		s.values = append(s.values, strings.Clone(value))
	}
}

// merge adds what was noted of the rows that follow.
func (n *skipNotes) merge(of skipNotes) {
	for i := range of {
		if of[i].met {
			n.add(i, "", true)
		}
		for _, value := range of[i].values {
			n.add(i, value, false)
		}
	}
}

// unmet warns of values that no row has.
func (l *csvLayout) unmet(notes skipNotes) (out message.Problems) {
	for i := range notes {
		values := notes[i].values
		if notes[i].met || len(values) == 0 {
			continue
		}
		more := ""
		if len(values) > maxValues {
			values, more = values[:maxValues], ", …"
		}
		s := l.skips[i]
		out.Add(message.WholeBatch, fmt.Sprintf("columns[%d]", s.at), message.CodeUnused,
			"no row has %q in %s; it has %s%s", s.value, shortName(s.column), listed(values), more)
	}
	return out
}
