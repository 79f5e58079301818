package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/dev/bench/measure"
	"volley/dev/bench/roles"
	"volley/internal/index"
	"volley/internal/message"
)

// indexed is what filling the index costs: one kind of batches, sent in pairs of runs with an
// index and without one.
type indexed struct {
	Server   string `json:"server"`
	Kind     string `json:"kind"`
	Messages int    `json:"messages"`
	Pairs    int    `json:"pairs"`
	// Time and CPU are medians of the pairs: the run with an index by the one without. CPU is
	// that of the worker's process until the last outcome.
	Time float64 `json:"timeRatio"`
	CPU  float64 `json:"cpuRatio"`
	// Behind is the median time in seconds from the last outcome until all rows are in, and
	// Filling the CPU time in microseconds that the worker spent on a row after it.
	Behind  float64 `json:"behindSeconds"`
	Filling float64 `json:"cpuPerRowMicroseconds"`
	// Times and CPUs are the ratios of the single pairs.
	Times []float64 `json:"timeRatios"`
	CPUs  []float64 `json:"cpuRatios"`
}

// indexedRun is one run of a pair.
type indexedRun struct{ total, cpu, behind, filling time.Duration }

// kind is what is sent: batches of so many messages each.
type kind struct {
	name     string
	batch    batch
	messages int
	each     int
}

// oneAtOnce is how many batches of one message are under way at once.
const oneAtOnce = 20

// atIndex measures what filling the index costs a worker, and how far behind it is.
func atIndex(ctx context.Context, o options, out io.Writer) error {
	doc := struct {
		Machine machine   `json:"machine"`
		Kinds   []indexed `json:"kinds"`
	}{Machine: thisMachine()}
	doc.Machine.print(out)
	for _, where := range o.servers {
		fmt.Fprintf(out, "\nWith an index in SQLite and without one, server %s, medians of %d pairs\n\n", placeOf(where), o.rounds)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "\tmessages\ttime\tworker's CPU\trows in after the end\tCPU a row then\t")
		ones := o.count("one", 1000)
		for _, k := range []kind{
			{"one batch in groups", batch{dispatch: "group"}, o.count("group", 100_000), o.count("group", 100_000)},
			{"batches of one message", batch{dispatch: "message"}, ones, 1},
		} {
			x, err := pairs(ctx, o, where, k)
			if err != nil {
				return fmt.Errorf("server in %s, %s: %w", where, k.name, err)
			}
			doc.Kinds = append(doc.Kinds, x)
			fmt.Fprintf(w, "%s\t%d\t%.3f %.3f\t%.3f %.3f\t%.1f s\t%.0f µs\t\n", x.Kind, x.Messages, x.Time, x.Times, x.CPU, x.CPUs, x.Behind, x.Filling)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return writeJSON(o.json, doc)
}

// pairs runs a kind of batches in pairs. Each begins with the other one of the two.
func pairs(ctx context.Context, o options, where string, k kind) (indexed, error) {
	out := indexed{Server: where, Kind: k.name, Messages: k.messages, Pairs: o.rounds}
	var behind, filling []float64
	for i := range o.rounds {
		var with, without indexedRun
		first := i % 2
		for turn := range 2 {
			indexed := turn == first
			r, err := runOnce(ctx, o, where, k, indexed)
			if err != nil {
				return out, err
			}
			if indexed {
				with = r
			} else {
				without = r
			}
		}
		out.Times = append(out.Times, with.total.Seconds()/without.total.Seconds())
		out.CPUs = append(out.CPUs, with.cpu.Seconds()/without.cpu.Seconds())
		behind = append(behind, with.behind.Seconds())
		filling = append(filling, measure.Per(float64(with.filling.Microseconds()), k.messages))
	}
	out.Time, out.CPU = measure.Median(out.Times), measure.Median(out.CPUs)
	out.Behind, out.Filling = measure.Median(behind), measure.Median(filling)
	return out, nil
}

// runOnce sends the batches through a worker of their own, on a server of their own.
func runOnce(ctx context.Context, o options, where string, k kind, indexed bool) (r indexedRun, err error) {
	b, err := newEnvironment(ctx, o, where)
	if err != nil {
		return r, err
	}
	defer b.close()
	role := b.role(roles.Volley, 0)
	if indexed {
		role.Index = "sqlite://" + filepath.ToSlash(filepath.Join(b.dir, "index.db"))
	}
	p, err := spawn(ctx, role)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if _, err := (batch{dispatch: k.batch.dispatch}).send(ctx, b, warmth); err != nil {
		return r, fmt.Errorf("warming up: %w", err)
	}
	var x *index.Index
	rows := warmth + k.messages
	if indexed {
		if x, err = index.Open(ctx, index.Options{URL: role.Index}); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, x.Close()) }()
		if err := awaitRows(ctx, x, warmth); err != nil {
			return r, err
		}
	}
	pid := p.cmd.Process.Pid
	before, err := measure.CPUTime(pid)
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := k.send(ctx, b); err != nil {
		return r, err
	}
	r.total = time.Since(began)
	after, err := measure.CPUTime(pid)
	if err != nil || !indexed {
		r.cpu = after - before
		return r, err
	}
	r.cpu = after - before
	ended := time.Now()
	if err := awaitRows(ctx, x, rows); err != nil {
		return r, err
	}
	r.behind = time.Since(ended)
	filled, err := measure.CPUTime(pid)
	r.filling = filled - after
	return r, err
}

// send sends all of them to their end.
func (k kind) send(ctx context.Context, b *environment) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(oneAtOnce)
	for range k.messages / k.each {
		g.Go(func() error {
			s, err := k.batch.start(ctx, b, k.each)
			if err != nil {
				return err
			}
			return s.wait(ctx)
		})
	}
	return g.Wait()
}

// rowsEvery is how often is looked how many rows there are.
const rowsEvery = 250 * time.Millisecond

// awaitRows waits until the index has counted so many messages as sent.
func awaitRows(ctx context.Context, x *index.Index, n int) error {
	t := time.NewTicker(rowsEvery)
	defer t.Stop()
	for {
		stats, err := x.Stats(ctx, index.StatsQuery{})
		if err != nil {
			return err
		}
		if len(stats) == 1 && stats[0].Counts[message.Sent] == n {
			return nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
