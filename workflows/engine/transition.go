package engine

import (
	"volley/internal/message"
	"volley/internal/sabotage"
)

// change lets a message move on, and puts it where it belongs then.
func (r *run) change(i int, do func(t message.Transition)) {
	rec := &r.recs[i]
	before := rec.State
	r.countLoad(i, -1)
	do(r.transition(i))
	if r.SendAt > 0 && rec.Due != r.SendAt && rec.State.Waiting() && rec.Attempts == 0 {
		r.postpone(rec) // it was queued when the batch was rescheduled
	}
	r.countLoad(i, 1)
	r.recount(i, before)
	switch {
	case !rec.State.Final() && rec.Doubt > 0 && !r.policy(i).Reconciles:
		r.unresolved(i, "the account has no way to ask")
	case !rec.State.Final():
		r.hold(i)
	default:
		r.positions[i] = outside
		if !before.Final() {
			r.meter(i, rec.State)
			if rec.State == message.Failed {
				r.refused(i)
			}
		}
	}
}

// transition is the message at i, as one that is to move on.
func (r *run) transition(i int) message.Transition {
	return message.Transition{Record: &r.recs[i], Batch: r.batch, Hops: r.hops(i), Now: r.Now()}
}

// countLoad counts a message for its account, unless it has ended or awaits its report.
func (r *run) countLoad(i, n int) {
	if rec := &r.recs[i]; !rec.State.Final() && rec.Await == 0 {
		r.queueOf(i).load += n
	}
}

// recount counts a change of a message.
func (r *run) recount(i int, before message.State) {
	rec := &r.recs[i]
	r.counts[before]--
	r.counts[rec.State]++
	if sabotage.Active(sabotage.Count) && rec.State == message.Failed {
		r.counts[message.Failed]++
	}
	rec.Rev = r.nextRev()
	if rec.State.Final() {
		r.finalChanges++
	}
}

// move puts a message into another state that has not ended.
func (r *run) move(i int, s message.State) {
	before := r.recs[i].State
	r.recs[i].State = s
	r.recount(i, before)
}

// policy is that of the account that the message's next attempt goes through.
func (r *run) policy(i int) message.Policy { return r.batch.Policies[r.account(i)] }

// backoff is the wait after n attempts at a message, or questions about one.
func (r *run) backoff(i, n int) int64 { return backoff(r.policy(i), n, r.id(i)) }
