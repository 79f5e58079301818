package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"volley/dev/bench/roles"
)

// workerPool is an environment in which Volley's workers run, warmed up.
type workerPool struct {
	*environment
	processes []*process
}

// startWorkers starts an environment and workers in it.
func startWorkers(ctx context.Context, o options, where string, workers int) (*workerPool, error) {
	b, err := newEnvironment(ctx, o, where)
	if err != nil {
		return nil, err
	}
	c := &workerPool{environment: b}
	for range workers {
		p, err := spawn(ctx, b.role(roles.Volley, 0))
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		c.processes = append(c.processes, p)
	}
	if _, err := (batch{dispatch: "message"}).send(ctx, b, warmth); err != nil {
		return nil, errors.Join(fmt.Errorf("warming up: %w", err), c.stop())
	}
	return c, nil
}

// stop ends the workers and the environment.
func (c *workerPool) stop() error {
	var errs []error
	for _, p := range c.processes {
		errs = append(errs, p.stop())
	}
	c.close()
	return errors.Join(errs...)
}

// each measures one thing on every server and in every way of dispatch, with a
// fresh worker pool each time, and shows all of it as a table under a heading.
func each[T row](ctx context.Context, o options, out io.Writer, heading string, workers int, one func(context.Context, *workerPool, string) (T, error)) error {
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

func once[T any](ctx context.Context, o options, where, way string, workers int, one func(context.Context, *workerPool, string) (T, error)) (r T, err error) {
	c, err := startWorkers(ctx, o, where, workers)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	return one(ctx, c, way)
}

// awaitArrivals waits until the sink has noted n arrivals.
func (c *workerPool) awaitArrivals(ctx context.Context, n int) error {
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
