package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// trip is one message's way to its provider: an attempt, or a question about one.
// It begins when the message is taken, so that whoever looks at the message from
// then on sees it under way. A group is the trip of several messages.
type trip struct {
	i        int
	group    []int
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
		r.leaves(i, t)
	} else {
		r.begins(i, t)
	}
	r.lane(i).flying++
	return t
}

// begins makes an attempt of a trip.
func (r *run) begins(i int, t *trip) {
	rec := &r.recs[i]
	rec.Attempts++
	rec.HopAttempts++
	rec.Began = r.now()
	r.leaves(i, t)
}

func (r *run) leaves(i int, t *trip) {
	r.move(i, message.Sending)
	r.places[i], r.open[i] = inFlight, t
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
	if t.group != nil {
		r.lane(t.i).groups--
		for _, i := range t.group {
			r.arrives(i)
		}
		return err
	}
	r.lane(t.i).flying--
	r.arrives(t.i)
	return err
}

func (r *run) arrives(i int) {
	delete(r.open, i)
	r.places[i] = nowhere
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
	in.Index = r.number(i)
	switch {
	case r.seg != nil:
		in.Template, in.Message, in.Stored = message.Template{}, message.Message{}, r.seg.stored(i)
	case m.Metadata == nil:
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
	return fmt.Sprintf("#%d %s %d via %s", r.number(i), what, n, r.account(i))
}

// begun reports whether an activity that ended in an error had been started: then
// its request may have left. The timeout's type does not tell, the server
// rewrites it.
func begun(err error) bool {
	var app *temporal.ApplicationError
	var late *temporal.TimeoutError
	if errors.As(err, &app) || errors.As(err, &late) && late.HasLastHeartbeatDetails() {
		return true // only one that ran fails or beats
	}
	var a *temporal.ActivityError
	if errors.As(err, &a) {
		return a.StartedEventID() != 0
	}
	var c *temporal.CanceledError
	return !errors.As(err, &c)
}
