package dialect

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"volley/internal/message"
)

// maxColumns bounds the columns of a CSV file, which are compared with each other and
// with the text.
const maxColumns = 1000

// beginVolleyCSV reads the first row, which names the columns. What the header
// holds in the other formats comes from the options. The answer is neither a file
// nor a problem where body is a part and may end within the row.
func beginVolleyCSV(body []byte, encoding string, whole bool, o Options) (*volleyFile, message.Problems) {
	head, problems := readCSVHead(body, encoding, whole)
	if head == nil {
		return nil, problems
	}
	if n := len(head.cells); n > maxColumns {
		return nil, unreadable(fmt.Sprintf("line %d: the first row has %d cells, at most %d columns are possible", head.line, n, maxColumns))
	}
	b := newVolleyBatch(encoding, o)
	b.isCSV = true
	b.setChannel(o.Channel)
	b.setText(o.Text)
	b.Metadata, b.Priority = o.Metadata, o.Priority
	b.badText = isBlank(o.Text)
	b.whole.problems = append(b.whole.problems, ownTimes(b.Batch, o)...)
	if o.Text == "" {
		b.whole.add("text", message.CodeRequired, "a CSV file has no place for the text; %s gives it", o.setting("text", "TEXT"))
	}
	if o.Priority < 0 || o.Priority > 5 {
		b.whole.add("priority", message.CodeRange, "expected 1 to 5, got %d", o.Priority)
	}
	b.setRegion(o.DefaultRegion)
	b.setAwaitReports("awaitReports", o.AwaitReports, o.AwaitReports.String())
	if o.Callbacks != nil {
		c := *o.Callbacks
		if c.Path = "callbacks.url"; c.URL != "" {
			c.URL = b.whole.address(c.Path, c.URL)
		}
		b.Callbacks = &c
	}
	columns := layoutOf(head.cells, b.needs, o)
	b.whole.problems = append(b.whole.problems, columns.problems...)
	b.warnings, b.columns = columns.warnings, &columns
	rows := csvRows{
		batch: b, separator: head.separator, again: newSecondHead(head.cells, columns.recipient()), columns: &columns,
		escaped: message.IsResultColumns(columns.names),
	}
	return &volleyFile{
		batch: b, read: rows.read, quoted: true, separator: head.separator,
		used: head.used, line: 1 + bytes.Count(body[:head.used], newline),
	}, nil
}

func newCSV(body []byte, separator byte) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(body))
	r.Comma = rune(separator)
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	return r
}

// csvRows reads the rows below the first one. Every one is a message.
type csvRows struct {
	batch     *volleyBatch
	separator byte
	again     secondHead
	columns   *csvLayout
	// escaped means that the file is one of results, whose cells message.EscapeCell wrote.
	escaped bool
}

func (c csvRows) read(k *chunk) {
	r := newCSV(k.data, c.separator)
	k.row.skips = &k.notes.skips
	valid, nul := utf8.Valid(k.data), bytes.IndexByte(k.data, 0) >= 0
	for {
		cells, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			k.broken = csvDetail(err, k.line)
			return
		}
		if isBlankRow(cells) {
			continue
		}
		if c.escaped {
			for i, cell := range cells {
				cells[i] = message.UnescapeCell(cell)
			}
		}
		line, _ := r.FieldPos(0)
		k.row.reset(len(k.messages), k.line+line-1)
		second, same := c.again.in(cells)
		switch {
		case second && !same:
			k.broken = fmt.Sprintf("line %d: the row names columns again, but not as the first row does, so the rows behind it may be read wrongly", k.row.line)
			return
		case second:
			k.row.refuse(message.CodeFormat, "the row repeats the header")
		case !valid && !validCells(cells):
			k.row.refuse(message.CodeFormat, "the row is not in %s", c.batch.encoding)
		case nul && slices.ContainsFunc(cells, hasNUL):
			k.row.refuse(message.CodeFormat, "the row has the character U+0000")
		default:
			c.columns.readRow(&k.row, cells)
		}
		k.messages = append(k.messages, c.batch.message(&k.row))
	}
}

// csvDetail says what is wrong with CSV that begins on a line of its file.
func csvDetail(err error, line int) string {
	var p *csv.ParseError
	if errors.As(err, &p) {
		if errors.Is(p.Err, csv.ErrQuote) && p.StartLine > 0 && p.StartLine < p.Line {
			// Where reading failed is often the end of the file, far behind the quote.
			return fmt.Sprintf("expected CSV, line %d, column %d: %s; the row begins on line %d, where a quote may be missing",
				line-1+p.Line, p.Column, p.Err, line-1+p.StartLine)
		}
		return fmt.Sprintf("expected CSV, line %d, column %d: %s", line-1+p.Line, p.Column, p.Err)
	}
	return "expected CSV: " + err.Error()
}
