package engine

import (
	"container/heap"

	"volley/internal/message"
	"volley/internal/sabotage"
)

// hold puts a message that has not ended where it waits for its time.
func (r *run) hold(i int) {
	rec := &r.recs[i]
	r.positions[i] = inDue
	r.due.add(rec.Next, i)
	next := rec.Next
	if rec.Doubt == 0 {
		r.expiry.add(rec.Expires, i)
		next = min(next, rec.Expires)
	}
	if !r.ArmedBefore(next) {
		r.Wake()
	}
}

func (r *run) standsDue(s slot) bool {
	return r.positions[s.i] == inDue && r.recs[s.i].Next == s.at
}

func (r *run) standsExpiry(s slot) bool {
	rec := &r.recs[s.i]
	return rec.State.Waiting() && rec.Expires == s.at && r.positions[s.i] != underWay
}

// promote ends what has expired and makes ready what is due.
func (r *run) promote(now int64) {
	if sabotage.Active(sabotage.Early) {
		now += 5_000
	}
	for {
		s, ok := r.expiry.top(r.standsExpiry)
		if !ok || s.at > now {
			break
		}
		r.change(s.i, message.Transition.Expire)
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
	if r.Started == 0 {
		r.Started = now
	}
	if rec.Await > 0 {
		r.change(i, func(t message.Transition) { t.End(message.Sent, now, "", "") })
		return
	}
	if rec.Doubt > 0 {
		r.positions[i] = inQuestions
		l := r.queueOf(i)
		l.questions = append(l.questions, i)
		return
	}
	if rec.State == message.Scheduled {
		r.move(i, message.Accepted)
	}
	l := r.queueOf(i)
	r.positions[i] = inReady
	l.ready.add(rec.Next, i)
	if l.Held.By != "" {
		r.holdBack(l, i)
	}
}

// take starts the next activity: a question, or an attempt at the message that has
// been ready longest, of an account that may have one more under way; nil is none.
// A paused batch only asks.
func (r *run) take() *inflight {
	if r.draining || r.grown() {
		return nil // the loop, which a coroutine without work wakes, will drain
	}
	now := r.Now()
	r.promote(now)
	for _, l := range r.accounts {
		for len(l.questions) > 0 && r.hasCapacity(l) {
			i := l.questions[0]
			l.questions = l.questions[1:]
			if r.positions[i] == inQuestions && r.queueOf(i) == l {
				return r.single(i, false)
			}
		}
	}
	if r.Paused {
		return nil
	}
	var from *accountQueue
	var first slot
	for _, l := range r.accounts {
		if l.Interval > 0 && now < l.Probe || l.Held.By != "" && !l.probing || !r.hasCapacity(l) {
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
	case from.probing:
		from.probing = false
		return r.single(r.fewestAttempts(from), true)
	case from.Interval > 0:
		from.Probe = now + from.Interval
		return r.single(r.fewestAttempts(from), true)
	case r.grouped(from, first.i):
		return r.startGroup(from)
	default:
		heap.Pop(&from.ready)
		return r.single(first.i, false)
	}
}

// hasCapacity reports whether an account may have one more under way. Half of the pool
// is kept for accounts that have less than their share of it, so that one whose
// workers are missing does not hold up the others.
func (r *run) hasCapacity(l *accountQueue) bool {
	share := max(r.limit/(2*len(r.accounts)), 1)
	if l.inFlight < share {
		return true
	}
	taken, kept := 0, 0
	for _, o := range r.accounts {
		taken += o.inFlight
		if o != l && o.load > o.inFlight && o.Held.By == "" {
			kept += max(share-o.inFlight, 0)
		}
	}
	return taken+min(kept, r.limit/2) < r.limit
}

// fewestAttempts is the ready message with the fewest attempts, to probe an account
// with; one that is not the first in the queue leaves its entry behind.
func (r *run) fewestAttempts(l *accountQueue) int {
	best := -1
	stands := r.stands(l)
	for _, s := range l.ready {
		if stands(s) && (best < 0 || r.recs[s.i].Attempts < r.recs[best].Attempts) {
			best = s.i
		}
	}
	return best
}
