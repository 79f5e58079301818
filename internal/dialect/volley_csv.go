package dialect

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"volley/internal/message"
)

// csvNames are the columns of a CSV file that are no parameters.
var csvNames = []string{"to", "reference", "send_after", "ttl", "channel"}

// readVolleyCSV reads a file whose first row names the columns and whose every
// other row is a message. What the header holds in the other formats comes from
// the options.
func readVolleyCSV(body []byte, o Options) (*message.Batch, message.Problems) {
	b := newVolleyBatch(o)
	b.channel = o.Channel
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
	r := csv.NewReader(bytes.NewReader(body))
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	row, err := r.Read()
	if err != nil {
		return refused(message.CodeFormat, csvDetail(err))
	}
	columns := slices.Clone(row)
	b.whole.problems = append(b.whole.problems, csvHeader(columns)...)
	for {
		row, err = r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return refused(message.CodeFormat, csvDetail(err))
		}
		if b.full(len(b.Messages)+1, o) {
			return nil, b.whole.problems
		}
		line, _ := r.FieldPos(0)
		b.append(csvMessage(columns, row, len(b.Messages), line))
	}
	if len(b.Messages) == 0 {
		b.tooFew()
	}
	return b.Batch, b.whole.problems
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

// csvMessage reads one row as the message at index. An empty cell is an absent
// value, but a parameter that is empty.
func csvMessage(columns, row []string, index, line int) volleyRow {
	m := volleyRow{reader: reader{index: index}, place: fmt.Sprintf("line %d: ", line)}
	path := volleyPath(index)
	if len(row) != len(columns) {
		m.add(path, message.CodeFormat, "%d cells, but the first row names %d columns", len(row), len(columns))
		m.unreadable = true
	}
	fields := map[string]*given{
		"to": &m.to, "reference": &m.reference, "send_after": &m.sendAfter, "ttl": &m.ttl, "channel": &m.channel,
	}
	for i, value := range row[:min(len(row), len(columns))] {
		if f, ok := fields[columns[i]]; ok {
			if value != "" {
				*f = given{path: path + "." + columns[i], value: value, ok: true}
			}
			continue
		}
		if m.params == nil {
			m.params = make(map[string]string, len(columns))
		}
		m.params[columns[i]] = value
	}
	return m
}

func csvDetail(err error) string {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Sprintf("expected CSV, line %d, column %d: %s", p.Line, p.Column, p.Err)
	}
	return "expected CSV: " + err.Error()
}
