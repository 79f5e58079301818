package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// punctual is how late messages left that were due in the same second.
type punctual struct {
	Messages int `json:"messages"`
	// First and Last are how late the first and the last request arrived.
	First float64 `json:"firstLateSeconds"`
	Last  float64 `json:"lastLateSeconds"`
	// Speed is their rate in messages a second; AtOnce is the rate of as many messages
	// that are due at once.
	Speed  float64 `json:"perSecond"`
	AtOnce float64 `json:"perSecondDueAtOnce"`
}

func (punctual) head() string {
	return "messages\tfirst late\tlast late\tper second\tper second, due at once"
}

func (p punctual) line() string {
	return fmt.Sprintf("%d\t%.2f s\t%.2f s\t%.0f\t%.0f", p.Messages, p.First, p.Last, p.Speed, p.AtOnce)
}

// ahead is how far ahead the messages are due, so that the start is over by then.
const ahead = 10 * time.Second

// due sends messages that are due in the same second, and as many that are due at
// once.
func due(ctx context.Context, o options, out io.Writer) error {
	heading := "Messages that are due in the same second"
	return each(ctx, o, out, heading, 1, func(ctx context.Context, c *workerPool, way string) (punctual, error) {
		p := punctual{Messages: o.count(way, 10_000)}
		_, speed, err := c.sent(ctx, batch{dispatch: way}, p.Messages)
		if err != nil {
			return p, err
		}
		p.AtOnce = speed
		at := time.Now().Add(ahead).Truncate(time.Second)
		arrived, speed, err := c.sent(ctx, batch{dispatch: way, due: at}, p.Messages)
		if err != nil {
			return p, err
		}
		p.Speed = speed
		p.First, p.Last = arrived[0].Sub(at).Seconds(), arrived[len(arrived)-1].Sub(at).Seconds()
		return p, nil
	})
}

// sent sends a batch and returns when its requests arrived, in order, and how many
// did a second between the first and the last.
func (c *workerPool) sent(ctx context.Context, x batch, n int) (arrived []time.Time, speed float64, err error) {
	c.sink.note()
	if _, err := x.send(ctx, c.environment, n); err != nil {
		return nil, 0, err
	}
	arrived = slices.SortedFunc(slices.Values(c.sink.arrivals()), time.Time.Compare)
	if len(arrived) != n {
		return nil, 0, fmt.Errorf("%d requests arrived, %d were expected", len(arrived), n)
	}
	return arrived, float64(n-1) / arrived[n-1].Sub(arrived[0]).Seconds(), nil
}
