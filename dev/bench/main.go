package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
)

// options are what a run of the benchmarks can be told.
type options struct {
	messages int
	runs     int
	inFlight int
	db       string
	json     string
	profile  string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.IntVar(&o.messages, "messages", 1000, "messages a batch")
	flag.IntVar(&o.runs, "runs", 5, "alternating runs of each")
	flag.IntVar(&o.inFlight, "in-flight", 100, "pool size of both")
	flag.StringVar(&o.db, "db", "", "keep the server's state in this file instead of in memory")
	flag.StringVar(&o.json, "json", "", "also write the figures to this file")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the SendBatch runs to this file")
	flag.Parse()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// shape is one way to send a batch.
type shape struct {
	Name string `json:"name"`
	// send runs one batch to its end.
	send func(ctx context.Context, b *bed) (sample, error)
}

// sample is one measured batch.
type sample struct {
	Seconds float64 `json:"seconds"`
	// Events and Bytes are those of the history, per message.
	Events float64 `json:"eventsPerMessage"`
	Bytes  float64 `json:"bytesPerMessage"`
}

// figure sums up a shape's samples. Ratio is the median of its speed to the bare
// workflow's in the same round.
type figure struct {
	Name  string  `json:"name"`
	Speed float64 `json:"messagesPerSecond"`
	Ratio float64 `json:"ratioToBare"`
	sample
}

func run(ctx context.Context, o options, out io.Writer) error {
	b, err := lay(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	shapes := []shape{
		{"bare workflow", bare},
		{"SendBatch", sendBatch(false)},
		{"SendBatch, with summaries", sendBatch(true)},
	}
	for _, s := range shapes { // warms connections and pollers; not counted
		if _, err := s.send(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	all := make([][]sample, len(shapes))
	for round := range o.runs {
		for k := range shapes { // in turn, so that none always comes after the same one
			i := (k + round) % len(shapes)
			m, err := b.measured(ctx, i > 0, shapes[i])
			if err != nil {
				return fmt.Errorf("%s: %w", shapes[i].Name, err)
			}
			all[i] = append(all[i], m)
		}
	}
	figures := sum(shapes, all, o.messages)
	if err := table(out, o, figures); err != nil || o.json == "" {
		return err
	}
	doc, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(doc, '\n'), 0o644)
}

func sum(shapes []shape, all [][]sample, messages int) []figure {
	var figures []figure
	for i, s := range shapes {
		var ratios, seconds []float64
		for k, m := range all[i] {
			ratios = append(ratios, all[0][k].Seconds/m.Seconds)
			seconds = append(seconds, m.Seconds)
		}
		last := all[i][len(all[i])-1]
		figures = append(figures, figure{
			Name: s.Name, Speed: float64(messages) / median(seconds), Ratio: median(ratios),
			sample: sample{Seconds: median(seconds), Events: last.Events, Bytes: last.Bytes},
		})
	}
	return figures
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func table(out io.Writer, o options, figures []figure) error {
	where := "in memory"
	if o.db != "" {
		where = "in a file"
	}
	fmt.Fprintf(out, "%d messages of %d bytes, pool of %d, embedded server %s, %d alternating runs, medians\n\n",
		o.messages, bodySize, o.inFlight, where, o.runs)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tmessages/s\tto bare\tevents/message\thistory bytes/message\t")
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.0f\t\n", f.Name, f.Speed, f.Ratio, f.Events, f.Bytes)
	}
	return w.Flush()
}
