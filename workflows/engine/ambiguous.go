package engine

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// reconcile asks the provider about a doubtful message, once it has settled.
func (r *run) reconcile(ctx workflow.Context, t *inflight) {
	i, rec := t.i, &r.recs[t.i]
	deadline := questionGrace
	if !rec.Stop {
		deadline += max(time.Duration(rec.Expires-r.Now())*time.Millisecond, 0)
	}
	in := contract.ReconcileInput{V: message.Version, Send: r.input(i), Since: rec.Since(), Until: rec.Doubt, Taken: r.taken(i)}
	var res contract.ReconcileResult
	err := r.execute(ctx, t, attemptOptions(contract.SendQueue(r.account(i)), deadline, r.summary(i, "question")), contract.ReconcileName, in, &res)
	switch {
	case err != nil && !begun(err) && t.withdrawn:
		rec.Asked--
		r.change(i, func(t message.Transition) {
			t.Next = t.Now + 1
			if t.ResolvesAmbiguity() {
				t.Report()
			}
		})
		return
	case err != nil:
		res = contract.ReconcileResult{Verdict: contract.VerdictLater, Detail: "the question was not answered"}
	}
	switch res.Verdict {
	case contract.VerdictFound:
		r.change(i, func(t message.Transition) { t.Found(res.ProviderID, res.At) })
	case contract.VerdictAbsent:
		wait := r.backoff(i, rec.HopAttempts)
		r.change(i, func(t message.Transition) { t.Absent(res.At, wait) })
	case contract.VerdictCannotTell:
		r.unresolved(i, res.Detail)
	default:
		r.reconcileAgain(i, res)
	}
}

// reconcileAgain lets a question wait that was not answered. It is not given up before
// the message's validity ends, or before patience does for a canceled one.
func (r *run) reconcileAgain(i int, res contract.ReconcileResult) {
	rec := &r.recs[i]
	if rec.ResolvesAmbiguity() || rec.Asked >= minReconcileTries && (rec.Stop || r.Now() >= rec.Expires) {
		r.unresolved(i, "its questions were not answered: "+res.Detail)
		return
	}
	wait := max(r.backoff(i, rec.Asked), res.RetryAfter)
	r.change(i, func(t message.Transition) { t.Next = t.Now + wait })
}

// unresolved goes on with a message of which nobody knows whether it arrived.
func (r *run) unresolved(i int, why string) {
	rec := &r.recs[i]
	wait := r.backoff(i, rec.HopAttempts)
	r.change(i, func(t message.Transition) { t.CannotTell(wait, why) })
	if rec.Early != nil {
		r.change(i, message.Transition.Report)
	}
}

// taken lists provider ids that other messages to the same recipient have, as
// many as maxTaken bytes hold.
func (r *run) taken(i int) []string {
	if r.seg != nil {
		return nil // who the recipients are is only in the store
	}
	var ids []string
	to, room := r.batch.Messages[i].Recipient(), maxTaken
	for j := len(r.recs) - 1; j >= 0; j-- {
		if id := r.recs[j].ProviderID; j != i && id != "" && r.batch.Messages[j].Recipient() == to {
			if room -= len(id) + 3; room < 0 {
				break
			}
			ids = append(ids, id)
		}
	}
	return ids
}
