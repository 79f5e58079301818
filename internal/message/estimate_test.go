package message_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

var began = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func in(d time.Duration) int64 { return began.Add(d).UnixMilli() }

// estimated estimates what add puts in, over an account of ten messages a second
// and one without a limit.
func estimated(add func(e *message.Estimator)) message.Estimate {
	e := message.NewEstimator(map[string]float64{"ten": 10}, 50, began)
	add(e)
	return e.Estimate(0, "")
}

func TestAnAccountWithoutALimitEndsWithTheLastDueTime(t *testing.T) {
	t.Parallel()
	got := estimated(func(e *message.Estimator) {
		e.Add("free", in(0), in(time.Hour))
		e.Add("free", in(90*time.Second), in(time.Hour))
		e.Add("free", in(-time.Hour), in(time.Minute))
	})
	require.Equal(t, began.Add(90*time.Second), *got.EndsAt)
	require.Zero(t, got.Expiring)
	require.Equal(t, 3, got.Messages)
}

func TestARateDecidesWhenAQueueIsEmpty(t *testing.T) {
	t.Parallel()
	got := estimated(func(e *message.Estimator) {
		for range 600 {
			e.Add("ten", in(0), in(time.Hour))
		}
	})
	require.Equal(t, began.Add(time.Minute), *got.EndsAt)
	require.Zero(t, got.Expiring)
}

func TestAQueueThatRunsEmptyWaitsForTheNextDueTime(t *testing.T) {
	t.Parallel()
	got := estimated(func(e *message.Estimator) {
		for i := range 200 {
			e.Add("ten", in(time.Duration(i%2)*time.Hour), in(5*time.Hour))
		}
	})
	require.Equal(t, began.Add(time.Hour+10*time.Second), *got.EndsAt)
}

func TestTheSlowestAccountDecides(t *testing.T) {
	t.Parallel()
	got := estimated(func(e *message.Estimator) {
		for range 100 {
			e.Add("ten", in(0), in(time.Hour))
			e.Add("free", in(0), in(time.Hour))
		}
	})
	require.Equal(t, began.Add(10*time.Second), *got.EndsAt)
	require.Equal(t, 200, got.Messages)
}

func TestMessagesWhoseTurnComesTooLateExpire(t *testing.T) {
	t.Parallel()
	t.Run("the queue is longer than the validity", func(t *testing.T) {
		t.Parallel()
		got := estimated(func(e *message.Estimator) {
			for range 1000 {
				e.Add("ten", in(0), in(time.Minute))
			}
		})
		require.Equal(t, 400, got.Expiring)
		require.Equal(t, began.Add(time.Minute), *got.EndsAt, "those that expire take no turn")
	})
	t.Run("it had ended before the batch began", func(t *testing.T) {
		t.Parallel()
		got := estimated(func(e *message.Estimator) {
			e.Add("free", in(-2*time.Hour), in(-time.Hour))
			e.Add("free", in(0), in(time.Hour))
		})
		require.Equal(t, 1, got.Expiring)
	})
	t.Run("the queue before them delays them", func(t *testing.T) {
		t.Parallel()
		got := estimated(func(e *message.Estimator) {
			for range 1000 {
				e.Add("ten", in(0), in(time.Hour))
			}
			for range 5 {
				e.Add("ten", in(10*time.Second), in(20*time.Second))
			}
		})
		require.Equal(t, 5, got.Expiring)
		require.Equal(t, began.Add(100*time.Second), *got.EndsAt)
	})
	t.Run("others of the same moment do not", func(t *testing.T) {
		t.Parallel()
		got := estimated(func(e *message.Estimator) {
			for range 500 {
				e.Add("ten", in(0), in(time.Hour))
				e.Add("ten", in(0), in(50*time.Second))
			}
		})
		require.Equal(t, 250, got.Expiring, "half of the short-lived ones")
		require.Equal(t, began.Add(75*time.Second), *got.EndsAt)
	})
}

// TestAMillionTimesStayExactEnough spreads due times and validities so widely that
// they have to be bundled.
func TestAMillionTimesStayExactEnough(t *testing.T) {
	t.Parallel()
	const n, span = 300_000, 35 * 24 * time.Hour
	r := rand.New(rand.NewPCG(1, 2))
	got := estimated(func(e *message.Estimator) {
		for range n {
			due := in(time.Duration(r.Int64N(int64(span))))
			e.Add("ten", due, due+int64(time.Hour/time.Millisecond)+r.Int64N(1_000_000))
		}
	})
	require.Equal(t, n, got.Messages)
	require.Zero(t, got.Expiring, "the account keeps up")
	require.WithinDuration(t, began.Add(span), *got.EndsAt, 2*time.Hour)
}

