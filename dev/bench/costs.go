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

// cost is what something costs that a run can have: one kind of batches, sent in pairs of runs
// with it and without it.
type cost struct {
	Server   string `json:"server"`
	Kind     string `json:"kind"`
	Messages int    `json:"messages"`
	Pairs    int    `json:"pairs"`
	// Time and CPU are medians of the pairs: the run with it by the one without. CPU is that of
	// the worker's process until the last outcome.
	Time float64 `json:"timeRatio"`
	CPU  float64 `json:"cpuRatio"`
	// Behind is, of an index, the median time in seconds from the last outcome until all rows
	// are in, and Filling the CPU time in microseconds that the worker spent on a row after it.
	Behind  float64 `json:"behindSeconds,omitempty"`
	Filling float64 `json:"cpuPerRowMicroseconds,omitempty"`
	// Times and CPUs are the ratios of the single pairs.
	Times []float64 `json:"timeRatios"`
	CPUs  []float64 `json:"cpuRatios"`
}

// costRun is one run of a pair.
type costRun struct{ total, cpu, behind, filling time.Duration }

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
	return costs(ctx, o, out, "an index in SQLite", func(ctx context.Context, where string, k kind, with bool) (costRun, error) {
		return runOnce(ctx, o, where, k, with)
	})
}

// atEncryption measures what sealing payloads and objects costs.
func atEncryption(ctx context.Context, o options, out io.Writer) error {
	return costs(ctx, o, out, "encryption", func(ctx context.Context, where string, k kind, with bool) (costRun, error) {
		sealed := o
		sealed.encrypt = with
		return runOnce(ctx, sealed, where, k, false)
	})
}

// costs measures what something costs, on each server.
func costs(ctx context.Context, o options, out io.Writer, what string, once func(ctx context.Context, where string, k kind, with bool) (costRun, error)) error {
	doc := struct {
		Machine machine `json:"machine"`
		What    string  `json:"what"`
		Kinds   []cost  `json:"kinds"`
	}{Machine: thisMachine(), What: what}
	doc.Machine.print(out)
	for _, where := range o.servers {
		fmt.Fprintf(out, "\nWith %s and without, server %s, medians of %d pairs\n\n", what, placeOf(where), o.rounds)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "\tmessages\ttime\teach pair\tworker's CPU\teach pair\trows in after the end\tCPU a row then\t")
		for _, k := range o.kinds() {
			x, err := pairs(ctx, k, o.rounds, func(ctx context.Context, with bool) (costRun, error) { return once(ctx, where, k, with) })
			if err != nil {
				return fmt.Errorf("server in %s, %s: %w", where, k.name, err)
			}
			x.Server = where
			doc.Kinds = append(doc.Kinds, x)
			fmt.Fprintf(w, "%s\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.1f s\t%.0f µs\t\n", x.Kind, x.Messages, x.Time, x.Times, x.CPU, x.CPUs, x.Behind, x.Filling)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return writeJSON(o.json, doc)
}

// kinds are those that --messages names, or all of them.
func (o options) kinds() (all []kind) {
	if n := o.count("group", 100_000); o.named("group") {
		all = append(all, kind{"one batch in groups", batch{dispatch: "group"}, n, n})
	}
	if n := o.count("one", 1000); o.named("one") {
		all = append(all, kind{"batches of one message", batch{dispatch: "message"}, n, 1})
	}
	return all
}

func (o options) named(kind string) bool {
	_, ok := o.messages[kind]
	return ok || len(o.messages) == 0
}

// pairs runs a kind of batches in pairs. Each begins with the other one of the two.
func pairs(ctx context.Context, k kind, rounds int, once func(ctx context.Context, with bool) (costRun, error)) (cost, error) {
	out := cost{Kind: k.name, Messages: k.messages, Pairs: rounds}
	var behind, filling []float64
	for i := range rounds {
		var runs [2]costRun // without and with
		for turn := range 2 {
			with := (i + turn) % 2
			r, err := once(ctx, with == 1)
			if err != nil {
				return out, err
			}
			runs[with] = r
		}
		out.Times = append(out.Times, runs[1].total.Seconds()/runs[0].total.Seconds())
		out.CPUs = append(out.CPUs, runs[1].cpu.Seconds()/runs[0].cpu.Seconds())
		behind = append(behind, runs[1].behind.Seconds())
		filling = append(filling, measure.Per(float64(runs[1].filling.Microseconds()), k.messages))
	}
	out.Time, out.CPU = measure.Median(out.Times), measure.Median(out.CPUs)
	out.Behind, out.Filling = measure.Median(behind), measure.Median(filling)
	return out, nil
}

// runOnce sends the batches through a worker of their own, on a server of their own.
func runOnce(ctx context.Context, o options, where string, k kind, indexed bool) (r costRun, err error) {
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
	if _, err := k.batch.send(ctx, b, warmth); err != nil {
		return r, fmt.Errorf("warming up: %w", err)
	}
	var x *index.Index
	if indexed {
		if x, err = index.Open(ctx, index.Options{URL: role.Index}); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, x.Close()) }()
		if err := awaitRows(ctx, x, warmth); err != nil {
			return r, err
		}
	}
	began := time.Now()
	if r.cpu, err = p.uses(func() error { return k.send(ctx, b) }); err != nil {
		return r, err
	}
	r.total = time.Since(began)
	if indexed {
		ended := time.Now()
		r.filling, err = p.uses(func() error { return awaitRows(ctx, x, warmth+k.messages) })
		r.behind = time.Since(ended)
	}
	return r, err
}

// uses is how much CPU time a process uses while something is done.
func (p *process) uses(do func() error) (time.Duration, error) {
	before, err := measure.CPUTime(p.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := measure.CPUTime(p.cmd.Process.Pid)
	return after - before, err
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
