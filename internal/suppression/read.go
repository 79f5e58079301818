package suppression

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"volley/internal/index"
	"volley/internal/phone"
)

// Read reads a list: one recipient a line, or CSV whose first row names the columns:
// recipient, and reason and until where they are wanted, until being a date or an RFC 3339
// time. What a row does not say is taken from defaults. Phone numbers without a country code
// are those of a region; empty is nowhere. An error says on which line, and repeats no
// recipient.
func Read(r io.Reader, defaults index.Suppression, region string) iter.Seq2[index.Suppression, error] {
	return func(yield func(index.Suppression, error) bool) {
		l := list{rows: csv.NewReader(withoutMark(r)), defaults: defaults, region: region, columns: []string{"recipient"}}
		l.rows.FieldsPerRecord, l.rows.ReuseRecord = -1, true
		for first := true; ; first = false {
			row, err := l.rows.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			var s index.Suppression
			if err == nil && first && l.names(row) {
				continue
			}
			if err == nil {
				s, err = l.suppression(row)
			}
			if err != nil {
				yield(index.Suppression{}, l.failed(err))
				return
			}
			if s.Recipient != "" && !yield(s, nil) {
				return
			}
		}
	}
}

// withoutMark leaves out the mark that some programs put before UTF-8.
func withoutMark(r io.Reader) io.Reader {
	in := bufio.NewReaderSize(r, 64<<10)
	if b, err := in.Peek(3); err == nil && string(b) == "\ufeff" {
		_, _ = in.Discard(len(b)) // it is there
	}
	return in
}

// list is one that is being read.
type list struct {
	rows     *csv.Reader
	defaults index.Suppression
	region   string
	columns  []string
}

// names reports whether the first row names the columns, and takes them.
func (l *list) names(row []string) bool {
	named := make([]string, len(row))
	for i, name := range row {
		named[i] = strings.ToLower(strings.TrimSpace(name))
	}
	for i, name := range named { // what other lists call it
		if !slices.Contains(named, "recipient") && (name == "to" || name == "phone" || name == "email") {
			named[i] = "recipient"
		}
	}
	if !slices.Contains(named, "recipient") {
		return false
	}
	l.columns = named
	return true
}

// suppression reads a row; one without a recipient is none.
func (l *list) suppression(row []string) (s index.Suppression, err error) {
	s = l.defaults
	if len(row) > len(l.columns) {
		return s, fmt.Errorf("it has %d values, expected %d: the first row names the columns, as recipient,reason,until", len(row), len(l.columns))
	}
	for i, value := range row {
		value = strings.TrimSpace(value)
		switch {
		case !utf8.ValidString(value) || strings.IndexByte(value, 0) >= 0:
			return s, errors.New("it is not in UTF-8")
		case value == "":
		case l.columns[i] == "recipient":
			s.Recipient = value
		case l.columns[i] == "reason":
			s.Reason = value
		case l.columns[i] == "until":
			if s.Until, err = until(value); err != nil {
				return s, err
			}
		}
	}
	if s.Recipient != "" {
		s.Recipient, err = Recipient(s.Recipient, l.region)
	}
	return s, err
}

func until(value string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, value); err == nil {
		return day, nil
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return at, errors.New("until is neither a date such as 2027-01-31 nor an RFC 3339 time")
	}
	return at, nil
}

func (l *list) failed(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("line %d: expected CSV, or one recipient a line: %w", p.Line, p.Err)
	}
	line, _ := l.rows.FieldPos(0)
	return fmt.Errorf("line %d: %w", line, err)
}

// maxRecipient is how many bytes a recipient may have.
const maxRecipient = 1000

// Recipient is the normal form of a recipient. What was meant as a phone number and is none
// is an error, as a list with it would let somebody's messages leave.
func Recipient(s, region string) (string, error) {
	if len(s) > maxRecipient {
		return "", fmt.Errorf("a recipient has more than %d bytes", maxRecipient)
	}
	if strings.ContainsFunc(strings.TrimSpace(s), func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }) {
		return "", errors.New("a recipient has a control character, or is no UTF-8: no message can be for it")
	}
	key, notNumber := phone.Key(s, region)
	if key == "" {
		return "", errors.New("a recipient is empty")
	}
	if notNumber != nil && phone.IsWritten(s) {
		return "", notNumber
	}
	return key, nil
}
