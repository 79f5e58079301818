package workflows

import (
	"container/heap"

	"volley/internal/message"
)

// breaker holds back the messages of an account that keeps being unavailable.
type breaker struct {
	Breaker
	parked []int
}

// hold puts a message that has not ended where it waits for its time.
func (r *run) hold(i int) {
	rec := &r.recs[i]
	r.places[i] = inDue
	r.due.add(rec.Next, i)
	if rec.Doubt == 0 {
		r.expiry.add(rec.Expires, i)
	}
	if r.armed == 0 || rec.Next < r.armed {
		r.poke()
	}
}

func (r *run) standsDue(s slot) bool {
	return r.places[s.i] == inDue && r.recs[s.i].Next == s.at
}

func (r *run) standsReady(s slot) bool { return r.places[s.i] == inReady }

func (r *run) standsExpiry(s slot) bool {
	rec := &r.recs[s.i]
	return rec.State.Waiting() && rec.Expires == s.at && r.places[s.i] != inFlight
}

// promote ends what has expired and makes ready what is due.
func (r *run) promote(now int64) {
	for {
		s, ok := r.expiry.top(r.standsExpiry)
		if !ok || s.at > now {
			break
		}
		r.expire(s.i)
	}
	for {
		s, ok := r.due.top(r.standsDue)
		if !ok || s.at > now {
			break
		}
		heap.Pop(&r.due)
		r.dueNow(s.i, now)
	}
	for _, name := range r.accounts {
		r.probe(r.breakers[name], now)
	}
}

func (r *run) dueNow(i int, now int64) {
	rec := &r.recs[i]
	if r.started == 0 {
		r.started = now
	}
	if rec.Doubt > 0 {
		r.places[i] = inAsks
		r.asks = append(r.asks, i)
		return
	}
	if rec.State == message.Scheduled {
		r.move(i, message.Accepted)
	}
	r.places[i] = inReady
	r.ready.add(rec.Next, i)
}

// take is the next message to carry: one that is in doubt, a probe, or the one
// that has been ready longest. A paused batch only resolves doubts.
func (r *run) take() (i int, probe, ok bool) {
	if r.draining {
		return 0, false, false
	}
	for {
		now := r.now()
		r.promote(now)
		if len(r.asks) > 0 {
			i, r.asks = r.asks[0], r.asks[1:]
			if r.places[i] != inAsks {
				continue
			}
			r.places[i] = inFlight
			return i, false, true
		}
		if r.paused {
			return 0, false, false
		}
		if len(r.probes) > 0 {
			i, r.probes = r.probes[0], r.probes[1:]
			if r.places[i] != inParked {
				continue
			}
			r.places[i] = inFlight
			return i, true, true
		}
		s, found := r.ready.take(r.standsReady)
		if !found {
			return 0, false, false
		}
		if b := r.breakers[r.account(s.i)]; b != nil && b.Interval > 0 {
			r.places[s.i] = inParked
			b.parked = append(b.parked, s.i)
			continue
		}
		r.places[s.i] = inFlight
		return s.i, false, true
	}
}

// probe picks the message with the fewest attempts once an account's next probe
// may leave.
func (r *run) probe(b *breaker, now int64) {
	if r.paused || b.Interval == 0 || now < b.Probe || len(b.parked) == 0 {
		return
	}
	live, best := b.parked[:0], -1
	for _, i := range b.parked {
		if r.places[i] != inParked {
			continue
		}
		if best < 0 || r.recs[i].Attempts < r.recs[best].Attempts {
			best = i
		}
		live = append(live, i)
	}
	b.parked = live
	if best < 0 {
		return
	}
	for at, i := range b.parked {
		if i == best {
			b.parked = append(b.parked[:at], b.parked[at+1:]...)
			break
		}
	}
	b.Probe = now + b.Interval
	r.probes = append(r.probes, best)
}

// unavailable counts an answer that an account was unavailable.
func (r *run) unavailable(b *breaker, probe bool) {
	if b == nil {
		return
	}
	b.Row++
	switch {
	case b.Interval == 0 && b.Row >= breakerRow:
		b.Interval = probeFirst
		b.Probe = r.now() + b.Interval
	case b.Interval > 0 && probe:
		b.Interval = min(2*b.Interval, probeMax)
		b.Probe = r.now() + b.Interval
	}
}

// available closes an account's breaker and lets its messages go on.
func (r *run) available(b *breaker) {
	if b == nil {
		return
	}
	b.Row = 0
	if b.Interval == 0 {
		return
	}
	b.Interval, b.Probe = 0, 0
	for _, i := range b.parked {
		if r.places[i] == inParked {
			r.places[i] = inReady
			r.ready.add(r.recs[i].Next, i)
		}
	}
	b.parked = nil
	r.poke()
}

// expire ends a message whose validity has run out.
func (r *run) expire(i int) {
	r.note(i, message.EventExpired, r.now(), "", "")
	r.end(i, message.Expired, "expired", "its validity ran out before a provider took it")
}

// account is the one that the message's next attempt goes through.
func (r *run) account(i int) string {
	if way := r.batch.Way(i); r.recs[i].Hop < len(way) {
		return way[r.recs[i].Hop].Account
	}
	return ""
}
