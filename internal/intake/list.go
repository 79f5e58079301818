package intake

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"volley/internal/dialect"
	"volley/internal/message"
)

// list is a list of recipients that is being read.
type list struct {
	rows     *csv.Reader
	encoding string
	// at is the column of the recipients.
	at int
	// escaped means that the list is of results, whose cells message.EscapeCell wrote.
	escaped bool
	// refused describes the first entries that could not be read, and wrong counts all
	// of them.
	refused []string
	wrong   int
}

// newListReader reads the text of a list as that of a request is read. The first line
// tells whether semicolons or tabs separate values.
func newListReader(r io.Reader) (*list, error) {
	text, encoding, err := dialect.OpenText(r)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(text, 64<<10)
	head, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if what := dialect.NotText(head); what != "" {
		return nil, errors.New(what)
	}
	rows := csv.NewReader(in)
	rows.FieldsPerRecord, rows.ReuseRecord = -1, true
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, "\n"), []byte("\n"))
	for _, comma := range []byte{';', '\t'} {
		if bytes.IndexByte(line, ',') < 0 && bytes.IndexByte(line, comma) >= 0 {
			rows.Comma = rune(comma)
		}
	}
	return &list{rows: rows, encoding: encoding}, nil
}

// findColumn finds the column of the recipients. named means that the first row names
// the columns.
func (l *list) findColumn(first, columns []string) (named bool, err error) {
	names := make([]string, len(first))
	for i, name := range first {
		names[i] = strings.TrimSpace(name)
	}
	if len(columns) == 0 {
		columns = []string{"to"}
	}
	for _, column := range columns {
		if l.at = slices.Index(names, column); l.at >= 0 {
			l.escaped = message.IsResultColumns(names)
			return true, nil
		}
	}
	if l.at = 0; len(names) > 1 {
		return false, errors.New(dialect.NoColumn(columns, names, "exclude-column"))
	}
	return dialect.IsRecipientColumn(names[0]), nil
}

// maxRefused is how many entries are named that are no recipients.
const maxRefused = 3

// refuse notes an entry that was meant as a phone number and is none.
func (l *list) refuse(line int, why error) {
	if l.wrong++; l.wrong <= maxRefused {
		l.refused = append(l.refused, fmt.Sprintf("line %d: %s", line, why))
	}
}

// refusal is the error of a list with unreadable entries: it must not be used, since
// the recipients they mean would get a message.
func (l *list) refusal() error {
	switch {
	case l.wrong == 0:
		return nil
	case l.wrong > maxRefused:
		return fmt.Errorf("%s; there are %d such entries", strings.Join(l.refused, "; "), l.wrong)
	}
	return errors.New(strings.Join(l.refused, "; "))
}

// listError is an error of reading a list.
func listError(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("line %d: expected CSV, or one recipient a line: %w", p.Line, p.Err)
	}
	return err
}
