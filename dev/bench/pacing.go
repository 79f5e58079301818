package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/dev/bench/measure"
)

// paced is how the requests of two workers kept to one rate.
type paced struct {
	measure.Pace
	// Used is the share of the rate that was used after the first second.
	Used float64 `json:"shareOfRate"`
}

func (paced) head() string {
	return "requests\tseconds\tfirst second\tmost in a later one\tmost in any span\tper second\tof the rate"
}

func (p paced) line() string {
	return fmt.Sprintf("%d\t%.1f\t%d\t%d\t%d\t%.1f\t%.1f %%", p.Requests, p.Seconds, p.First, p.Second, p.Window, p.Rate, 100*p.Used)
}

// pacing sends through two workers whose account has a rate, and looks at when the
// requests arrive. Mixed is a batch each way at once.
func pacing(ctx context.Context, o options, out io.Writer) error {
	if o.rate <= 0 {
		return fmt.Errorf("--rate: %v, expected more than 0", o.rate)
	}
	heading := fmt.Sprintf("Two workers that have run for %s, one account with a rate of %g/s; spans of a second begin after the first one",
		o.settle, o.rate)
	return each(ctx, o, out, heading, 2, func(ctx context.Context, c *workerPool, way string) (paced, error) {
		ways := strings.Split(strings.ReplaceAll(way, "mixed", "message,group"), ",")
		n := o.count(way, int(30*o.rate)) / len(ways)
		select {
		case <-time.After(c.o.settle):
		case <-ctx.Done():
			return paced{}, ctx.Err()
		}
		c.sink.note()
		g, ctx := errgroup.WithContext(ctx)
		for _, w := range ways {
			g.Go(func() error {
				_, err := batch{dispatch: w}.send(ctx, c.environment, n)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return paced{}, err
		}
		p := c.sink.arrivals().Pace()
		return paced{Pace: p, Used: p.Rate / o.rate}, nil
	})
}
