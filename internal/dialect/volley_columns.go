package dialect

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Columns say how the columns of a CSV file are read. The zero value reads them as
// the first row names them. Names of columns are those of the file, and exact but
// for spaces around them.
type Columns struct {
	// Map gives columns other names. A column that is mapped has its own name no
	// longer, and one that is mapped twice has two.
	Map []ColumnName
	// Ignore are columns that are read as if they were not there, and IgnoreRest adds
	// all that nothing uses.
	Ignore     []string
	IgnoreRest bool
	// SkipIf leaves out every row in which one of the columns has its value, spaces
	// around it and case aside.
	SkipIf []ColumnValue
	// Refuse makes a problem of a column that nothing uses although its name says that
	// it decides when, or whether, to send; else it is a warning.
	Refuse bool
}

// ColumnName gives a column the name of a field (to, to_phone, reference, …) or of a placeholder.
type ColumnName struct{ Name, Column string }

// ColumnValue is a value that rows may have in a column.
type ColumnValue struct{ Column, Value string }

// AddMap adds name=column to Map.
func (c *Columns) AddMap(s string) error {
	name, column, ok := strings.Cut(s, "=")
	name, column = strings.TrimSpace(name), strings.TrimSpace(column)
	if !ok || name == "" || column == "" {
		return fmt.Errorf("%q: expected name=column", s)
	}
	if strings.ContainsAny(name, "${}") {
		return fmt.Errorf("%q: a placeholder's name has no $, { and }", s)
	}
	if slices.ContainsFunc(c.Map, func(m ColumnName) bool { return m.Name == name }) {
		return fmt.Errorf("%q: %s has a column already", s, name)
	}
	c.Map = append(c.Map, ColumnName{Name: name, Column: column})
	return nil
}

// AddSkipIf adds column=value to SkipIf. The value may be empty.
func (c *Columns) AddSkipIf(s string) error {
	column, value, ok := strings.Cut(s, "=")
	if column = strings.TrimSpace(column); !ok || column == "" {
		return fmt.Errorf("%q: expected column=value", s)
	}
	c.SkipIf = append(c.SkipIf, ColumnValue{Column: column, Value: strings.TrimSpace(value)})
	return nil
}

// AddIgnore adds a list such as a,b to Ignore; all sets IgnoreRest. A name with a
// comma stands in quotes, as in CSV.
func (c *Columns) AddIgnore(list string) error {
	r := csv.NewReader(strings.NewReader(list))
	names, err := r.Read()
	if err != nil {
		return fmt.Errorf("%q: expected names with commas between them, or all", list)
	}
	for _, name := range names {
		switch name = strings.TrimSpace(name); name {
		case "":
			return errors.New("expected names with commas between them, or all")
		case "all":
			c.IgnoreRest = true
		default:
			c.Ignore = append(c.Ignore, name)
		}
	}
	return nil
}

// maxListed is how many names a list has, and maxName how many characters a name
// in it.
const (
	maxListed = 20
	maxName   = 40
)

// NoColumn is the error of a file that has none of the wanted columns. It suggests
// those of names that may be meant; flag is the option that names such a column.
func NoColumn(want, names []string, flag string) string {
	o := Options{}
	quoted := make([]string, len(want))
	var may []string
	for i, name := range want {
		quoted[i] = strconv.Quote(name)
		may = append(may, namedLike(name, names)...)
	}
	for _, name := range names {
		if len(may) == 0 && IsRecipientColumn(name) {
			may = []string{name}
		}
	}
	text := fmt.Sprintf("there is no column %s; columns: %s", strings.Join(quoted, " or "), listed(names))
	if len(may) > 0 {
		text += "; " + o.setting(flag, may[0])
	}
	return text
}

// namedLike are those of names that differ from a name only in what people write in
// different ways.
func namedLike(name string, names []string) (like []string) {
	plain := plainName(name)
	for _, n := range names {
		if n != name && plain != "" && plainName(n) == plain {
			like = append(like, n)
		}
	}
	return like
}

// listed writes names with commas between them.
func listed(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i == maxListed {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(shortName(name))
	}
	return b.String()
}

// shortName is a name as a list has it: cut where it is long, and in quotes where it
// would not be seen as one.
func shortName(name string) string {
	if r := []rune(name); len(r) > maxName {
		name = string(r[:maxName]) + "…"
	}
	if name == "" || strings.ContainsAny(name, ",;\"\n\r\t") {
		return strconv.Quote(name)
	}
	return name
}
