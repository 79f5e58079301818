package activities_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/provider"
)

func TestNothingLeavesWhileAnAccountIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, &sender{}, provider.Account{Rate: 10}, 11, nil)
		l.acts.Hold("hook")
		l.acts.Hold("hook")
		var starting []int
		l.acts.Starting("hook", func(n int) { starting = append(starting, n) }, func(int) {})
		time.AfterFunc(3*time.Second, func() {
			l.acts.Share("hook", 2) // counts for those that wait already
			l.acts.Release("hook")
			l.acts.Release("hook")
		})
		began := time.Now()
		require.Equal(t, map[string]int{"sent": 11}, kinds(l.send(t)))
		require.InDelta(t, 5, time.Since(began).Seconds(), 0.001)
		require.Equal(t, []int{0, 1, 0}, starting)
	})
}

func TestAnAccountWithoutARateIsNotHeld(t *testing.T) {
	t.Parallel()
	l := newLot(t, &sender{}, provider.Account{}, 5, nil)
	l.acts.Hold("hook")
	l.acts.Release("hook")
	l.acts.Hold("hook")
	require.Equal(t, map[string]int{"sent": 5}, kinds(l.send(t)))
}

func TestSingleMessagesAreToldUntilTheyStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, &sender{}, provider.Account{Rate: 1}, 0, nil)
		var mu sync.Mutex
		most, last := 0, -1
		l.acts.Starting("hook", func(int) {}, func(n int) {
			mu.Lock()
			defer mu.Unlock()
			most, last = max(most, n), n
		})
		l.acts.Hold("hook")
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := within(l.stopping, l.acts.Send, input()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		l.acts.Release("hook")
		wg.Wait()
		require.Equal(t, 3, most)
		require.Zero(t, last)
	})
}
