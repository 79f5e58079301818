package activities_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/provider"
	"volley/workflows/contract"
)

func TestAnAttemptHasStartedWhenItsRequestBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, taking(5*time.Second), provider.Account{Rate: 1}, 0, nil)
		began := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := within(func() {
					mu.Lock()
					defer mu.Unlock()
					at = append(at, time.Since(began))
				}, l.acts.Send, input())
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second}, at)
	})
}

func TestAGroupHasStartedWhenItsLastRequestBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, taking(5*time.Second), provider.Account{Rate: 1}, 4, nil)
		began := time.Now()
		var at []time.Duration
		l.started = func() { at = append(at, time.Since(began)) }
		require.Equal(t, map[string]int{"sent": 4}, kinds(l.send(t)))
		require.Equal(t, []time.Duration{3 * time.Second}, at)
	})
}

func TestAQuestionHasStartedBeforeItIsAsked(t *testing.T) {
	t.Parallel()
	started := false
	s := &asker{tell: func(context.Context, provider.Query) (provider.Answer, error) {
		require.True(t, started)
		return provider.Answer{}, nil
	}}
	acts := activities.New(activities.Options{Senders: accounts{"hook": s}})
	_, err := within(func() { started = true }, acts.Reconcile, question())
	require.NoError(t, err)
	require.True(t, started)
}

func TestNothingStartsInAProcessThatDrains(t *testing.T) {
	t.Parallel()
	for name, account := range map[string]provider.Account{"with a rate": {Rate: 1}, "without": {Concurrency: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := taking(5 * time.Second)
				l := newLot(t, s, account, 0, nil)
				began := time.Now()
				time.AfterFunc(500*time.Millisecond, l.acts.Drain)
				attempt := func() (kind string) {
					var res contract.SendResult
					if value, err := within(nil, l.acts.Send, input()); err != nil || value.Get(&res) != nil {
						t.Error(err)
					}
					return res.Kind
				}
				var wg sync.WaitGroup
				sent := make(chan string, 3)
				for range 3 {
					wg.Go(func() { sent <- attempt() })
				}
				wg.Wait()
				require.Equal(t, 5*time.Second, time.Since(began), "what has left is waited for")
				got := map[string]int{}
				for range 3 {
					got[<-sent]++
				}
				require.Equal(t, map[string]int{contract.KindSent: 1, contract.KindNotStarted: 2}, got)
				require.Equal(t, contract.KindNotStarted, attempt(), "one that comes afterwards")
				require.Equal(t, 1, s.requests())
			})
		})
	}
}
