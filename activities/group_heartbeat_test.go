package activities_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/internal/provider"
)

func TestNothingLeavesBeforeTheHeartbeatThatLetsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l *lot
		ahead := 0
		s := &sender{answer: func(_ context.Context, m message.Outgoing) (message.Receipt, error) {
			if m.Index >= l.beats.watermark() {
				t.Errorf("message %d left at watermark %d", m.Index, l.beats.watermark())
			}
			ahead = max(ahead, l.beats.watermark()-m.Index)
			return message.Receipt{}, nil
		}}
		l = newLot(t, s, provider.Account{Concurrency: 1}, 500, nil)
		l.beats.answer = func(context.Context, int) error {
			time.Sleep(30 * time.Millisecond)
			return nil
		}
		require.Equal(t, map[string]int{"sent": 500}, kinds(l.send(t)))
		require.Equal(t, 500, s.requests())
		require.LessOrEqual(t, ahead, 150)
	})
}

func TestAHeartbeatSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := taking(time.Second)
		l := newLot(t, s, provider.Account{Concurrency: 1}, 5, nil)
		require.Equal(t, map[string]int{"sent": 5}, kinds(l.send(t)))
		last := 0
		for i, p := range l.beats.said {
			require.Equal(t, message.Version, p.V)
			require.Len(t, p.Outcomes, 5)
			require.GreaterOrEqual(t, p.Watermark, last)
			last = p.Watermark
			known := kinds(p.Outcomes)["sent"]
			require.InDelta(t, l.beats.at[i].Sub(l.beats.at[0]).Seconds(), known, 1)
			require.LessOrEqual(t, known, p.Watermark)
		}
	})
}

func TestAHeartbeatLetsNoMoreLeaveThanASecondsWorth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account  provider.Account
		n, first int
	}{
		"the account's concurrency":     {provider.Account{Concurrency: 7}, 200, 7},
		"the usual concurrency":         {provider.Account{}, 200, 64},
		"at most 250":                   {provider.Account{Concurrency: 1000}, 300, 250},
		"no more than a second's rate":  {provider.Account{Concurrency: 1000, Rate: 20.5}, 200, 20},
		"one at a rate below one":       {provider.Account{Rate: 0.5}, 200, 1},
		"a rate above the concurrency":  {provider.Account{Rate: 300, Concurrency: 7}, 200, 7},
		"no more than there is to send": {provider.Account{Concurrency: 100, Rate: 1000}, 90, 90},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLot(t, &sender{}, c.account, c.n, nil)
				l.send(t)
				require.Equal(t, c.first, l.beats.said[0].Watermark)
			})
		})
	}
}

func TestAFastGroupMakesFewHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, &sender{}, provider.Account{Concurrency: 100}, 500, nil)
		require.Equal(t, map[string]int{"sent": 500}, kinds(l.send(t)))
		require.LessOrEqual(t, len(l.beats.said), 25, "it begins without knowing how fast the account is")
	})
}

// The window of an account is what it gets done in 100 ms.
func TestAWindowIsATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := taking(10 * time.Millisecond)
		l := newLot(t, s, provider.Account{Concurrency: 1}, 500, nil)
		require.Equal(t, map[string]int{"sent": 500}, kinds(l.send(t)))
		require.LessOrEqual(t, len(l.beats.said), 60, "100 ms of sending are ten messages")
	})
}

func TestASlowGroupIsHeardOfEverySecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, taking(9*time.Second), provider.Account{Concurrency: 2}, 6, nil)
		began := time.Now()
		require.Equal(t, map[string]int{"sent": 6}, kinds(l.send(t)))
		ended := time.Now()
		require.Equal(t, 27*time.Second, ended.Sub(began))
		l.beats.at = append(l.beats.at, ended)
		for _, at := range l.beats.at {
			require.LessOrEqual(t, at.Sub(began), time.Second)
			began = at
		}
	})
}

