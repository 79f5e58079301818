package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"volley/dev/bench/measure"
	"volley/dev/bench/roles"
)

// scaled is a batch of one size, beside what limits its size.
type scaled struct {
	Server string `json:"server"`
	sample
	// Rows is how many messages a second the start took in.
	Rows       float64 `json:"startRowsPerSecond"`
	Workflows  int     `json:"workflows"`
	MostEvents int     `json:"mostEventsOfAHistory"`
	MostBytes  int64   `json:"mostBytesOfAHistory"`
	Payload    int     `json:"largestPayloadBytes"`
	Pending    int     `json:"mostPending"`
}

// scale compares two batches in group dispatch of which one is ten times as large,
// each on a server of its own.
func scale(ctx context.Context, o options, out io.Writer) error {
	doc := struct {
		Machine machine  `json:"machine"`
		Batches []scaled `json:"batches"`
	}{Machine: thisMachine()}
	doc.Machine.print(out)
	for _, where := range o.servers {
		var all []scaled
		for _, n := range []int{o.count("small", 100_000), o.count("large", 1_000_000)} {
			s, err := scaleOf(ctx, o, where, n)
			if err != nil {
				return fmt.Errorf("server in %s, %d messages: %w", where, n, err)
			}
			all = append(all, s)
		}
		doc.Batches = append(doc.Batches, all...)
		if err := printScale(out, where, all); err != nil {
			return err
		}
	}
	return writeJSON(o.json, doc)
}

func scaleOf(ctx context.Context, o options, where string, n int) (scaled, error) {
	b, err := newEnvironment(ctx, o, where)
	if err != nil {
		return scaled{}, err
	}
	defer b.close()
	group := shape{name: "group", role: roles.Volley, send: batch{dispatch: "group"}.send}
	m, h, err := b.measured(ctx, group, n, 0)
	return scaled{
		Server: where, sample: m, Rows: float64(n) / (m.Start * m.Seconds), Workflows: h.Workflows,
		MostEvents: h.MostEvents, MostBytes: h.MostBytes, Payload: h.Payload, Pending: h.Pending,
	}, err
}

func printScale(out io.Writer, where string, all []scaled) error {
	fmt.Fprintf(out, "\nGroup dispatch, server %s\n\n", placeOf(where))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, of func(scaled) string) {
		fmt.Fprintf(w, "%s\t", name)
		for _, s := range all {
			fmt.Fprintf(w, "%s\t", of(s))
		}
		fmt.Fprintln(w)
	}
	row("messages", func(s scaled) string { return fmt.Sprint(s.Messages) })
	row("seconds", func(s scaled) string { return fmt.Sprintf("%.1f", s.Seconds) })
	row("messages a second", func(s scaled) string { return fmt.Sprintf("%.0f", s.Speed) })
	row("rows a second at the start", func(s scaled) string { return fmt.Sprintf("%.0f", s.Rows) })
	row("worker's peak memory", func(s scaled) string { return size(s.Memory) })
	row("status p50", func(s scaled) string { return ms(s.P50) })
	row("status p99", func(s scaled) string { return ms(s.P99) })
	row("actions per 1,000 messages", func(s scaled) string { return fmt.Sprintf("%.1f", s.Actions) })
	row("workflows", func(s scaled) string { return fmt.Sprint(s.Workflows) })
	row("most events of a history", func(s scaled) string { return fmt.Sprint(s.MostEvents) })
	row("most bytes of a history", func(s scaled) string { return fmt.Sprint(s.MostBytes) })
	row("largest payload in bytes", func(s scaled) string { return fmt.Sprint(s.Payload) })
	row("most pending of one kind", func(s scaled) string { return fmt.Sprint(s.Pending) })
	if err := w.Flush(); err != nil {
		return err
	}
	a, z := all[0], all[len(all)-1]
	fmt.Fprintf(out, "\n%.0f times the messages: %.2f times the time, %.2f times the memory\n",
		float64(z.Messages)/float64(a.Messages), z.Seconds/a.Seconds, measure.Per(float64(z.Memory), int(a.Memory)))
	return nil
}
