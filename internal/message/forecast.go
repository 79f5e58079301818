package message

import (
	"math"
	"time"
)

// leastRun is how long a batch runs before its rate says something.
const leastRun = time.Second

// Forecast fills in Rate and EstimatedEnd of a batch that runs. limit is how many
// messages a second its accounts may send, 0 if that has no limit or is not known;
// lastDue is when its last message is due, in Unix ms, 0 if that is not known but by
// LastDueAt. The end is not before either.
//
// What the batch was seen to do counts for more than the limit, unless it only
// waits for due times. There is no estimated end while nothing tells how fast
// messages go, while the batch is paused, or once it is canceled.
func (s *Status) Forecast(limit float64, lastDue int64) {
	s.Rate, s.EstimatedEnd = 0, nil
	if s.Counts == nil || s.State.Closed() {
		return
	}
	s.Rate = s.observed()
	open := s.Counts.Open()
	if open == 0 || s.State == BatchPaused || s.State == BatchCanceling {
		return
	}
	begin, speed := s.AsOf, limit
	switch busy := s.Counts[Accepted] + s.Counts[Sending]; {
	case busy > 0 && s.Rate > 0:
		speed = s.Rate
	case busy == 0 && s.NextDueAt != nil && s.NextDueAt.After(begin):
		begin = *s.NextDueAt
	}
	end := begin
	if speed > 0 {
		end = end.Add(time.Duration(min(float64(open)/speed, maxForecast) * float64(time.Second)))
	}
	for _, last := range []*time.Time{At(lastDue), s.LastDueAt} {
		if last != nil && last.After(end) {
			end = *last
		}
	}
	if end.After(s.AsOf) {
		end = end.UTC().Truncate(time.Millisecond)
		s.EstimatedEnd = &end
	}
}

// maxForecast is how many seconds an estimate reaches ahead at most, which is
// longer than any validity.
const maxForecast = float64(MaxTTL / time.Second)

// observed is how many messages a second have had their last attempt since the
// batch began, to two decimals.
func (s *Status) observed() float64 {
	if s.StartedAt == nil {
		return 0
	}
	ran := s.AsOf.Sub(*s.StartedAt)
	if ran < leastRun {
		return 0
	}
	c := s.Counts
	done := c[Sent] + c[Delivered] + c[Undelivered] + c[Failed] + c[Unknown]
	return math.Round(float64(done)/ran.Seconds()*100) / 100
}

// RateLimit is how many messages a second the first accounts of a batch's ways may send
// together, given the rates of accounts; 0 is no limit.
func (b *Batch) RateLimit(rates map[string]float64) float64 {
	sum := 0.0
	counted := map[string]bool{}
	for _, way := range b.Hops {
		if len(way) == 0 || counted[way[0].Account] {
			continue
		}
		rate := rates[way[0].Account]
		if rate <= 0 {
			return 0
		}
		counted[way[0].Account] = true
		sum += rate
	}
	return sum
}
