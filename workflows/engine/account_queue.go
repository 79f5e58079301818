package engine

import (
	"slices"

	"volley/internal/message"
	"volley/workflows/contract"
)

// accountQueue is one account of the batch and the messages whose next attempt goes
// through it.
type accountQueue struct {
	contract.Breaker
	name      string
	ready     queue // messages that are due, by when they became so
	questions []int // messages that its provider is to be asked about
	load      int   // messages of it that have not ended
	inFlight  int   // of those, the ones under way, groups aside
	groups    int   // groups under way
	idle      int   // groups in a row that came back with nothing done
	awaiting  bool  // somebody waits until it is released
	probing   bool  // one message may leave although it is held
}

// queueOf is the account that the message's next attempt goes through; nil is none.
func (r *run) queueOf(i int) *accountQueue {
	if way := r.hops(i); r.recs[i].Hop < len(way) {
		return r.byName[way[r.recs[i].Hop].Account]
	}
	return nil
}

// account is the name of that account, or nothing.
func (r *run) account(i int) string {
	if l := r.queueOf(i); l != nil {
		return l.name
	}
	return ""
}

// stands tells entries of an account's queue that still mean something.
func (r *run) stands(l *accountQueue) func(slot) bool {
	return func(s slot) bool { return r.positions[s.i] == inReady && r.queueOf(s.i) == l }
}

// unavailable counts an answer that an account was unavailable.
func (r *run) unavailable(l *accountQueue, probe bool) {
	l.Row++
	switch {
	case l.Interval == 0 && l.Row >= breakerRow:
		l.Interval = probeFirst
		l.Probe = r.Now() + l.Interval
		r.Wake() // the timer may have to be for the probe
	case l.Interval > 0 && probe:
		l.Interval = min(2*l.Interval, probeMax)
		l.Probe = r.Now() + l.Interval
		l.Failed++
		if most := r.batch.Policies[l.name].Attempts; most > 0 && l.Failed >= most {
			r.failOver(l)
		}
	}
}

// failOver moves what waits for an account that failed as many probes as a message
// may have attempts on to the next hop, where there is one it may take: with one probe per
// interval for all of them, each alone would never use its attempts up.
func (r *run) failOver(l *accountQueue) {
	stands := r.stands(l)
	for _, s := range slices.Clone(l.ready) {
		if rec := &r.recs[s.i]; stands(s) && rec.Unresolved == 0 && rec.Hop+1 < len(r.hops(s.i)) {
			r.change(s.i, func(t message.Transition) { // which leaves its entry in the queue without a meaning
				t.Step(message.EventUnavailable, t.Now, "breaker", "its account is unavailable")
				t.NextHop("breaker", "its account is unavailable")
			})
		}
	}
}

// available closes an account's breaker.
func (r *run) available(l *accountQueue) {
	l.Row = 0
	if l.Interval > 0 {
		l.Interval, l.Probe, l.Failed = 0, 0, 0
		r.Wake()
	}
}
