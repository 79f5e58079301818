package engine

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// inflight is an activity of one message: an attempt, or a question about one.
// It begins when the message is taken, so that whoever looks at the message from
// then on sees it under way. A group is the attempt of several messages.
type inflight struct {
	i         int   // the first message
	messages  []int // all of them
	group     bool
	question  bool
	probe     bool
	withdrawn bool
	id        string              // the activity's
	cancel    workflow.CancelFunc // once it is handed to Temporal
}

// withdraw takes an activity back if it has not begun; the server decides.
func (t *inflight) withdraw() {
	t.withdrawn = true
	if t.cancel != nil {
		t.cancel()
	}
}

// single begins an attempt or a question of the message at i.
func (r *run) single(i int, probe bool) *inflight {
	t := &inflight{i: i, probe: probe, question: r.recs[i].Doubt > 0}
	r.start(t, i)
	r.queueOf(i).inFlight++
	return t
}

// start adds a message to what is begun.
func (r *run) start(t *inflight, i int) {
	rec := &r.recs[i]
	if t.question {
		rec.Asked++
	} else {
		rec.Attempts++
		rec.HopAttempts++
		rec.Began = r.Now()
	}
	r.move(i, message.Sending)
	r.positions[i], r.inFlight[i] = underWay, t
	t.messages = append(t.messages, i)
}

// execute hands an activity to Temporal and waits for its end.
func (r *run) execute(ctx workflow.Context, t *inflight, opts workflow.ActivityOptions, name string, in, out any) error {
	base := r.activityID(t)
	t.id = base
	if n := r.spentIDs[base]; n > 0 {
		t.id = fmt.Sprintf("%s+%d", base, n)
	}
	opts.ActivityID = t.id
	err := error(temporal.NewCanceledError())
	if !t.withdrawn {
		ctx, t.cancel = workflow.WithCancel(ctx)
		ctx = workflow.WithActivityOptions(ctx, opts)
		err = workflow.ExecuteActivity(ctx, name, in).Get(ctx, out)
		t.cancel()
		var canceled *temporal.CanceledError
		if t.withdrawn && !errors.As(err, &canceled) {
			r.spentIDs[base]++
		}
	}
	if t.group {
		r.queueOf(t.i).groups--
	} else {
		r.queueOf(t.i).inFlight--
	}
	for _, i := range t.messages {
		r.inFlight[i], r.positions[i] = nil, outside
	}
	return err
}

// activityID names an activity by its message, so that what Temporal says of it can be told
// of the message.
func (r *run) activityID(t *inflight) string {
	index, rec := r.number(t.i), &r.recs[t.i]
	switch {
	case t.group:
		return contract.GroupID(index, rec.Attempts)
	case t.question:
		return contract.QuestionID(index, rec.Attempts, rec.Asked)
	}
	return contract.AttemptID(index, rec.Attempts)
}

// input is what the activity is told of a message.
func (r *run) input(i int) contract.SendInput {
	rec := &r.recs[i]
	hop := r.hops(i)[rec.Hop]
	in := contract.SendInput{
		V: message.Version, Dialect: r.batch.Dialect, Index: r.number(i), Account: hop.Account, Channels: hop.Channels,
		Attempt: rec.Attempts, Due: rec.Due, Expires: rec.Expires,
	}
	if r.seg != nil {
		in.Stored = &contract.Stored{Dir: r.seg.in.Dir, Segment: r.seg.in.Number, Pos: i}
		return in
	}
	in.Template, in.Message, in.Region = r.batch.Template, r.batch.Messages[i], r.batch.Region
	m := &in.Message
	m.Problems, m.Route, m.Due, m.TTL, m.Channels = nil, 0, 0, 0, nil
	in.Metadata, in.Sensitive = r.batch.Metadata, r.batch.IsSensitive(&r.batch.Messages[i])
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
	return fmt.Sprintf("#%d %s %d via %s", r.number(i), what, n, r.account(i))
}

// begun reports whether an activity that ended in an error had been started: then
// its request may have left. The timeout's type does not tell, the server
// rewrites it.
func begun(err error) bool {
	var app *temporal.ApplicationError
	var late *temporal.TimeoutError
	if errors.As(err, &app) || errors.As(err, &late) && late.HasLastHeartbeatDetails() {
		return !undecoded(err) // else only one that ran fails or beats
	}
	var a *temporal.ActivityError
	if errors.As(err, &a) {
		return a.StartedEventID() != 0
	}
	var c *temporal.CanceledError
	return !errors.As(err, &c)
}

// undecoded reports whether an activity ended because its worker could not decode its
// input.
func undecoded(err error) bool {
	for app := (*temporal.ApplicationError)(nil); errors.As(err, &app); err = app.Unwrap() {
		if app.Type() == contract.ErrUndecodedType {
			return true
		}
	}
	return false
}

// againAfter is the wait, in ms, after an activity that has not begun: a worker that
// cannot decode its input will not at once.
func againAfter(err error) int64 {
	if undecoded(err) {
		return undecodedAgain
	}
	return 1
}
