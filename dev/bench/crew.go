package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"volley/dev/bench/play"
)

// crew is a bed with Volley's workers at work, warm.
type crew struct {
	*bed
	workers []*process
}

// muster lays a bed and starts workers on it.
func muster(ctx context.Context, o options, where string, workers int) (*crew, error) {
	b, err := lay(ctx, o, where)
	if err != nil {
		return nil, err
	}
	c := &crew{bed: b}
	for range workers {
		p, err := spawn(ctx, b.role(play.Volley, 0))
		if err != nil {
			return nil, errors.Join(err, c.dismiss())
		}
		c.workers = append(c.workers, p)
	}
	if _, err := (batch{dispatch: "message"}).send(ctx, b, warmth); err != nil {
		return nil, errors.Join(fmt.Errorf("warming up: %w", err), c.dismiss())
	}
	return c, nil
}

// dismiss ends the workers and takes up the bed.
func (c *crew) dismiss() error {
	var errs []error
	for _, p := range c.workers {
		errs = append(errs, p.stop())
	}
	c.close()
	return errors.Join(errs...)
}

// each measures one thing on every server and in every way of dispatch, with a
// fresh crew each time, and shows all of it as a table under a heading.
func each[T row](ctx context.Context, o options, out io.Writer, heading string, workers int, one func(context.Context, *crew, string) (T, error)) error {
	doc := struct {
		Machine machine    `json:"machine"`
		Rows    []labelled `json:"rows"`
	}{Machine: thisMachine()}
	doc.Machine.print(out)
	fmt.Fprintf(out, "\n%s\n\n", heading)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	var none T
	fmt.Fprintf(w, "server\tdispatch\t%s\t\n", none.head())
	for _, where := range o.servers {
		for _, way := range o.modes {
			r, err := once(ctx, o, where, way, workers, one)
			if err != nil {
				return fmt.Errorf("server in %s, dispatch %s: %w", where, way, err)
			}
			doc.Rows = append(doc.Rows, labelled{Server: where, Dispatch: way, Figures: r})
			fmt.Fprintf(w, "%s\t%s\t%s\t\n", where, way, r.line())
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return writeJSON(o.json, doc)
}

// row is what was measured: its columns' names and values, with tabs between them.
type row interface {
	head() string
	line() string
}

type labelled struct {
	Server   string `json:"server"`
	Dispatch string `json:"dispatch"`
	Figures  any    `json:"figures"`
}

func once[T any](ctx context.Context, o options, where, way string, workers int, one func(context.Context, *crew, string) (T, error)) (r T, err error) {
	c, err := muster(ctx, o, where, workers)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.dismiss()) }()
	return one(ctx, c, way)
}

// reach waits until the sink has noted n arrivals.
func (c *crew) reach(ctx context.Context, n int) error {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for c.sink.count() < n {
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
