package activities_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

func TestGroupsOfAnAccountShareItsConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		s := &sender{answer: func(_ context.Context, m message.Outgoing) (message.Receipt, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			if m.Index == 0 {
				time.Sleep(9 * time.Second) // each group begins with a slow one
			}
			time.Sleep(10 * time.Millisecond)
			return message.Receipt{}, nil
		}}
		l := newLot(t, s, provider.Account{Concurrency: 3}, 400, nil)
		began := time.Now()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if n := kinds(l.send(t))["sent"]; n != 400 {
					t.Errorf("%d of a group were sent", n)
				}
			})
		}
		wg.Wait()
		require.Equal(t, int64(3), most.Load())
		require.Less(t, time.Since(began), 10*time.Second, "nobody waits for a group's end")
	})
}

func TestSingleMessagesAndGroupsShareARate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		s := &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(began))
			return message.Receipt{}, nil
		}}
		l := newLot(t, s, provider.Account{Rate: 10}, 30, nil)
		var wg sync.WaitGroup
		wg.Go(func() { l.send(t) })
		for range 10 {
			wg.Go(func() {
				if value, err := within(nil, l.acts.Send, input()); err != nil || value.Get(new(contract.SendResult)) != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Len(t, at, 40)
		require.InDelta(t, 3.9, at[39].Seconds(), 0.01)
		require.Less(t, len(l.beats.said), 15)
	})
}

func TestAProcessKeepsToItsShareOfARate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rate    float64
		workers int
		n       int
		took    time.Duration
	}{
		"all of it":                   {10, 1, 21, 2 * time.Second},
		"a quarter":                   {10, 4, 6, 2 * time.Second},
		"nobody counts as one":        {10, 0, 21, 2 * time.Second},
		"less than one in a second":   {1, 4, 3, 8 * time.Second},
		"a twentieth of it at once":   {100, 1, 25, 200 * time.Millisecond},
		"its part of that twentieth":  {100, 4, 6, 200 * time.Millisecond},
		"a rate that is none at all":  {0, 4, 500, 0},
		"slower than one in a minute": {1.0 / 90, 1, 2, 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLot(t, &sender{}, provider.Account{Rate: c.rate}, c.n, nil)
				l.acts.Share("hook", c.workers)
				l.acts.Share("no such account", c.workers)
				began := time.Now()
				require.Equal(t, map[string]int{"sent": c.n}, kinds(l.send(t)))
				require.InDelta(t, c.took.Seconds(), time.Since(began).Seconds(), 0.001)
			})
		})
	}
}
