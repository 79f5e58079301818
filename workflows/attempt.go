package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// trip is one message's way to its provider: an attempt, or a question about one.
// It begins when the message is taken, so that whoever looks at the message from
// then on sees it under way.
type trip struct {
	i        int
	question bool
	probe    bool
	recalled bool
	cancel   workflow.CancelFunc // once it is handed to Temporal
}

// recall takes a trip back if it has not begun; the server decides.
func (t *trip) recall() {
	t.recalled = true
	if t.cancel != nil {
		t.cancel()
	}
}

// depart begins a trip of the message at i.
func (r *run) depart(i int, probe bool) *trip {
	rec := &r.recs[i]
	t := &trip{i: i, probe: probe, question: rec.Doubt > 0}
	if t.question {
		rec.Asked++
	} else {
		rec.Attempts++
		rec.HopAttempts++
		rec.Began = r.now()
	}
	r.move(i, message.Sending)
	r.places[i], r.open[i] = inFlight, t
	r.lane(i).flying++
	return t
}

// travel hands a trip's activity to Temporal and waits for its end.
func (r *run) travel(ctx workflow.Context, t *trip, opts workflow.ActivityOptions, name string, in, out any) error {
	err := error(temporal.NewCanceledError())
	if !t.recalled {
		ctx, t.cancel = workflow.WithCancel(ctx)
		ctx = workflow.WithActivityOptions(ctx, opts)
		err = workflow.ExecuteActivity(ctx, name, in).Get(ctx, out)
		t.cancel()
	}
	delete(r.open, t.i)
	r.places[t.i] = nowhere
	r.lane(t.i).flying--
	return err
}

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
		r.doubt(i, r.now(), "lost", "the worker did not report what became of the attempt")
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
		r.withdrawn(i, max(backoff(r.batch.Policies[r.account(i)], rec.HopAttempts, r.key.MessageID(i)), retryInitial.Milliseconds()))
	case "throttled", "unavailable":
		if res.Kind == "unavailable" {
			r.unavailable(l, probe)
		}
		r.note(i, message.Event(res.Kind), res.At, res.Code, res.Detail)
		r.again(i, res.RetryAfter, res.Code, res.Detail)
	case "ambiguous":
		r.doubt(i, r.now(), res.Code, res.Detail)
	default: // invalid, rejected, unauthorized: permanent on this account
		r.note(i, message.Event(res.Kind), res.At, res.Code, res.Detail)
		r.nextHop(i, res.Code, res.Detail)
	}
}

// sent ends a message that a provider took.
func (r *run) sent(i int, providerID string, at int64) {
	rec := &r.recs[i]
	rec.ProviderID, rec.Sent = message.Clip(providerID, message.MaxDetail), at
	r.end(i, message.Sent, "", "")
}

// withdrawn puts a message back whose attempt never began, for wait ms.
func (r *run) withdrawn(i int, wait int64) {
	rec := &r.recs[i]
	rec.Attempts--
	rec.HopAttempts--
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
	if rec.Stop {
		r.canceledNow(i)
		return
	}
	if policy.Attempts > 0 && rec.HopAttempts >= policy.Attempts {
		r.nextHop(i, code, detail)
		return
	}
	rec.Next = r.now() + max(backoff(policy, rec.HopAttempts, r.key.MessageID(i)), retryAfter)
	rec.Code, rec.Detail = message.CleanCode(code), message.Clip(detail, message.MaxDetail)
	r.move(i, message.Retrying)
	r.hold(i)
}

// nextHop moves a message on after its account refused it for good.
func (r *run) nextHop(i int, code, detail string) {
	rec := &r.recs[i]
	switch more := rec.Hop+1 < len(r.batch.Way(i)); {
	case more && rec.Stop:
		r.canceledNow(i)
	case more && r.now() < rec.Expires:
		r.lane(i).load--
		rec.Hop++
		r.lane(i).load++
		rec.HopAttempts = 0
		rec.Next = r.now()
		r.move(i, message.Retrying)
		r.hold(i)
	default:
		r.end(i, message.Failed, code, detail)
	}
}

// doubt notes that an attempt may or may not have reached the provider. Nothing
// else is done for the message until the provider was asked.
func (r *run) doubt(i int, at int64, code, detail string) {
	rec := &r.recs[i]
	r.note(i, message.EventAmbiguous, at, code, detail)
	rec.Doubt, rec.Asked = at, 0
	if !rec.Stop { // else they hold why it was canceled
		rec.Code, rec.Detail = message.CleanCode(code), message.Clip(detail, message.MaxDetail)
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
	rec := &r.recs[i]
	if rec.Asked >= patience && (rec.Stop || r.now() >= rec.Expires) {
		r.cannotTell(i, "its questions were not answered: "+res.Detail)
		return
	}
	policy := r.batch.Policies[r.account(i)]
	rec.Next = r.now() + max(backoff(policy, rec.Asked, r.key.MessageID(i)), res.RetryAfter)
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
	policy := r.batch.Policies[r.account(i)]
	spent := policy.Attempts > 0 && rec.HopAttempts >= policy.Attempts
	if policy.OnUnknown == message.Resend && !rec.Stop && !spent && r.now() < rec.Expires {
		r.cleared(i)
		return
	}
	r.end(i, message.Unknown, "unknown", why)
}

// taken lists provider ids that other messages to the same recipient have, as
// many as maxTaken bytes hold.
func (r *run) taken(i int) []string {
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

// input is what the activity is told of a message.
func (r *run) input(i int) activities.SendInput {
	rec := &r.recs[i]
	m := r.batch.Messages[i]
	m.Problems, m.Route, m.Due, m.TTL, m.Channels = nil, 0, 0, 0, nil
	in := activities.SendInput{
		V: message.Version, Dialect: r.batch.Dialect, Index: i, Attempt: rec.Attempts, Due: rec.Due, Expires: rec.Expires,
		Template: r.batch.Template, Message: m,
	}
	if m.Metadata == nil {
		in.Metadata = r.batch.Metadata
	}
	if way := r.batch.Way(i); rec.Hop < len(way) {
		in.Account, in.Channels = way[rec.Hop].Account, way[rec.Hop].Channels
	}
	return in
}

// summary is the line that an activity shows in the Web UI. It names no person.
func (r *run) summary(i int, what string) string {
	if !r.batch.Summaries {
		return ""
	}
	n := r.recs[i].Attempts
	if what == "question" {
		n = r.recs[i].Asked
	}
	return fmt.Sprintf("#%d %s %d via %s", i, what, n, r.account(i))
}

// begun reports whether an activity that ended in an error had been started: then
// its request may have left. The timeout's type does not tell, the server
// rewrites it.
func begun(err error) bool {
	var a *temporal.ActivityError
	if errors.As(err, &a) {
		return a.StartedEventID() != 0
	}
	var c *temporal.CanceledError
	return !errors.As(err, &c)
}
