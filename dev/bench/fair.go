package main

import (
	"context"
	"fmt"
	"io"

	"volley/internal/message"
)

// fairness is how a small batch of one tenant fared beside a large one of another.
type fairness struct {
	// Before is how many of the large batch had been sent when the small one started,
	// Meanwhile how many were sent until that was done.
	Before    int `json:"largeSentBefore"`
	Meanwhile int `json:"largeSentMeanwhile"`
	Small     int `json:"small"`
	// Seconds is how long the small one took in message dispatch, Group one as small
	// in groups right after it.
	Seconds float64 `json:"seconds"`
	Group   float64 `json:"secondsInGroups"`
}

func (fairness) head() string {
	return "large, sent before\tmeanwhile\tsmall\tseconds until it was done\tin groups"
}

func (s fairness) line() string {
	return fmt.Sprintf("%d\t%d\t%d\t%.2f\t%.2f", s.Before, s.Meanwhile, s.Small, s.Seconds, s.Group)
}

// fair starts a batch of ten while another tenant's large one runs, and then one in
// groups.
func fair(ctx context.Context, o options, out io.Writer) error {
	heading := "A small batch of one tenant, started while another tenant's large one runs"
	return each(ctx, o, out, heading, 1, func(ctx context.Context, c *workerPool, way string) (s fairness, err error) {
		n := o.count(way, 100_000)
		c.sink.note()
		large, err := batch{tenant: "a", dispatch: way}.start(ctx, c.environment, n)
		if err != nil {
			return s, err
		}
		if err := c.awaitArrivals(ctx, n/20); err != nil {
			return s, err
		}
		s = fairness{Before: c.sink.count(), Small: o.count("small", 10)}
		for _, small := range []struct {
			dispatch string
			seconds  *float64
		}{{"message", &s.Seconds}, {"group", &s.Group}} {
			d, err := batch{tenant: "b", dispatch: small.dispatch}.send(ctx, c.environment, s.Small)
			if err != nil {
				return s, err
			}
			*small.seconds = d.total.Seconds()
		}
		s.Meanwhile = c.sink.count() - s.Before - 2*s.Small
		if st, err := large.starter.Status(ctx, large.ref); err != nil {
			return s, err
		} else if st.State.Closed() {
			return s, fmt.Errorf("the large batch had ended by then; it needs more than %d messages", n)
		}
		return s, large.cancel(ctx)
	})
}

// cancel ends what is left of a batch.
func (s *started) cancel(ctx context.Context) error {
	if _, err := s.starter.Cancel(ctx, s.ref, message.CancelRequest{}); err != nil {
		return err
	}
	_, err := s.starter.Wait(ctx, s.ref)
	return err
}