func TestAGroupThatIsAskedBackStopsWithinASecond(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		last time.Duration // until when there are heartbeats
	}{
		"canceled":              {temporal.NewCanceledError(), 13 * time.Second},
		"paused":                {activity.ErrActivityPaused, 13 * time.Second},
		"reset":                 {activity.ErrActivityReset, 13 * time.Second},
		"unknown to the server": {serviceerror.NewNotFound("gone"), 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var started atomic.Int64
				s := &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) {
					started.Store(int64(time.Since(began)))
					time.Sleep(8 * time.Second)
					return message.Receipt{}, nil
				}}
				l := newLot(t, s, provider.Account{Rate: 2, Concurrency: 100}, 100, nil)
				l.beats.answer = func(context.Context, int) error {
					if time.Since(began) >= 5*time.Second {
						return c.err
					}
					return nil
				}
				outcomes := l.send(t)
				require.LessOrEqual(t, time.Duration(started.Load()), 6*time.Second)
				require.GreaterOrEqual(t, s.requests(), 10)
				require.Equal(t, map[string]int{"sent": s.requests(), "not_started": 100 - s.requests()}, kinds(outcomes))
				require.Less(t, time.Since(began), 14*time.Second)
				last := l.beats.at[len(l.beats.at)-1].Sub(began)
				require.InDelta(t, c.last.Seconds(), last.Seconds(), 1)
			})
		})
	}
}

func TestWhileTheServerIsAwayNothingLeavesAfterFourSeconds(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(ctx context.Context) error{
		"it refuses":         func(context.Context) error { return serviceerror.NewUnavailable("away") },
		"it does not answer": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"it is in trouble":   func(context.Context) error { return errors.New("odd") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var at []time.Duration
				s := &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) {
					at = append(at, time.Since(began))
					return message.Receipt{}, nil
				}}
				l := newLot(t, s, provider.Account{Rate: 100, Concurrency: 1}, 2000, nil)
				l.in.Spans[0][1] = 1000
				said := 0
				l.beats.answer = func(ctx context.Context, _ int) error {
					if since := time.Since(began); since >= 2*time.Second && since < 12*time.Second {
						return away(ctx)
					}
					return nil
				}
				require.Equal(t, map[string]int{"sent": 1000}, kinds(l.send(t)))
				resumed := time.Duration(0)
				for i := 1; i < len(at); i++ {
					if gap := at[i] - at[i-1]; gap > time.Second {
						require.Zero(t, resumed, "one pause")
						require.Less(t, at[i-1], 6*time.Second)
						resumed = at[i]
					}
				}
				require.GreaterOrEqual(t, resumed, 12*time.Second)
				require.Less(t, resumed, 16*time.Second)
				for _, p := range l.beats.said {
					require.GreaterOrEqual(t, p.Watermark, said, "a watermark never sinks")
					said = p.Watermark
				}
			})
		})
	}
}

// A heartbeat without an answer may still arrive, after its successor: that one
// must not say more.
func TestAfterAHeartbeatWithoutAnAnswerTheNextOneRepeatsItsWatermark(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, taking(100*time.Millisecond), provider.Account{Concurrency: 10}, 200, nil)
		l.beats.answer = func(ctx context.Context, n int) error {
			if n%3 == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		require.Equal(t, map[string]int{"sent": 200}, kinds(l.send(t)))
		for n := 1; n+1 < len(l.beats.said); n += 3 {
			require.Equal(t, l.beats.said[n].Watermark, l.beats.said[n+1].Watermark)
		}
	})
}

func TestAGroupWithoutHeartbeatsSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		l := newLot(t, s, provider.Account{}, 5, nil)
		l.beats.answer = func(context.Context, int) error { return serviceerror.NewUnavailable("away") }
		began := time.Now()
		require.Equal(t, map[string]int{"not_started": 5}, kinds(l.send(t)))
		require.Equal(t, 10*time.Minute-15*time.Second, time.Since(began))
		require.Zero(t, s.requests())
	})
}
