package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"volley/internal/message"
	"volley/starter"
)

type resultsFlags struct{ format, state, out string }

func (a *app) resultsCommand() *cobra.Command {
	var f resultsFlags
	cmd := &cobra.Command{
		Use:               "results ID",
		Short:             "Write one row per message, of a batch of any size",
		Example:           "  volley results spring-sale --format csv --out results.csv",
		Args:              needs("ID"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.format != "jsonl" && f.format != "csv" {
				return usage("--format %q, expected jsonl or csv", f.format)
			}
			if err := checkState(f.state); err != nil {
				return err
			}
			return a.on(cmd.Context(), func(b batches) error {
				return a.results(cmd.Context(), b, a.ref(args[0]), f)
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "jsonl", "jsonl or csv")
	fl.StringVar(&f.state, "state", "", "only messages in this `state`")
	fl.StringVar(&f.out, "out", "", "write to this `file`, which appears once it is complete, instead of stdout")
	offer(cmd, "format", "jsonl", "csv")
	offer(cmd, "state", stateNames()...)
	return cmd
}

func (a *app) results(ctx context.Context, b batches, ref starter.Ref, f resultsFlags) error {
	if f.out == "" || f.out == "-" {
		_, err := writeRows(ctx, a.stdout, b, ref, f)
		return err
	}
	var n int
	err := atomically(f.out, func(w io.Writer) (err error) {
		n, err = writeRows(ctx, w, b, ref, f)
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

func writeRows(ctx context.Context, w io.Writer, b batches, ref starter.Ref, f resultsFlags) (n int, err error) {
	buffered := bufio.NewWriter(w)
	var rows rowWriter = jsonRows{buffered}
	if f.format == "csv" {
		rows = csvRows{csv.NewWriter(buffered), buffered}
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
	for row, err := range b.Results(ctx, ref, starter.ResultQuery{State: f.state}) {
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

type jsonRows struct{ w *bufio.Writer }

func (j jsonRows) start() error            { return nil }
func (j jsonRows) row(r message.Row) error { return encode(j.w, r) }
func (j jsonRows) flush() error            { return j.w.Flush() }

type csvRows struct {
	c *csv.Writer
	w *bufio.Writer
}

func (c csvRows) start() error            { return c.c.Write(message.RowColumns()) }
func (c csvRows) row(r message.Row) error { return c.c.Write(r.Columns()) }

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
