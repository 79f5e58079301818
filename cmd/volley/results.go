package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/message"
	"volley/starter"
)

type resultsFlags struct {
	format, out string
	columns     []string
	// raw leaves the cells of CSV as they are.
	raw bool
	starter.ResultQuery
}

func (a *app) resultsCommand() *cobra.Command {
	var f resultsFlags
	cmd := &cobra.Command{
		Use:   "results ID",
		Short: "Write one row per message, of a batch of any size",
		Example: `  volley results spring-sale --format csv --out results.csv
  volley results spring-sale --format csv --state not-sent --columns to,reference,code`,
		Args:              needs("ID"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.format != "jsonl" && f.format != "csv" {
				return usage("--format %q, expected jsonl or csv", f.format)
			}
			if f.raw && f.format != "csv" {
				return usage("--raw is for --format csv")
			}
			if err := errors.Join(notEmpty(cmd, selectNames...), checkSelection(f.State, f.Selector), checkColumns(f.columns)); err != nil {
				return err
			}
			return a.on(cmd.Context(), func(b batches) error {
				return a.results(cmd.Context(), b, a.ref(args[0]), f)
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "jsonl", "jsonl or csv")
	selectFlags(cmd, &f.State, &f.Code, &f.Selector)
	fl.StringSliceVar(&f.columns, "columns", nil, "only these `columns`, in this order (default all)")
	fl.BoolVar(&f.raw, "raw", false, "leave cells of CSV as they are; by default one that a spreadsheet would take for a formula\nhas an apostrophe before it, which start reads as what it was")
	fl.StringVar(&f.out, "out", "", "write to this `file`, which appears once it is complete, instead of stdout")
	offer(cmd, "format", "jsonl", "csv")
	complete(cmd, "columns", completeList(message.RowColumns()))
	return cmd
}

func (a *app) results(ctx context.Context, b batches, ref starter.Ref, f resultsFlags) error {
	if f.out == "" || f.out == "-" {
		_, err := writeRows(ctx, a.stdout, b, ref, f, a.terminal(a.stdout))
		return err
	}
	var n int
	err := atomically(f.out, func(w io.Writer) (err error) {
		n, err = writeRows(ctx, w, b, ref, f, false)
		return err
	})
	if err != nil {
		return err
	}
	if a.json() {
		return a.print(struct {
			File string `json:"file"`
			Rows int    `json:"rows"`
		}{f.out, n})
	}
	a.printf("%s written to %s\n", plural(n, "row"), f.out)
	return nil
}

// rowWriter writes rows in one format; start comes before the first one.
type rowWriter interface {
	start() error
	row(message.Row) error
	flush() error
}

// writeRows writes rows to w; screen says that w is a terminal.
func writeRows(ctx context.Context, w io.Writer, b batches, ref starter.Ref, f resultsFlags, screen bool) (n int, err error) {
	buffered := bufio.NewWriter(w)
	var rows rowWriter = jsonRows{buffered, f.columns}
	if f.format == "csv" {
		rows = newCSV(buffered, f, screen)
	}
	// A batch that does not exist gets no header.
	begun := false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		return rows.start()
	}
	for row, err := range b.Results(ctx, ref, f.ResultQuery) {
		if err == nil {
			err = begin()
		}
		if err == nil {
			err = rows.row(row)
		}
		if err != nil {
			_ = rows.flush() // the first error counts
			return n, err
		}
		n++
	}
	if err := begin(); err != nil {
		return n, err
	}
	return n, rows.flush()
}

func checkColumns(columns []string) error {
	for i, name := range columns {
		if !slices.Contains(message.RowColumns(), name) {
			return usage("--columns: there is no column %q, expected some of %s", name, strings.Join(message.RowColumns(), ","))
		}
		if slices.Contains(columns[:i], name) {
			return usage("--columns: %s is named twice", name)
		}
	}
	return nil
}

// jsonRows writes JSON lines, with all members or with those that are chosen.
type jsonRows struct {
	w       *bufio.Writer
	columns []string
}

func (j jsonRows) start() error { return nil }

func (j jsonRows) row(r message.Row) error {
	if j.columns == nil {
		return encode(j.w, r)
	}
	var whole bytes.Buffer
	if err := encode(&whole, r); err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(whole.Bytes(), &members); err != nil {
		return err
	}
	sep := "{"
	for _, name := range j.columns {
		fmt.Fprintf(j.w, "%s%q:%s", sep, name, members[name]) // flush tells of every error
		sep = ","
	}
	_, err := j.w.WriteString("}\n")
	return err
}

func (j jsonRows) flush() error { return j.w.Flush() }

// csvRows writes CSV, with all columns or with those that are chosen.
type csvRows struct {
	c *csv.Writer
	w *bufio.Writer
	// columns are the places of what is chosen; nil is all.
	columns []int
	// raw leaves cells as they are, and screen means that they are for a terminal.
	raw, screen bool
}

func newCSV(w *bufio.Writer, f resultsFlags, screen bool) csvRows {
	c := csvRows{c: csv.NewWriter(w), w: w, raw: f.raw, screen: screen}
	for _, name := range f.columns {
		c.columns = append(c.columns, slices.Index(message.RowColumns(), name))
	}
	return c
}

func (c csvRows) start() error { return c.write(message.RowColumns()) }

func (c csvRows) row(r message.Row) error {
	if c.raw {
		return c.write(r.Columns())
	}
	return c.write(r.Cells())
}

func (c csvRows) write(cells []string) error {
	if c.columns != nil {
		all := cells
		cells = make([]string, len(c.columns))
		for i, at := range c.columns {
			cells[i] = all[at]
		}
	}
	if c.screen {
		for i := range cells {
			cells[i] = printable(cells[i])
		}
	}
	return c.c.Write(cells)
}

func (c csvRows) flush() error {
	c.c.Flush()
	if err := c.c.Error(); err != nil {
		return err
	}
	return c.w.Flush()
}

// atomically writes a file that is there completely or not at all. Only its
// owner may read it: it holds recipients.
func atomically(path string, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()           // closed already on some ways here
			_ = os.Remove(tmp.Name()) // what led here is reported
		}
	}()
	if err = write(tmp); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err = tmp.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
