package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// doubt notes that an attempt may or may not have reached the provider. Nothing
// else is done for the message until the provider was asked.
func (r *run) doubt(i int, code, detail string) {
	rec, at := &r.recs[i], r.now()
	r.note(i, message.EventAmbiguous, at, code, detail)
	rec.Doubt, rec.Asked = at, 0
	if !rec.Stop { // else they hold why it was canceled
		rec.Code, rec.Detail = message.CleanCode(code), message.Clip(detail, message.MaxDetail)
	}
	if r.proven(i) {
		return
	}
	r.move(i, message.Sending)
	policy := r.batch.Policies[r.account(i)]
	if !policy.Reconciles {
		r.cannotTell(i, "the account has no way to ask")
		return
	}
	rec.Next = r.now() + policy.Settle
	r.hold(i)
}

// ask asks the provider about a doubtful message, once it has settled.
func (r *run) ask(ctx workflow.Context, t *trip) {
	i, rec := t.i, &r.recs[t.i]
	deadline := questionGrace
	if !rec.Stop {
		deadline += max(time.Duration(rec.Expires-r.now())*time.Millisecond, 0)
	}
	in := activities.ReconcileInput{V: message.Version, Send: r.input(i), Since: rec.Began, Until: rec.Doubt, Taken: r.taken(i)}
	var res activities.ReconcileResult
	err := r.travel(ctx, t, attemptOptions(SendQueue(r.account(i)), deadline, r.summary(i, "question")), ReconcileName, in, &res)
	if err != nil && !begun(err) && t.recalled {
		rec.Asked--
		if r.proven(i) {
			return
		}
		rec.Next = r.now() + 1
		r.hold(i)
		return
	}
	if err != nil {
		res = activities.ReconcileResult{Verdict: activities.VerdictLater, Code: "lost", Detail: "the question was not answered"}
	}
	switch res.Verdict {
	case activities.VerdictFound:
		r.note(i, message.EventFound, res.At, "", "")
		r.sent(i, res.ProviderID, rec.Doubt)
	case activities.VerdictAbsent:
		r.note(i, message.EventAbsent, res.At, "", "")
		r.cleared(i)
	case activities.VerdictCannotTell:
		r.cannotTell(i, res.Detail)
	default:
		r.askAgain(i, res)
	}
}

// askAgain lets a question wait that was not answered. It is not given up before
// the message's validity ends, or before patience does for a canceled one.
func (r *run) askAgain(i int, res activities.ReconcileResult) {
	if r.proven(i) {
		return
	}
	rec := &r.recs[i]
	if rec.Asked >= patience && (rec.Stop || r.now() >= rec.Expires) {
		r.cannotTell(i, "its questions were not answered: "+res.Detail)
		return
	}
	policy := r.batch.Policies[r.account(i)]
	rec.Next = r.now() + max(backoff(policy, rec.Asked, r.id(i)), res.RetryAfter)
	r.move(i, message.Sending)
	r.hold(i)
}

// cleared goes on with a message that certainly did not arrive.
func (r *run) cleared(i int) {
	rec := &r.recs[i]
	rec.Doubt = 0
	r.again(i, 0, rec.Code, rec.Detail)
}

// cannotTell does what the account's policy says of a message of which nobody
// knows whether it arrived. It never goes to another hop.
func (r *run) cannotTell(i int, why string) {
	rec := &r.recs[i]
	if r.proven(i) {
		return
	}
	policy := r.batch.Policies[r.account(i)]
	spent := policy.Attempts > 0 && rec.HopAttempts >= policy.Attempts
	if policy.OnUnknown == message.Resend && !rec.Stop && !spent && r.now() < rec.Expires {
		r.cleared(i)
		return
	}
	r.end(i, message.Unknown, "unknown", why)
	if rec.Kept != nil {
		r.conclude(i)
	}
}

// taken lists provider ids that other messages to the same recipient have, as
// many as maxTaken bytes hold.
func (r *run) taken(i int) []string {
	if r.seg != nil {
		return nil // who the recipients are is only in the store
	}
	var ids []string
	to, room := r.batch.Messages[i].To, maxTaken
	for j := len(r.recs) - 1; j >= 0; j-- {
		if id := r.recs[j].ProviderID; j != i && id != "" && r.batch.Messages[j].To == to {
			if room -= len(id) + 3; room < 0 {
				break
			}
			ids = append(ids, id)
		}
	}
	return ids
}
