package console

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"volley/internal/index"
	"volley/internal/message"
)

// lateStats is how the messages of the last hour went. Without an index there is nothing.
type lateStats struct {
	known                bool
	all                  []index.Stat
	byAccount, byCountry []index.Stat
	// away means that the index does not answer.
	away bool
}

func (c *Console) readStats(ctx context.Context) (s lateStats) {
	if c.o.Index == nil {
		return s
	}
	now := c.o.Now()
	var errs [3]error
	var group errgroup.Group
	for i, x := range []struct {
		by   string
		into *[]index.Stat
	}{{"", &s.all}, {"account", &s.byAccount}, {"country", &s.byCountry}} {
		group.Go(func() error {
			*x.into, errs[i] = c.o.Index.Stats(ctx, index.StatsQuery{Since: now.Add(-lately), Now: now, By: x.by})
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	err := errors.Join(errs[:]...)
	s.known, s.away = err == nil, err != nil
	return s
}

// unknownOf counts messages of which nobody can say whether they arrived.
func unknownOf(open []openBatch, stats lateStats) (n int) {
	if stats.known && len(stats.all) > 0 {
		return stats.all[0].Counts[message.Unknown]
	}
	for _, b := range open {
		if b.Counts != nil {
			n += b.Counts[message.Unknown]
		}
	}
	return n
}
