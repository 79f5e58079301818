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
		"a paused batch has no end in sight": {change: func(s *message.Status) { s.State = message.BatchPaused }, rate: 5},
		"nor has one that is canceled":       {change: func(s *message.Status) { s.State = message.BatchCanceling }, rate: 5},
		"a closed one has ended":             {change: func(s *message.Status) { s.State = message.BatchCompleted }},
		"without counts nothing is known":    {change: func(s *message.Status) { s.Counts = nil }},
		"an empty rest has ended too":        {change: func(s *message.Status) { s.Counts[message.Accepted] = 0 }, rate: 5},
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
				s.StartedAt, s.NextDueAt, s.State = nil, &later, message.BatchScheduled
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
