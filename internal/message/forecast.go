package message

import (
	"math"
	"slices"
	"time"
)

// Remaining is what a batch that runs knows of the messages that remain. Times are left out where
// no message gives one, or none is known.
type Remaining struct {
	// LastDueAt is when the last message that waits is due, or is tried again.
	LastDueAt *time.Time `json:"lastDueAt,omitempty"`
	// RetryUntil is when the last validity ends of the messages that are tried again.
	RetryUntil *time.Time `json:"retryUntil,omitempty"`
	// AwaitingReports counts the messages that a provider has taken and whose report is
	// awaited, and AwaitUntil is when the last of them ends without one.
	AwaitingReports int        `json:"awaitingReports,omitempty"`
	AwaitUntil      *time.Time `json:"awaitUntil,omitempty"`
	// ExpireBy is when the last validity ends of the messages that have not ended and await
	// no report.
	ExpireBy *time.Time `json:"expireBy,omitempty"`
	// SendingThrough are the accounts that messages which are sending go through, sorted.
	SendingThrough []string `json:"sendingThrough,omitempty"`
	// Recent is what a workflow tells the starter, which makes Rate of it.
	Recent *Recent `json:"recent,omitempty"`
}

// Recent is how many messages have had their last attempt since a time in Unix ms:
// RecentSpan at most, without pauses and holds.
type Recent struct {
	Ended float64 `json:"ended"`
	Since int64   `json:"since"`
}

// RecentSpan is how far a rate looks back.
const RecentSpan = 30 * time.Second

// Add takes in what is known of a part of the batch at a time in Unix ms. What a part did
// since it was released counts as if it had gone on like that all the while.
func (o *Remaining) Add(part Remaining, now int64) {
	o.LastDueAt, o.RetryUntil = Later(o.LastDueAt, part.LastDueAt), Later(o.RetryUntil, part.RetryUntil)
	o.AwaitingReports += part.AwaitingReports
	o.AwaitUntil, o.ExpireBy = Later(o.AwaitUntil, part.AwaitUntil), Later(o.ExpireBy, part.ExpireBy)
	for _, name := range part.SendingThrough {
		o.Sends(name)
	}
	if o.Recent != nil && part.Recent != nil {
		ended, least := part.Recent.Ended, leastRun.Milliseconds()
		if part.Recent.Since > o.Recent.Since {
			ended *= float64(max(now-o.Recent.Since, least)) / float64(max(now-part.Recent.Since, least))
		}
		o.Recent = &Recent{Ended: o.Recent.Ended + ended, Since: o.Recent.Since}
	}
}

// Wait takes in a message that has not ended.
func (o *Remaining) Wait(r *Record) {
	if r.State.Waiting() {
		o.LastDueAt = Later(o.LastDueAt, At(r.Next))
	}
	if r.State == Retrying {
		o.RetryUntil = Later(o.RetryUntil, At(r.Expires))
	}
	switch {
	case r.State.Final():
	case r.Await > 0:
		o.AwaitingReports++
		o.AwaitUntil = Later(o.AwaitUntil, At(r.Await))
	default:
		o.ExpireBy = Later(o.ExpireBy, At(r.Expires))
	}
}

// Sends takes in that a message is sending through an account.
func (o *Remaining) Sends(account string) {
	if i, there := slices.BinarySearch(o.SendingThrough, account); !there {
		o.SendingThrough = slices.Insert(o.SendingThrough, i, account)
	}
}

// LastTried is when the last attempt at a message was over, in Unix ms; 0 is not yet, or
// never.
func (r *Record) LastTried() int64 {
	switch {
	case r.Sent > 0:
		return r.Sent
	case r.State == Failed || r.State == Unknown:
		return r.Finished
	}
	return 0
}

// Later is the second of two times; nil is none.
func Later(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.After(*a) {
		return b
	}
	return a
}

// leastRun is how long a batch runs before its rate says something.
const leastRun = time.Second

// Forecast fills in Rate and EstimatedEnd of a batch that runs. limit is how many
// messages a second its accounts may send, 0 if that has no limit or is not known;
// lastDue is when its last message is due, in Unix ms, 0 if that is not known but by
// LastDueAt. The end is not before either.
//
// What the batch was seen to do counts for more than the limit, unless it only
// waits for due times. There is neither while the batch is paused or held, and no
// estimated end while nothing tells how fast messages go, while it is canceled, while
// reports are awaited, or where only such messages are left that are tried again. It is not
// after ExpireBy.
func (s *Status) Forecast(limit float64, lastDue int64) {
	recent := s.Recent
	s.Rate, s.EstimatedEnd, s.Recent = 0, nil, nil
	if s.Counts == nil || s.State.Closed() || s.State == BatchPaused || s.Held != nil {
		return
	}
	s.Rate = recent.rate(s.AsOf)
	busy := s.Counts[Accepted] + s.Counts[Sending] - s.AwaitingReports
	open := s.Counts.Open() - s.AwaitingReports
	if open-s.Counts[Retrying] <= 0 || s.State == BatchCanceling || s.AwaitingReports > 0 {
		return
	}
	begin, speed := s.AsOf, limit
	switch {
	case busy > 0 && s.Rate > 0:
		speed = s.Rate
	case busy == 0 && s.NextDueAt != nil && s.NextDueAt.After(begin):
		begin = *s.NextDueAt
	}
	end := begin
	if speed > 0 {
		end = end.Add(time.Duration(min(float64(open)/speed, maxForecast) * float64(time.Second)))
	}
	end = *Later(Later(&end, At(lastDue)), s.LastDueAt)
	if s.ExpireBy != nil && s.ExpireBy.Before(end) {
		end = *s.ExpireBy // what has not left by then never does
	}
	if end.After(s.AsOf) {
		end = end.UTC().Truncate(time.Millisecond)
		s.EstimatedEnd = &end
	}
}

// maxForecast is how many seconds an estimate reaches ahead at most, which is
// longer than any validity.
const maxForecast = float64(MaxTTL / time.Second)

// rate is in messages a second, to two decimals.
func (r *Recent) rate(now time.Time) float64 {
	if r == nil {
		return 0
	}
	ran := now.Sub(time.UnixMilli(r.Since))
	if ran < leastRun {
		return 0
	}
	return math.Round(r.Ended/ran.Seconds()*100) / 100
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
