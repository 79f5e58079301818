package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// delayed is how much recipients that are down delay the others.
type delayed struct {
	Messages int `json:"messages"`
	Down     int `json:"down"`
	// Without and With are how long it took until all others were sent, while the
	// recipients were up and while they were down.
	Without float64 `json:"secondsWithout"`
	With    float64 `json:"secondsWith"`
}

func (delayed) head() string {
	return "messages\tdown\tothers sent, none down\tothers sent, some down\tratio"
}

func (d delayed) line() string {
	return fmt.Sprintf("%d\t%d\t%.1f s\t%.1f s\t%.2f", d.Messages, d.Down, d.Without, d.With, d.With/d.Without)
}

// share is how many recipients there are for each one that is down.
const share = 100

// stragglers sends to recipients of whom every hundredth is down all the while, and
// to the same while they are up.
func stragglers(ctx context.Context, o options, out io.Writer) error {
	heading := "One recipient in a hundred is down, spread over all segments"
	return each(ctx, o, out, heading, 1, func(ctx context.Context, c *workerPool, way string) (d delayed, err error) {
		n := o.count(way, map[string]int{"group": 100_000}[way])
		if n == 0 {
			n = 10_000
		}
		d = delayed{Messages: n, Down: (n + share - 1) / share}
		c.sink.watches.Store(true)
		if d.Without, err = c.others(ctx, way, d, false); err != nil {
			return d, err
		}
		d.With, err = c.others(ctx, way, d, true)
		return d, err
	})
}

// others is how long it takes until all recipients have their message that are
// never down.
func (c *workerPool) others(ctx context.Context, way string, d delayed, refuse bool) (float64, error) {
	c.sink.refuses.Store(refuse)
	c.sink.note()
	s, err := batch{dispatch: way, downEvery: share}.start(ctx, c.environment, d.Messages)
	if err != nil {
		return 0, err
	}
	if err := c.awaitArrivals(ctx, d.Messages-d.Down); err != nil {
		return 0, err
	}
	took := time.Since(s.began).Seconds()
	if refuse {
		return took, s.cancel(ctx)
	}
	return took, s.wait(ctx)
}
