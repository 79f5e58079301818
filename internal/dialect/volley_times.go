package dialect

import (
	"time"

	"volley/internal/message"
)

// yearAhead is how far ahead of now a message may be scheduled in the dialects
// whose provider has no schedule of its own.
const yearAhead = 365 * 24 * time.Hour

// readTime reads an RFC 3339 time, or a duration from now, as Unix ms. A time in
// the past stays where it is; a year ahead is the most. 0 is none.
func (r *reader) readTime(g optionalField, now time.Time) int64 {
	if !g.ok {
		return 0
	}
	at, err := message.ParseTime(g.value, now)
	if err != nil {
		if _, derr := message.ParseDuration(g.value); derr == nil {
			r.add(r.place(g.key), message.CodeRange, "a duration from now is not below zero, got %s", message.Excerpt(g.value))
			return 0
		}
		r.add(r.place(g.key), message.CodeFormat, "%q is neither a time, as 2026-12-24T18:00:00Z, nor a duration from now, as 10m or 3d", message.Excerpt(g.value))
		return 0
	}
	if r.tooFar(g.key, at, now) {
		return 0
	}
	return millis(at)
}

func (r *reader) tooFar(key string, at, now time.Time) bool {
	last := now.Add(yearAhead)
	if !at.After(last) {
		return false
	}
	r.add(r.place(key), message.CodeHorizon, "%s is more than a year ahead", at.UTC().Format(time.RFC3339))
	return true
}

// millis is a time in Unix ms, rounded up so that nothing is early. A time before
// 1970 becomes the first millisecond of 1970: 0 stands for none, and whatever was
// due then has expired in any case.
func millis(at time.Time) int64 {
	ms := at.UnixMilli()
	if at.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return max(ms, 1)
}

// span reads a duration above zero as ms. 0 is none.
func (r *reader) span(g optionalField) int64 {
	if !g.ok {
		return 0
	}
	d, err := message.ParseDuration(g.value)
	if err != nil {
		r.add(r.place(g.key), message.CodeFormat, "%q is no duration, as 90s, 30m or 3d", message.Excerpt(g.value))
		return 0
	}
	if d <= 0 {
		r.add(r.place(g.key), message.CodeRange, "a duration above zero is needed, got %s", message.Excerpt(g.value))
		return 0
	}
	return spanMillis(d)
}

// spanMillis is a duration above zero in ms, rounded up so that it never becomes
// 0, which stands for none.
func spanMillis(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond != 0 {
		ms++
	}
	return ms
}

// ownTimes lays the due time and the validity of the options over the batch's, in
// the dialects in which a message may be due up to a year ahead.
func ownTimes(b *message.Batch, o Options) message.Problems {
	r := reader{index: message.WholeBatch}
	if !o.SendAfter.IsZero() && !r.tooFar("sendAfter", o.SendAfter, o.Now) {
		b.SendAfter = millis(o.SendAfter)
	}
	switch {
	case o.TTL > 0:
		b.TTL = spanMillis(o.TTL)
	case o.TTL < 0:
		r.add("ttl", message.CodeRange, "a duration above zero is needed, got %s", o.TTL)
	}
	return r.problems
}
