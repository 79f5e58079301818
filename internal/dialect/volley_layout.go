package dialect

import (
	"fmt"
	"slices"
	"strings"

	"volley/internal/message"
)

// Indexes in csvFields.
const (
	fieldTo = iota
	fieldReference
	fieldSendAfter
	fieldTTL
	fieldChannel
	fieldAddress // the first of addressKinds
)

// csvFields are the columns of a CSV file that are fields of a message: five, and one for
// each of addressKinds.
var csvFields = [...]string{
	"to", "reference", "send_after", "ttl", "channel",
	"to_" + string(message.KindPhone), "to_" + string(message.KindEmail), "to_" + string(message.KindContact),
	"to_" + string(message.KindConvo), "to_" + string(message.KindRoom), "to_" + string(message.KindOther),
}

// CSVFields are the names of columns that are fields of a message.
func CSVFields() []string { return slices.Clone(csvFields[:]) }

// isRecipient reports whether the field of that name says who gets a message.
func isRecipient(field string) bool {
	f := slices.Index(csvFields[:], field)
	return f == fieldTo || f >= fieldAddress
}

// csvLayout is what the columns of a CSV file are.
type csvLayout struct {
	// names are the columns as the first row has them.
	names []string
	// fields is, for each of csvFields, the index of its column, or -1.
	fields [len(csvFields)]int
	// params are the columns that are parameters.
	params map[string]int
	// mapped are the columns that were given a name.
	mapped map[int]bool
	skips  []csvSkip
	// lacking says what is wrong with each placeholder that has no column; noTo says
	// why rows have no recipient.
	lacking map[string]string
	noTo    string
	// requested lists the fields and placeholders whose requested column does not exist:
	// one problem of the whole request says so, and rows do not repeat it.
	requested []string
	// problems and warnings are those of the columns as such.
	problems, warnings message.Problems
}

// csvSkip leaves out rows with a value in the column at an index.
type csvSkip struct {
	at            int
	column, value string
}

// layoutOf finds out what the columns that the first row names are. needs are the
// placeholders of the text.
func layoutOf(row, needs []string, o Options) csvLayout {
	l := csvLayout{names: make([]string, len(row)), params: map[string]int{}}
	for i, name := range row {
		l.names[i] = strings.Clone(strings.TrimSpace(name))
	}
	for i := range l.fields {
		l.fields[i] = -1
	}
	l.checkAsked(o)
	used := l.placeMapped(needs, o)
	for i, name := range l.names {
		used[i] = l.place(i, name, needs, o) || used[i] || l.skipsBy(i)
	}
	l.lookForTo(o)
	l.refuseTwoRecipients(o)
	l.lookForNeeds(needs)
	l.warnUnused(used, needs, o)
	return l
}

// checkAsked finds the columns that were asked for by name.
func (l *csvLayout) checkAsked(o Options) {
	for _, m := range o.Columns.Map {
		if !slices.Contains(l.names, m.Column) {
			l.problem("columns", message.CodeRequired, "%s: there is no column %q; columns: %s%s", o.mapping(m.Name, m.Column), m.Column, l.list(), l.didYouMean(m.Column))
			l.requested = append(l.requested, m.Name)
		}
	}
	for _, s := range o.Columns.SkipIf {
		at := slices.Index(l.names, s.Column)
		if at < 0 {
			l.problem("columns", message.CodeRequired, "%s: there is no column %q; columns: %s%s", o.setting("skip-if", s.Column+"="+s.Value), s.Column, l.list(), l.didYouMean(s.Column))
			continue
		}
		l.skips = append(l.skips, csvSkip{at: at, column: s.Column, value: s.Value})
	}
}

// didYouMean suggests a column that is written in another way.
func (l *csvLayout) didYouMean(column string) string {
	if like := namedLike(column, l.names); len(like) > 0 {
		return "; did you mean " + listed(like)
	}
	return ""
}

// placeMapped gives columns the names that were asked for, and returns which columns
// are dealt with by that.
func (l *csvLayout) placeMapped(needs []string, o Options) []bool {
	used := make([]bool, len(l.names))
	for _, m := range o.Columns.Map {
		i := slices.Index(l.names, m.Column)
		if i < 0 {
			continue
		}
		if l.mapped == nil {
			l.mapped = map[int]bool{}
		}
		l.mapped[i] = true
		used[i] = l.call(i, m.Name, needs) || used[i]
	}
	return used
}

// place assigns the column at i by its own name. It reports whether the column is used,
// or needs no further attention.
func (l *csvLayout) place(i int, name string, needs []string, o Options) (used bool) {
	at := fmt.Sprintf("columns[%d]", i)
	if slices.Contains(o.Columns.Ignore, name) {
		return true
	}
	if name == "" {
		if !o.Columns.IgnoreRest {
			l.problem(at, message.CodeRequired, "column %d has no name", i+1)
		}
		return true
	}
	wanted := isField(name) || slices.Contains(needs, name)
	if j := slices.Index(l.names, name); j < i && (wanted || l.mapped[j] || !o.Columns.IgnoreRest) {
		l.problem(at, message.CodeConflict, "columns %d and %d are both named %q", j+1, i+1, name)
		return true
	}
	if l.mapped[i] {
		return false
	}
	if j, ok := l.at(name); ok { // it was asked for, and of another column
		if !o.Columns.IgnoreRest {
			l.problem(at, message.CodeConflict, "columns %d and %d would both be %q; %s", j+1, i+1, name, o.setting("ignore-columns", name))
		}
		return true
	}
	if meant := csvMeant(name); meant != "" && !wanted && !o.Columns.IgnoreRest {
		l.problem(at, message.CodeUnknownField, "expected %q, since a column named %q would be a parameter; %s, or %s",
			meant, name, o.mapping(meant, name), o.setting("ignore-columns", name))
		return true
	}
	return l.call(i, name, needs)
}

