package dialect

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"volley/internal/message"
)

// csvNames are the columns of a CSV file that are no parameters.
var csvNames = []string{"to", "reference", "send_after", "ttl", "channel"}

// beginVolleyCSV reads the first row, which names the columns. What the header
// holds in the other formats comes from the options. The answer is neither a file
// nor a problem where body is a part and may end within the row.
func beginVolleyCSV(body []byte, whole bool, o Options) (*volleyFile, message.Problems) {
	r := newCSV(body)
	row, err := r.Read()
	used := int(r.InputOffset())
	if !whole && used == len(body) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(csvDetail(err, 1))
	}
	if !validCells(row) {
		return nil, unreadable("the first row is not in UTF-8")
	}
	b := newVolleyBatch(o)
	b.setChannel(o.Channel)
	b.setText(o.Text)
	b.Metadata, b.Priority = o.Metadata, o.Priority
	b.badText = o.Text == ""
	b.whole.problems = ownTimes(b.Batch, o)
	if b.badText {
		b.whole.add("text", message.CodeRequired, "a CSV file has no place for the text; it is given beside the file")
	}
	if o.Priority < 0 || o.Priority > 5 {
		b.whole.add("priority", message.CodeRange, "expected 1 to 5, got %d", o.Priority)
	}
	b.setAwaitReports("awaitReports", o.AwaitReports, o.AwaitReports.String())
	if o.Callbacks != nil {
		c := *o.Callbacks
		if c.Path = "callbacks.url"; c.URL != "" {
			c.URL = b.whole.address(c.Path, c.URL)
		}
		b.Callbacks = &c
	}
	columns := slices.Clone(row)
	b.whole.problems = append(b.whole.problems, csvHeader(columns)...)
	rows := csvRows{batch: b, columns: columns, at: map[string]int{}}
	for i, name := range columns {
		if !slices.Contains(csvNames, name) {
			rows.at[name] = i
		}
	}
	return &volleyFile{
		batch: b, read: rows.read, quoted: true,
		used: used, line: 1 + bytes.Count(body[:used], []byte("\n")),
	}, nil
}

func newCSV(body []byte) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(body))
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	return r
}

// csvRows reads the rows below the first one. Every one is a message.
type csvRows struct {
	batch   *volleyBatch
	columns []string
	// at are the columns that are parameters.
	at map[string]int
}

func (c csvRows) read(k *chunk) {
	r := newCSV(k.data)
	valid := utf8.Valid(k.data)
	for {
		cells, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			k.broken = csvDetail(err, k.line)
			return
		}
		line, _ := r.FieldPos(0)
		k.row.reset(len(k.messages), k.line+line-1)
		if valid || validCells(cells) {
			c.readRow(&k.row, cells)
		} else {
			k.row.refuse(message.CodeFormat, "the row is not in UTF-8")
		}
		k.messages = append(k.messages, c.batch.message(&k.row))
	}
}

// readRow reads one row. An empty cell is an absent value, but a parameter that
// is empty.
func (c csvRows) readRow(r *volleyRow, cells []string) {
	if len(cells) != len(c.columns) {
		r.refuse(message.CodeFormat, "%d cells, but the first row names %d columns", len(cells), len(c.columns))
	}
	for i, value := range cells[:min(len(cells), len(c.columns))] {
		if value == "" {
			continue
		}
		g := given{key: c.columns[i], value: value, ok: true}
		switch g.key {
		case "to":
			r.to = g
		case "reference":
			r.reference = g
		case "send_after":
			r.sendAfter = g
		case "ttl":
			r.ttl = g
		case "channel":
			r.channel = g
		}
	}
	r.params.cells, r.params.columns = cells, c.at
}

func validCells(cells []string) bool {
	for _, cell := range cells {
		if !utf8.ValidString(cell) {
			return false
		}
	}
	return true
}

// csvHeader checks the names of the columns and trims the spaces around them.
func csvHeader(columns []string) (whole message.Problems) {
	seen := map[string]int{}
	for i, name := range columns {
		name = strings.TrimSpace(name)
		columns[i] = name
		at := fmt.Sprintf("columns[%d]", i)
		if name == "" {
			whole.Add(message.WholeBatch, at, message.CodeRequired, "column %d has no name", i+1)
			continue
		}
		if j, ok := seen[name]; ok {
			whole.Add(message.WholeBatch, at, message.CodeConflict, "columns %d and %d are both named %q", j+1, i+1, name)
			continue
		}
		seen[name] = i
		if meant := csvMeant(name); meant != "" {
			whole.Add(message.WholeBatch, at, message.CodeUnknownField, "expected %q, since a column named %q would be a parameter", meant, name)
		}
	}
	if _, ok := seen["to"]; !ok {
		whole.Add(message.WholeBatch, "to", message.CodeRequired, "there is no column \"to\"; the first row names the columns, with commas between them")
	}
	return whole
}

// csvMeant returns the column that a name like sendAfter or TTL must have meant:
// as a parameter it would go unnoticed, and its message would leave at once.
func csvMeant(name string) string {
	plain := strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
	for _, n := range csvNames {
		if n != name && strings.ReplaceAll(n, "_", "") == plain {
			return n
		}
	}
	return ""
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
