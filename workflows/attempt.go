package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// attempt hands one attempt at a message to Temporal and deals with its end.
func (r *run) attempt(ctx workflow.Context, t *trip) {
	i, rec := t.i, &r.recs[t.i]
	deadline := time.Duration(rec.Expires-r.now())*time.Millisecond + queueGrace
	var res activities.SendResult
	err := r.travel(ctx, t, attemptOptions(SendQueue(r.account(i)), deadline, r.summary(i, "attempt")), SendName, r.input(i), &res)
	switch {
	case err == nil:
		r.answered(i, res, t.probe)
	case begun(err):
		r.doubt(i, "lost", "the worker did not report what became of the attempt")
	default:
		r.withdrawn(i, 1)
	}
}

// answered deals with what an attempt reported.
func (r *run) answered(i int, res activities.SendResult, probe bool) {
	rec := &r.recs[i]
	l := r.lane(i)
	switch res.Kind {
	case "unavailable", activities.KindExpired, activities.KindNotStarted:
	default:
		r.available(l)
	}
	switch res.Kind {
	case activities.KindSent:
		r.note(i, message.EventSent, res.At, "", "")
		r.sent(i, res.ProviderID, res.At)
	case activities.KindExpired:
		rec.Attempts--
		rec.HopAttempts--
		r.expire(i)
	case activities.KindNotStarted:
		// A worker that has too little time now will have no more at once.
		r.withdrawn(i, max(backoff(r.batch.Policies[r.account(i)], rec.HopAttempts, r.id(i)), retryInitial.Milliseconds(), res.RetryAfter))
	case "throttled", "unavailable":
		if res.Kind == "unavailable" {
			r.unavailable(l, probe)
		}
		r.note(i, message.Event(res.Kind), res.At, res.Code, res.Detail)
		r.again(i, res.RetryAfter, res.Code, res.Detail)
	case "ambiguous":
		r.doubt(i, res.Code, res.Detail)
	default: // invalid, rejected, unauthorized: permanent on this account
		r.note(i, message.Event(res.Kind), res.At, res.Code, res.Detail)
		r.nextHop(i, res.Code, res.Detail)
	}
}

// sent ends a message that a provider took, once nothing more is awaited of it.
func (r *run) sent(i int, providerID string, at int64) {
	rec := &r.recs[i]
	rec.Taken(providerID, at)
	switch {
	case rec.Kept != nil:
		r.conclude(i)
	case r.awaits(i):
		r.await(i)
	default:
		r.end(i, message.Sent, "", "")
	}
}

// withdrawn puts a message back whose attempt never began, for wait ms.
func (r *run) withdrawn(i int, wait int64) {
	rec := &r.recs[i]
	rec.Attempts--
	rec.HopAttempts--
	if r.arrived(i) {
		return
	}
	if rec.Stop {
		r.canceledNow(i)
		return
	}
	rec.Next = r.now() + wait
	if rec.Attempts > 0 {
		r.move(i, message.Retrying)
	} else {
		r.move(i, message.Accepted)
	}
	r.hold(i)
}

// again lets a message wait for another attempt, unless it may have none.
func (r *run) again(i int, retryAfter int64, code, detail string) {
	rec := &r.recs[i]
	policy := r.batch.Policies[r.account(i)]
	if r.arrived(i) {
		return
	}
	if rec.Stop {
		r.canceledNow(i)
		return
	}
	if policy.Attempts > 0 && rec.HopAttempts >= policy.Attempts {
		r.nextHop(i, code, detail)
		return
	}
	rec.Next = r.now() + max(backoff(policy, rec.HopAttempts, r.id(i)), retryAfter)
	rec.Code, rec.Detail = message.CleanCode(code), message.Clip(detail, message.MaxDetail)
	r.move(i, message.Retrying)
	r.hold(i)
}

// nextHop moves a message on after its account refused it for good.
func (r *run) nextHop(i int, code, detail string) {
	if r.arrived(i) {
		return
	}
	rec := &r.recs[i]
	switch more := rec.Hop+1 < len(r.batch.Way(i)); {
	case more && rec.Stop:
		r.canceledNow(i)
	case more && r.now() < rec.Expires:
		r.unload(i)
		r.onward(i)
	default:
		r.end(i, message.Failed, code, detail)
	}
}

// onward lets a message wait for its next hop's first attempt, at once.
func (r *run) onward(i int) {
	rec := &r.recs[i]
	rec.Hop++
	r.lane(i).load++
	rec.HopAttempts = 0
	rec.Next = r.now()
	r.move(i, message.Retrying)
	r.hold(i)
}