// skipsBy reports whether rows are left out for what is in the column at i.
func (l *csvLayout) skipsBy(i int) bool {
	return slices.ContainsFunc(l.skips, func(s csvSkip) bool { return s.at == i })
}

// call gives the column at i a name, and reports whether anything uses that.
func (l *csvLayout) call(i int, name string, needs []string) (used bool) {
	if f := slices.Index(csvFields[:], name); f >= 0 {
		l.fields[f] = i
		return true
	}
	l.params[name] = i
	return slices.Contains(needs, name)
}

// at is the column that has a name already.
func (l *csvLayout) at(name string) (int, bool) {
	if f := slices.Index(csvFields[:], name); f >= 0 {
		return l.fields[f], l.fields[f] >= 0
	}
	i, ok := l.params[name]
	return i, ok
}

// lookForTo refuses a file without recipients, and says which column may have them.
func (l *csvLayout) lookForTo(o Options) {
	if l.recipient() >= 0 || slices.ContainsFunc(l.requested, isRecipient) {
		return
	}
	var may []string
	for _, name := range l.names {
		if IsRecipientColumn(name) {
			may = append(may, o.setting("to-column", name))
		}
	}
	hint := o.setting("to-column", "C") + " names the one that has the recipients"
	switch {
	case len(may) > 0:
		hint = strings.Join(may, " or ")
	case len(l.names) == 1:
		hint += "; the first row names the columns, with commas between them"
	}
	l.noTo = fmt.Sprintf("there is no column \"to\"; columns: %s; %s", l.list(), hint)
	l.problem("to", message.CodeRequired, "%s", l.noTo)
}

// recipient is the index of the first column that says who gets a message, or -1.
func (l *csvLayout) recipient() int {
	if l.fields[fieldTo] >= 0 {
		return l.fields[fieldTo]
	}
	for _, i := range l.fields[fieldAddress:] {
		if i >= 0 {
			return i
		}
	}
	return -1
}

// refuseTwoRecipients refuses a column with addresses of one kind beside one with recipients.
func (l *csvLayout) refuseTwoRecipients(o Options) {
	to := l.fields[fieldTo]
	for f, i := range l.fields[fieldAddress:] {
		if field := csvFields[fieldAddress+f]; to >= 0 && i >= 0 {
			l.problem(fmt.Sprintf("columns[%d]", i), message.CodeConflict, "the recipient is in columns %d and %d, as \"to\" and as %q; %s",
				to+1, i+1, field, o.setting("ignore-columns", shortName(l.names[i])))
		}
	}
}

// lookForNeeds notes what is wrong with placeholders that have no column.
func (l *csvLayout) lookForNeeds(needs []string) {
	for _, name := range needs {
		if _, ok := l.params[name]; ok {
			continue
		}
		why := fmt.Sprintf("there is no column %q", name)
		if slices.Contains(l.names, name) {
			why = fmt.Sprintf("the column %q is no parameter", name)
		}
		if l.lacking == nil {
			l.lacking = map[string]string{}
		}
		l.lacking[name] = fmt.Sprintf("the text has ${%s}, and %s; columns: %s", name, why, l.list())
	}
}

func (l *csvLayout) problem(path, code, detail string, args ...any) {
	l.problems.Add(message.WholeBatch, path, code, detail, args...)
}

func (l *csvLayout) list() string { return listed(l.names) }

// readRow reads one row. An empty cell is an absent value, but a parameter that
// is empty.
func (l *csvLayout) readRow(r *volleyRow, cells []string) {
	if len(cells) != len(l.names) {
		r.refuse(message.CodeFormat, "%s, but the first row names %s", message.Plural(len(cells), "cell"), message.Plural(len(l.names), "column"))
	} else {
		l.skip(r, cells)
	}
	for f, g := range [...]*optionalField{&r.to, &r.reference, &r.sendAfter, &r.ttl, &r.channel} {
		if i := l.fields[f]; i >= 0 && i < len(cells) && cells[i] != "" {
			*g = optionalField{key: csvFields[f], value: cells[i], ok: true}
		}
	}
	for f, kind := range addressKinds {
		if i := l.fields[fieldAddress+f]; i >= 0 && i < len(cells) && trimRecipient(cells[i]) != "" {
			r.addresses = append(r.addresses, message.Address{Kind: kind, Value: cells[i]})
		}
	}
	r.reachFirst()
	r.params.cells, r.params.columns, r.params.lacking = cells, l.params, l.lacking
	r.noTo, r.params.requested = l.noTo, l.requested
}

// skip leaves out a row with a value that was asked for, and notes which values there
// are.
func (l *csvLayout) skip(r *volleyRow, cells []string) {
	out := false
	for i := range l.skips {
		s := &l.skips[i]
		value := strings.TrimSpace(cells[s.at])
		met := strings.EqualFold(value, s.value)
		if met && !out {
			r.refuse(message.CodeExcluded, "left out, because %s is %q", s.column, s.value)
			out = true
		}
		if r.skips != nil {
			(*r.skips).add(i, value, met)
		}
	}
}

func isField(name string) bool { return slices.Contains(csvFields[:], name) }

// csvMeant returns the field that a name like sendAfter or TTL must stand for: taken as
// a parameter it would be ignored, and the messages would leave at once.
func csvMeant(name string) string {
	plain := plainName(name)
	for _, n := range csvFields {
		if n != name && plainName(n) == plain {
			return n
		}
	}
	return ""
}
