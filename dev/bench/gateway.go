package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"volley/dev/bench/measure"
	"volley/dev/bench/roles"
)

// Load of the gateway.
const (
	submitters = 50
	// submitsPerSecond is how many batches all of them submit together.
	submitsPerSecond = 20
	batchMessages    = roles.BatchMessages
)

// gatewayEnv is a worker pool, a gateway, and clients of the gateway.
type gatewayEnv struct {
	*workerPool
	gateway *process
	// caller is a client in a process of its own, submit one in this.
	caller *process
	submit roles.Submit
}

// atGateway measures the gateway under a steady load, beside bare starts, and while
// many look on.
func atGateway(ctx context.Context, o options, out io.Writer) error {
	doc := struct {
		Machine machine         `json:"machine"`
		Rows    []gatewayReport `json:"rows"`
	}{Machine: thisMachine()}
	doc.Machine.print(out)
	for _, where := range o.servers {
		r, err := gatewayOn(ctx, o, where)
		if err != nil {
			return fmt.Errorf("server in %s: %w", where, err)
		}
		doc.Rows = append(doc.Rows, r)
		if err := r.print(out); err != nil {
			return err
		}
	}
	return writeJSON(o.json, doc)
}

// gatewayReport is all that was measured on one server.
type gatewayReport struct {
	Server string  `json:"server"`
	Paced  steady  `json:"paced"`
	Bare   beside  `json:"besideBareStarts"`
	First  first   `json:"firstMessage"`
	Watch  watched `json:"dashboard"`
	Memory int64   `json:"gatewayPeakBytes"`
}

func gatewayOn(ctx context.Context, o options, where string) (r gatewayReport, err error) {
	profiled := o.profile
	o.profile = "" // the gateway's, not the worker's
	c, err := startWorkers(ctx, o, where, 1)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	role := c.role(roles.Gateway, 0)
	role.Profile = profiled
	p, err := spawn(ctx, role)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	role = c.role(roles.Caller, 0)
	role.Gateway, role.Clients = p.ready.Gateway, submitters
	caller, err := spawn(ctx, role)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, caller.stop()) }()
	d := &gatewayEnv{workerPool: c, gateway: p, caller: caller, submit: roles.Submit{
		URL: p.ready.Gateway, Body: roles.BirdBatch(roles.BatchMessages),
		HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * submitters}},
	}}
	r.Server = where
	if r.Paced, err = d.steady(ctx); err != nil {
		return r, fmt.Errorf("paced: %w", err)
	}
	if r.Bare, err = d.besideBare(ctx); err != nil {
		return r, fmt.Errorf("beside bare starts: %w", err)
	}
	if r.First, err = d.firstMessage(ctx); err != nil {
		return r, fmt.Errorf("first message: %w", err)
	}
	if r.Watch, err = d.watched(ctx); err != nil {
		return r, fmt.Errorf("dashboard: %w", err)
	}
	r.Memory = p.peak()
	return r, nil
}

func (r gatewayReport) print(out io.Writer) error {
	p, b, w := r.Paced, r.Bare, r.Watch
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "\nServer %s: %d clients, %d Bird batches of %d a second\n\n", placeOf(r.Server), submitters, submitsPerSecond, batchMessages)
	fmt.Fprintf(table, "batches\terrors\tlost\tanswer p50\tp99\tmost\tgateway peak\t\n%d\t%d\t%d\t%s\t%s\t%s\t%s\t\n",
		p.Batches, p.Errors, p.Lost, ms(p.P50), ms(p.P99), ms(p.Most), size(r.Memory))
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nBeside bare starts of the same workflow, medians of %d pairs and of %d rounds\n\n", b.Pairs, b.Rounds)
	fmt.Fprintf(table, "\tgateway\tbare\tratio\t\n")
	fmt.Fprintf(table, "answer at %d batches a second\t%s\t%s\t%.2f\t\n", submitsPerSecond, ms(b.Paced.Gateway), ms(b.Paced.Bare), b.Paced.Ratio)
	fmt.Fprintf(table, "answer when nothing else runs\t%s\t%s\t%.2f\t\n", ms(b.Alone.Gateway), ms(b.Alone.Bare), b.Alone.Ratio)
	fmt.Fprintf(table, "accepted a second, %d clients\t%.0f\t%.0f\t%.2f\t\n", submitters, b.Speed.Gateway, b.Speed.Bare, b.Speed.Ratio)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nOne message to the provider's request, beside a bare workflow with one activity, medians of %d pairs\n\n", r.First.Pairs)
	fmt.Fprintf(table, "\tgateway\tbare\tratio\t\n")
	fmt.Fprintf(table, "from the call\t%s\t%s\t%.2f\t\n", ms(r.First.Call.Gateway), ms(r.First.Call.Bare), r.First.Call.Ratio)
	fmt.Fprintf(table, "from its answer\t%s\t%s\t%.2f\t\n", ms(r.First.Accepted.Gateway), ms(r.First.Accepted.Bare), r.First.Accepted.Ratio)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nA batch of %d running while %d clients look at %d batches every %s each, medians of %d rounds\n\n",
		w.Messages, watchers, watchedBatches, watchEvery, b.Rounds)
	fmt.Fprintf(table, "looked at\tmessages a second\tto nobody\tlooks a second\tp50\tp99\tqueries a second and batch\t\nnothing\t%.0f\t\t\t\t\t\t\n", w.Alone)
	for _, x := range w.Watched {
		fmt.Fprintf(table, "%s\t%.0f\t%.2f\t%.0f\t%s\t%s\t%.2f\t\n", x.What, x.Speed, x.Ratio, x.Looks, ms(x.P50), ms(x.P99), x.Queries)
	}
	return table.Flush()
}

// medianOf is the median of durations in milliseconds.
func medianOf(all []time.Duration) float64 { return milliseconds(measure.Percentile(all, 50)) }