func TestActionsCountWhatTemporalCloudCharges(t *testing.T) {
	t.Parallel()
	actions := func(n, segments int, dispatch string, rate float64) int {
		e := message.NewEstimator(map[string]float64{"a": rate}, 50, began)
		for range n {
			e.Add("a", in(0), in(100*time.Hour))
		}
		return e.Estimate(segments, dispatch).Actions
	}
	require.Equal(t, 1002, actions(1000, 0, "", 0))
	require.Equal(t, 100_505, actions(100_000, 100, "message", 0))
	require.Equal(t, 5+100*(5+11), actions(100_000, 100, "group", 0))
	require.Equal(t, 5+100*(5+20*2), actions(100_000, 100, "group", 100), "a group is half a second's worth")
	require.Equal(t, 5+5+2, actions(3, 1, "group", 0))
	require.Equal(t, 2, actions(0, 0, "", 0))
	require.Equal(t, 10, actions(0, 1, "group", 0))

	e := message.NewEstimator(nil, 50, began)
	for range 998 {
		e.Add("a", in(0), in(time.Hour))
	}
	require.InDelta(t, 0.05, e.Estimate(0, "").Dollars, 1e-9)
}

func TestAnEstimateOfNothingHasNoEnd(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(message.NewEstimator(nil, 0, began).Estimate(0, ""))
	require.NoError(t, err)
	require.JSONEq(t, `{"messages":0,"segments":0,"actions":2,"dollars":0,"endsAt":null,"expiring":0,"dispatch":"message","other":null}`, string(b))
}

func running(counts message.Counts) message.Status {
	return message.Status{
		State: message.BatchRunning, StartedAt: &began, AsOf: began.Add(10 * time.Second), Total: counts.Total(), Counts: &counts,
		Remaining: message.Remaining{Recent: &message.Recent{Ended: 50, Since: began.UnixMilli()}},
	}
}

func TestForecast(t *testing.T) {
	t.Parallel()
	later := began.Add(time.Hour)
	for name, c := range map[string]struct {
		change func(s *message.Status)
		limit  float64
		last   int64
		rate   float64
		end    time.Duration // from the beginning; 0 is none
	}{
		"what was seen counts":               {limit: 1000, rate: 5, end: 30 * time.Second},
		"the last due time is waited for":    {last: in(time.Hour), rate: 5, end: time.Hour},
		"a paused batch has no end in sight": {change: func(s *message.Status) { s.State = message.BatchPaused }},
		"nor one that is held":               {change: func(s *message.Status) { s.Held = &message.HoldView{} }},
		"what was long ago does not count":   {change: func(s *message.Status) { s.Recent = &message.Recent{Ended: 20, Since: in(8 * time.Second)} }, rate: 10, end: 20 * time.Second},
		"a worker of an earlier version tells no rate": {
			change: func(s *message.Status) { s.Recent = nil }, limit: 50, end: 12 * time.Second,
		},
		"only retries are left": {
			change: func(s *message.Status) {
				s.Counts[message.Accepted], s.Counts[message.Retrying], s.LastDueAt = 0, 3, &later
			},
			rate: 5,
		},
		"reports that are awaited are not to be sent": {
			change: func(s *message.Status) {
				s.Counts[message.Accepted], s.Counts[message.Sending], s.AwaitingReports = 0, 3, 3
			},
			limit: 1, rate: 5,
		},
		"nobody knows when they come": {
			change: func(s *message.Status) { s.Counts[message.Sending], s.AwaitingReports = 1000, 1000 }, rate: 5,
		},
		"what has not left by then expires": {
			change: func(s *message.Status) { at := began.Add(20 * time.Second); s.ExpireBy = &at }, rate: 5, end: 20 * time.Second,
		},
		"it goes on long after that": {
			change: func(s *message.Status) { at := began.Add(time.Hour); s.ExpireBy = &at }, rate: 5, end: 30 * time.Second,
		},
		"nor has one that is canceled":    {change: func(s *message.Status) { s.State = message.BatchCanceling }, rate: 5},
		"a closed one has ended":          {change: func(s *message.Status) { s.State = message.BatchCompleted }},
		"without counts nothing is known": {change: func(s *message.Status) { s.Counts = nil }},
		"an empty rest has ended too":     {change: func(s *message.Status) { s.Counts[message.Accepted] = 0 }, rate: 5},
		"the first second says nothing": {
			change: func(s *message.Status) { s.AsOf = began.Add(time.Millisecond) }, limit: 100, end: time.Second + time.Millisecond,
		},
		"a batch that waits goes at the account's rate": {
			change: func(s *message.Status) {
				s.Counts[message.Accepted], s.Counts[message.Scheduled], s.NextDueAt = 0, 100, &later
			},
			limit: 10, rate: 5, end: time.Hour + 10*time.Second,
		},
		"one that never began has no rate": {
			change: func(s *message.Status) {
				s.StartedAt, s.NextDueAt, s.State, s.Recent = nil, &later, message.BatchScheduled, &message.Recent{Since: in(10 * time.Second)}
				*s.Counts = message.Counts{message.Scheduled: 7}
			},
			end: time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := running(message.Counts{message.Accepted: 100, message.Sent: 45, message.Failed: 5, message.Canceled: 900})
			if c.change != nil {
				c.change(&s)
			}
			s.Forecast(c.limit, c.last)
			require.InDelta(t, c.rate, s.Rate, 1e-9)
			if c.end == 0 {
				require.Nil(t, s.EstimatedEnd)
				return
			}
			require.Equal(t, began.Add(c.end), *s.EstimatedEnd)
		})
	}
}

