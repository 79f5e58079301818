package workflows

import (
	"slices"

	"volley/internal/message"
)

// lane is one account of the batch and the messages whose next attempt goes
// through it.
type lane struct {
	Breaker
	name   string
	ready  queue // messages that are due, by when they became so
	asks   []int // messages that its provider is to be asked about
	load   int   // messages of it that have not ended
	flying int   // of those, the ones under way, groups aside
	groups int   // groups under way
	idle   int   // groups in a row that came back with nothing done
}

// lane is the account that the message's next attempt goes through; nil is none.
func (r *run) lane(i int) *lane {
	if way := r.batch.Way(i); r.recs[i].Hop < len(way) {
		return r.byName[way[r.recs[i].Hop].Account]
	}
	return nil
}

// account is the lane's name, or nothing.
func (r *run) account(i int) string {
	if l := r.lane(i); l != nil {
		return l.name
	}
	return ""
}

// stands tells entries of a lane's queue that still mean something.
func (r *run) stands(l *lane) func(slot) bool {
	return func(s slot) bool { return r.places[s.i] == inReady && r.lane(s.i) == l }
}

// take begins the next trip: a question, or an attempt at the message that has
// been ready longest, of an account that may have one more under way; nil is none.
// A paused batch only asks.
func (r *run) take() *trip {
	if r.draining || r.grown() {
		return nil // the loop, which a coroutine without a trip wakes, will drain
	}
	now := r.now()
	r.promote(now)
	for _, l := range r.lanes {
		for len(l.asks) > 0 && r.room(l) {
			i := l.asks[0]
			l.asks = l.asks[1:]
			if r.places[i] == inAsks && r.lane(i) == l {
				return r.depart(i, false)
			}
		}
	}
	if r.paused {
		return nil
	}
	var from *lane
	var first slot
	for _, l := range r.lanes {
		if l.Interval > 0 && now < l.Probe || !r.room(l) {
			continue
		}
		s, ok := l.ready.top(r.stands(l))
		if ok && r.grouped(l, s.i) && l.groups >= maxGroups {
			continue
		}
		if ok && (from == nil || s.before(first)) {
			from, first = l, s
		}
	}
	switch {
	case from == nil:
		return nil
	case from.Interval > 0:
		from.Probe = now + from.Interval
		return r.depart(r.freshest(from), true)
	case r.grouped(from, first.i):
		return r.departGroup(from)
	default:
		from.ready.take(r.stands(from))
		return r.depart(first.i, false)
	}
}

// room reports whether an account may have one more under way. Half of the pool
// is kept for accounts that have less than their share of it, so that one whose
// workers are missing does not hold up the others.
func (r *run) room(l *lane) bool {
	share := max(r.limit/(2*len(r.lanes)), 1)
	if l.flying < share {
		return true
	}
	taken, kept := 0, 0
	for _, o := range r.lanes {
		taken += o.flying
		if o != l && o.load > o.flying {
			kept += max(share-o.flying, 0)
		}
	}
	return taken+min(kept, r.limit/2) < r.limit
}

// freshest is the ready message with the fewest attempts, to probe an account
// with; one that is not the first in the queue leaves its entry behind.
func (r *run) freshest(l *lane) int {
	best := -1
	stands := r.stands(l)
	for _, s := range l.ready {
		if stands(s) && (best < 0 || r.recs[s.i].Attempts < r.recs[best].Attempts) {
			best = s.i
		}
	}
	return best
}

// unavailable counts an answer that an account was unavailable.
func (r *run) unavailable(l *lane, probe bool) {
	l.Row++
	switch {
	case l.Interval == 0 && l.Row >= breakerRow:
		l.Interval = probeFirst
		l.Probe = r.now() + l.Interval
		r.poke() // the timer may have to be for the probe
	case l.Interval > 0 && probe:
		l.Interval = min(2*l.Interval, probeMax)
		l.Probe = r.now() + l.Interval
		l.Failed++
		if most := r.batch.Policies[l.name].Attempts; most > 0 && l.Failed >= most {
			r.divert(l)
		}
	}
}

// divert moves what waits for an account that failed as many probes as a message
// may have attempts on to the next hop, where there is one: with one probe per
// interval for all of them, each alone would never use its attempts up.
func (r *run) divert(l *lane) {
	stands := r.stands(l)
	for _, s := range slices.Clone(l.ready) {
		if stands(s) && r.recs[s.i].Hop+1 < len(r.batch.Way(s.i)) {
			r.places[s.i] = nowhere // which leaves its entry in the queue without a meaning
			r.note(s.i, message.EventUnavailable, r.now(), "breaker", "its account is unavailable")
			r.nextHop(s.i, "breaker", "its account is unavailable")
		}
	}
}

// available closes an account's breaker.
func (r *run) available(l *lane) {
	l.Row = 0
	if l.Interval > 0 {
		l.Interval, l.Probe, l.Failed = 0, 0, 0
		r.poke()
	}
}
