package workflows

import (
	"container/heap"

	"volley/internal/message"
)

// hold puts a message that has not ended where it waits for its time.
func (r *run) hold(i int) {
	rec := &r.recs[i]
	r.places[i] = inDue
	r.due.add(rec.Next, i)
	if rec.Doubt == 0 {
		r.expiry.add(rec.Expires, i)
	}
	next := rec.Next
	if rec.Doubt == 0 {
		next = min(next, rec.Expires)
	}
	if r.armed == 0 || next < r.armed {
		r.poke()
	}
}

func (r *run) standsDue(s slot) bool {
	return r.places[s.i] == inDue && r.recs[s.i].Next == s.at
}

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
}

func (r *run) dueNow(i int, now int64) {
	rec := &r.recs[i]
	if r.started == 0 {
		r.started = now
	}
	if rec.Await > 0 {
		r.end(i, message.Sent, "", "")
		return
	}
	if rec.Doubt > 0 {
		r.places[i] = inAsks
		l := r.lane(i)
		l.asks = append(l.asks, i)
		return
	}
	if rec.State == message.Scheduled {
		r.move(i, message.Accepted)
	}
	r.places[i] = inReady
	r.lane(i).ready.add(rec.Next, i)
}

// expire ends a message whose validity has run out.
func (r *run) expire(i int) {
	if r.arrived(i) {
		return
	}
	r.note(i, message.EventExpired, r.now(), "", "")
	r.end(i, message.Expired, "expired", "its validity ran out before a provider took it")
}