func TestTheRateOfABatchIsThatOfItsFirstAccounts(t *testing.T) {
	t.Parallel()
	rates := map[string]float64{"a": 10, "b": 5, "none": 0}
	hops := func(names ...string) (way []message.Hop) {
		for _, n := range names {
			way = append(way, message.Hop{Account: n})
		}
		return way
	}
	for name, tt := range map[string]struct {
		ways [][]message.Hop
		want float64
	}{
		"no way": {nil, 0}, "one": {[][]message.Hop{hops("a", "b")}, 10}, "two add up": {[][]message.Hop{hops("a"), hops("b")}, 15},
		"each counts once":         {[][]message.Hop{hops("a"), hops("a", "b"), hops("b")}, 15},
		"one without a limit":      {[][]message.Hop{hops("a"), hops("none")}, 0},
		"one that is not known":    {[][]message.Hop{hops("gone"), hops("a")}, 0},
		"messages without a way":   {[][]message.Hop{{}, hops("b")}, 5},
		"a limit on the next only": {[][]message.Hop{hops("none", "a")}, 0},
	} {
		require.InDelta(t, tt.want, (&message.Batch{Hops: tt.ways}).RateLimit(rates), 1e-9, name)
	}
	for rate, want := range map[float64]int{0: 1000, -1: 1000, 0.1: 1, 2: 1, 3: 1, 4: 2, 100: 50, 2000: 1000, 9999: 1000} {
		require.Equal(t, want, message.GroupSize(rate), "%v/s", rate)
	}
}

func TestAnEstimateOfALargeBatchSaysWhatTheOtherWayTakes(t *testing.T) {
	t.Parallel()
	e := message.NewEstimator(nil, 50, began)
	for range 2000 {
		e.Add("a", in(0), in(time.Hour))
	}
	got := e.Estimate(2, message.DispatchGroup)
	byGroup, byMessage := 5+2*(5+11), 5+2*5+2000
	require.Equal(t, message.DispatchGroup, got.Dispatch)
	require.Equal(t, byGroup, got.Actions)
	require.Equal(t, &message.Dispatch{Dispatch: message.DispatchMessage, Actions: byMessage, Dollars: float64(byMessage) * 50 / 1e6}, got.Other)
	got = e.Estimate(2, "")
	require.Equal(t, message.DispatchMessage, got.Dispatch)
	require.Equal(t, byMessage, got.Actions)
	require.Equal(t, &message.Dispatch{Dispatch: message.DispatchGroup, Actions: byGroup, Dollars: float64(byGroup) * 50 / 1e6}, got.Other)
	require.Nil(t, e.Estimate(0, "").Other)
	require.Equal(t, 2+2000, e.Estimate(0, message.DispatchGroup).Actions, "without the store there are no groups")
}

