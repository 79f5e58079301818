package gateway

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"iter"
	"net/http"

	"volley/internal/message"
	"volley/starter"
)

// resultsBuffer is how much of the results is gathered before it goes out.
const resultsBuffer = 32 << 10

// v1Results streams one row per message. An answer that breaks off is cut without
// its end, so that no client takes it for whole.
func (g *Gateway) v1Results(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	format, raw := q.text("format"), q.truth("raw")
	selects := starter.ResultQuery{State: q.text("state"), Code: q.text("code"), Selector: q.selector()}
	switch format {
	case "", "jsonl", "csv":
	default:
		q.fail("format", "is neither jsonl nor csv")
	}
	if raw && format != "csv" {
		q.fail("raw", "is for format=csv")
	}
	if err := errors.Join(q.end(), r.mayFind(selects.Selector)); err != nil {
		return err
	}
	next, stop := iter.Pull2(g.o.Batches.Results(r.Context(), r.ref(), selects))
	defer stop()
	row, err, ok := next()
	if err != nil {
		return err
	}
	rows := newRows(w, format, raw)
	if !ok {
		w.WriteHeader(http.StatusOK) // there may be nothing to write
	}
	for ; ok; row, err, ok = next() {
		if err == nil {
			row = r.maskedRow(row)
			err = rows.write(&row)
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	if rows.end() != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// rows writes rows to a client as fast as it reads them.
type rows struct {
	out  *bufio.Writer
	json *json.Encoder
	csv  *csv.Writer // nil is JSON lines
	// raw leaves the cells of CSV as they are.
	raw bool
}

func newRows(w http.ResponseWriter, format string, raw bool) *rows {
	out := bufio.NewWriterSize(w, resultsBuffer)
	r := &rows{out: out, raw: raw}
	if format == "csv" {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
		r.csv = csv.NewWriter(out)
		_ = r.csv.Write(message.RowColumns()) // the end tells of every error
		return r
	}
	w.Header().Set("Content-Type", "application/jsonl")
	r.json = json.NewEncoder(out)
	r.json.SetEscapeHTML(false)
	return r
}

func (r *rows) write(row *message.Row) error {
	switch {
	case r.csv != nil && r.raw:
		return r.csv.Write(row.Columns())
	case r.csv != nil:
		return r.csv.Write(row.Cells())
	}
	return r.json.Encode(row)
}

func (r *rows) end() error {
	if r.csv != nil {
		r.csv.Flush()
		if err := r.csv.Error(); err != nil {
			return err
		}
	}
	return r.out.Flush()
}
