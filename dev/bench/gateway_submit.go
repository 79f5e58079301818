package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/dev/bench/measure"
	"volley/dev/bench/roles"
	"volley/internal/message"
	"volley/starter"
)

// steady is how batches fared that came in at a steady rate.
type steady struct {
	Batches int `json:"batches"`
	// Errors are submits that were not accepted, Lost those that were and did not end
	// with all of their messages sent.
	Errors int `json:"errors"`
	Lost   int `json:"lost"`
	// P50, P99 and Most are of the time from when a submit was due to its answer.
	P50  float64 `json:"answerP50ms"`
	P99  float64 `json:"answerP99ms"`
	Most float64 `json:"answerMostms"`
}

// steady submits at submitsPerSecond.
func (d *gatewayEnv) steady(ctx context.Context) (s steady, err error) {
	s.Batches = d.o.count("paced", 30*submitsPerSecond)
	d.sink.note()
	if _, err := d.submit.Do(ctx); err != nil { // makes what is made once
		return s, err
	}
	if err := d.awaitArrivals(ctx, batchMessages); err != nil {
		return s, err
	}
	d.sink.note()
	due := make(chan time.Time)
	var mu sync.Mutex
	var took []time.Duration
	var ids []string
	var g errgroup.Group
	for range submitters {
		g.Go(func() error {
			for at := range due {
				id, err := d.submit.Do(ctx)
				mu.Lock()
				if took = append(took, time.Since(at)); err != nil {
					s.Errors++
				} else {
					ids = append(ids, id)
				}
				mu.Unlock()
			}
			return nil
		})
	}
	err = ticking(ctx, s.Batches, time.Second/submitsPerSecond, func(_ int, at time.Time) error {
		due <- at
		return nil
	})
	close(due)
	_ = g.Wait() // errors are counted
	if err != nil {
		return s, err
	}
	st := starter.New(d.client, starter.Options{Store: d.store})
	for _, id := range ids {
		end, err := st.Wait(ctx, starter.Ref{Tenant: roles.Tenant, ID: id})
		if err != nil || end.Counts[message.Sent] != batchMessages {
			s.Lost++
		}
	}
	if n := len(d.sink.arrivals()); n != batchMessages*len(ids) {
		return s, fmt.Errorf("%d messages arrived of %d batches", n, len(ids))
	}
	s.P50, s.P99, s.Most = medianOf(took), milliseconds(measure.Percentile(took, 99)), milliseconds(measure.Percentile(took, 100))
	return s, nil
}

// ticking does something n times at a steady pace, told when each was due.
func ticking(ctx context.Context, n int, every time.Duration, do func(i int, at time.Time) error) error {
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range n {
		at := began.Add(time.Duration(i) * every)
		timer.Reset(time.Until(at))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := do(i, at); err != nil {
			return err
		}
	}
	return nil
}
