package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"volley/dev/bench/measure"
	"volley/dev/bench/roles"
)

// section is what was measured on one server with one delay of the sink.
type section struct {
	Server  string  `json:"server"`
	DelayMS int64   `json:"sinkDelayMs"`
	Loop    sample  `json:"loop"`
	Figures []entry `json:"shapes"`
}

// entry are the medians of one shape.
type entry struct {
	Name string `json:"name"`
	sample
}

// compare measures the shapes side by side.
func compare(ctx context.Context, o options, out io.Writer) error {
	doc := document{Machine: thisMachine(), InFlight: o.inFlight, Rounds: o.rounds, BodyBytes: roles.BodyBytes}
	doc.Machine.print(out)
	for _, where := range o.servers {
		if err := compareOn(ctx, o, where, out, &doc); err != nil {
			return fmt.Errorf("server in %s: %w", where, err)
		}
	}
	return doc.write(o.json)
}

func compareOn(ctx context.Context, o options, where string, out io.Writer, doc *document) error {
	b, err := newEnvironment(ctx, o, where)
	if err != nil {
		return err
	}
	defer b.close()
	for _, delay := range o.delays {
		c := comparison{environment: b, delay: delay, out: out}
		s, err := c.run(ctx)
		if err != nil {
			return err
		}
		s.Server, s.DelayMS = where, delay.Milliseconds()
		doc.Sections = append(doc.Sections, s)
		if err := s.print(out, o); err != nil {
			return err
		}
	}
	return nil
}

// comparison alternates the shapes with the loop.
type comparison struct {
	*environment
	delay time.Duration
	out   io.Writer
	loop  *process
	loops []float64
}

func (c *comparison) run(ctx context.Context) (s section, err error) {
	if c.loop, err = spawn(ctx, c.role(roles.Loop, c.delay)); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, c.loop.stop()) }()
	if _, err := c.loop.ask(c.o.inFlight * 10); err != nil { // makes its connections
		return s, err
	}
	var chosen []shape
	for _, x := range shapes() {
		switch {
		case !slices.Contains(c.o.shapes, x.name):
		case x.name == roles.Asynq && c.redis == "":
			fmt.Fprintln(c.out, "there is no redis-server on this machine: asynq is left out")
		default:
			chosen = append(chosen, x)
		}
	}
	all := make([][]sample, len(chosen))
	for round := range c.o.rounds {
		if err := c.round(ctx, chosen, round, all); err != nil {
			return s, err
		}
	}
	s.Loop = sample{Messages: c.loopCount(), Speed: measure.Median(c.loops), Loop: 1, Memory: c.loop.peak()}
	for i, x := range chosen {
		s.Figures = append(s.Figures, entry{Name: x.name, sample: medians(all[i])})
	}
	return s, nil
}

// round measures every shape once, with the loop before the first, between them and
// after the last. Each round begins with another shape, so that none always comes
// after the same one.
func (c *comparison) round(ctx context.Context, chosen []shape, round int, all [][]sample) error {
	before, err := c.limit(ctx)
	if err != nil {
		return err
	}
	done := map[int]*sample{}
	for k := range chosen {
		i := (k + round) % len(chosen)
		x := chosen[i]
		m, _, err := c.measured(ctx, x, c.o.count(x.name, c.size(x)), c.delay)
		if err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		after, err := c.limit(ctx)
		if err != nil {
			return err
		}
		m.Loop = measure.Ratio(m.Speed, before, after)
		fmt.Fprintf(c.out, "round %d, %s: %d messages, %.0f a second, loop %.0f and %.0f, ratio %.4f\n",
			round+1, x.name, m.Messages, m.Speed, before, after, m.Loop)
		before, done[i] = after, &m
	}
	bare := slices.IndexFunc(chosen, func(x shape) bool { return x.name == "bare" })
	for i, m := range done {
		if bare >= 0 {
			m.Bare = m.Loop / done[bare].Loop
		}
		all[i] = append(all[i], *m)
	}
	return nil
}

func (c *comparison) size(x shape) int {
	if c.delay > 0 {
		return x.slow
	}
	return x.messages
}

func (c *comparison) loopCount() int {
	if c.delay > 0 {
		return c.o.count(roles.Loop, loopSlow)
	}
	return c.o.count(roles.Loop, loopMessages)
}

// limit is how fast the loop is now.
func (c *comparison) limit(ctx context.Context) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := c.loopCount()
	t, err := c.loop.ask(n)
	if err != nil {
		return 0, fmt.Errorf("loop: %w", err)
	}
	speed := float64(n) / t.Seconds
	c.loops = append(c.loops, speed)
	return speed, nil
}

// medians sums rounds up, each column by itself.
func medians(all []sample) sample {
	if len(all) == 0 {
		return sample{}
	}
	of := func(f func(sample) float64) float64 {
		var v []float64
		for _, m := range all {
			v = append(v, f(m))
		}
		return measure.Median(v)
	}
	return sample{
		Messages: all[0].Messages,
		Seconds:  of(func(m sample) float64 { return m.Seconds }),
		Speed:    of(func(m sample) float64 { return m.Speed }),
		Start:    of(func(m sample) float64 { return m.Start }),
		Loop:     of(func(m sample) float64 { return m.Loop }),
		Bare:     of(func(m sample) float64 { return m.Bare }),
		Events:   of(func(m sample) float64 { return m.Events }),
		Bytes:    of(func(m sample) float64 { return m.Bytes }),
		Actions:  of(func(m sample) float64 { return m.Actions }),
		Memory:   int64(of(func(m sample) float64 { return float64(m.Memory) })),
		P50:      of(func(m sample) float64 { return m.P50 }),
		P99:      of(func(m sample) float64 { return m.P99 }),
	}
}