func TestABatchThatSendsNothingNowGoesAtTheAccountsRate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(s *message.Status)
		limit  float64
		end    time.Duration
	}{
		"due before now, the rest goes at once":  {func(s *message.Status) { s.NextDueAt = &began }, 10, 20 * time.Second},
		"due later, it begins then":              {func(s *message.Status) { at := began.Add(time.Minute); s.NextDueAt = &at }, 10, 70 * time.Second},
		"it says itself when its last is due":    {func(s *message.Status) { at := began.Add(time.Hour); s.LastDueAt = &at }, 10, time.Hour},
		"its last is due before it is through":   {func(s *message.Status) { at := began.Add(time.Second); s.LastDueAt = &at }, 10, 20 * time.Second},
		"nothing tells how fast, nor until when": {func(*message.Status) {}, 0, 0},
	} {
		s := running(message.Counts{message.Scheduled: 100, message.Sent: 50})
		tt.change(&s)
		s.Forecast(tt.limit, 0)
		if tt.end == 0 {
			require.Nil(t, s.EstimatedEnd, name)
			continue
		}
		require.Equal(t, began.Add(tt.end), *s.EstimatedEnd, name)
	}
	s := running(message.Counts{message.Accepted: 1 << 40, message.Sent: 10})
	s.Forecast(0, 0)
	require.Equal(t, s.AsOf.Add(message.MaxTTL), *s.EstimatedEnd, "no estimate reaches farther than a validity")
	s = running(message.Counts{message.Sending: 3})
	s.AsOf, s.Recent = began.Add(time.Second), &message.Recent{Ended: 7, Since: in(0)}
	s.Forecast(0, 0)
	require.InDelta(t, 7, s.Rate, 1e-9, "from the first whole second on")
}

func TestWhatRemainsOfPartsAddsUp(t *testing.T) {
	t.Parallel()
	at := func(after time.Duration) *time.Time { v := began.Add(after); return &v }
	var whole message.Remaining
	whole.Recent = &message.Recent{Ended: 5, Since: in(0)}
	whole.Add(message.Remaining{}, in(10*time.Second))
	whole.Add(message.Remaining{
		LastDueAt: at(time.Hour), RetryUntil: at(2 * time.Hour), AwaitingReports: 2, AwaitUntil: at(time.Minute),
		SendingThrough: []string{"b", "c"}, Recent: &message.Recent{Ended: 3, Since: in(8 * time.Second)},
		ExpireBy: at(time.Hour),
	}, in(10*time.Second))
	whole.Add(message.Remaining{
		LastDueAt: at(time.Minute), RetryUntil: at(3 * time.Hour), AwaitingReports: 1, AwaitUntil: at(time.Second), SendingThrough: []string{"a", "b"},
		ExpireBy: at(2 * time.Hour), Recent: &message.Recent{Ended: 4},
	}, in(10*time.Second))
	require.Equal(t, message.Remaining{
		LastDueAt: at(time.Hour), RetryUntil: at(3 * time.Hour), AwaitingReports: 3, AwaitUntil: at(time.Minute),
		SendingThrough: []string{"a", "b", "c"}, Recent: &message.Recent{Ended: 5 + 3*10/2 + 4, Since: in(0)}, ExpireBy: at(2 * time.Hour),
	}, whole)

	var waits message.Remaining
	for _, r := range []message.Record{
		{State: message.Scheduled, Next: in(time.Hour), Expires: in(9 * time.Hour)},
		{State: message.Retrying, Next: in(time.Minute), Expires: in(3 * time.Hour)},
		{State: message.Sending, Await: in(2 * time.Hour), Next: in(9 * time.Hour)},
		{State: message.Delivered, Await: in(7 * time.Hour)},
		{State: message.Failed, Next: in(9 * time.Hour)},
	} {
		waits.Wait(&r)
	}
	require.Equal(t, in(time.Hour), waits.LastDueAt.UnixMilli())
	require.Equal(t, in(3*time.Hour), waits.RetryUntil.UnixMilli())
	require.Equal(t, 1, waits.AwaitingReports)
	require.Equal(t, in(2*time.Hour), waits.AwaitUntil.UnixMilli())
	require.Equal(t, in(9*time.Hour), waits.ExpireBy.UnixMilli(), "that of the one that is awaited does not count")

	for want, r := range map[int64]message.Record{
		3: {State: message.Delivered, Sent: 3, Finished: 9},
		4: {State: message.Failed, Finished: 4},
		5: {State: message.Unknown, Finished: 5},
		0: {State: message.Expired, Finished: 6},
		7: {State: message.Sending, Sent: 7},
	} {
		require.Equal(t, want, r.LastTried(), "%s", r.State)
	}
}
