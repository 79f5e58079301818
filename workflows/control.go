package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// setup registers what the batch answers to. Signals and updates do the same.
func (r *run) setup() error {
	if r.batch.V != message.Version || len(r.batch.Messages) > message.MaxIndex {
		return errNoBatch
	}
	ended := func() error {
		if r.counts.Open() == 0 {
			return temporal.NewApplicationError("the batch has ended", ErrEndedType)
		}
		return nil
	}
	setters := []func() error{
		func() error { return workflow.SetQueryHandler(r.root, QueryStatus, r.status) },
		func() error { return workflow.SetQueryHandler(r.root, QueryMessages, r.page) },
		func() error { return workflow.SetQueryHandler(r.root, QueryMessage, r.one) },
		func() error {
			return update(r, ControlCancel, func(q message.CancelRequest) error {
				_, err := r.targets(q.Messages)
				return err
			}, r.onCancel)
		},
		func() error {
			return update(r, ControlPause, func(nothing) error { return ended() }, func(ctx workflow.Context, _ nothing) message.PauseResult { return r.onPause(ctx) })
		},
		func() error {
			return update(r, ControlResume, func(nothing) error { return ended() }, r.onResume)
		},
		func() error {
			return update(r, ControlReschedule, func(q message.RescheduleRequest) error {
				if err := ended(); err != nil {
					return err
				}
				_, err := r.sendAfter(q.SendAfter)
				return err
			}, r.onReschedule)
		},
	}
	for _, set := range setters {
		if err := set(); err != nil {
			return err
		}
	}
	listen(r, ControlCancel, func(ctx workflow.Context, q message.CancelRequest) { r.onCancel(ctx, q) })
	listen(r, ControlPause, func(ctx workflow.Context, _ nothing) { r.onPause(ctx) })
	listen(r, ControlResume, func(ctx workflow.Context, q nothing) { r.onResume(ctx, q) })
	listen(r, ControlReschedule, func(ctx workflow.Context, q message.RescheduleRequest) { r.onReschedule(ctx, q) })
	return nil
}

// nothing is the argument of controls that take none; whatever is sent is ignored.
type nothing struct{}

// update registers an update whose bad requests leave no trace in the history.
func update[Q, A any](r *run, name string, check func(Q) error, do func(workflow.Context, Q) A) error {
	return workflow.SetUpdateHandlerWithOptions(r.root, name,
		func(ctx workflow.Context, q Q) (A, error) {
			r.handlers++
			r.updates++
			defer func() { r.handlers--; r.poke() }()
			work, _ := workflow.NewDisconnectedContext(ctx)
			return do(work, q), nil
		},
		workflow.UpdateHandlerOptions{Validator: func(q Q) error { return check(q) }})
}

// listen does what signals of a name ask for, one after the other.
func listen[Q any](r *run, name string, do func(workflow.Context, Q)) {
	ch := workflow.GetSignalChannel(r.root, name)
	workflow.Go(r.work, func(ctx workflow.Context) {
		for {
			var q Q
			ch.Receive(ctx, &q)
			r.handlers++
			do(ctx, q)
			r.handlers--
			r.poke()
		}
	})
}

// drainSignals does at once what signals still in their channels ask for, and
// reports whether there was one.
func (r *run) drainSignals() bool {
	n := drain(r, ControlCancel, func(ctx workflow.Context, q message.CancelRequest) { r.onCancel(ctx, q) }) +
		drain(r, ControlPause, func(ctx workflow.Context, _ nothing) { r.onPause(ctx) }) +
		drain(r, ControlResume, func(ctx workflow.Context, q nothing) { r.onResume(ctx, q) }) +
		drain(r, ControlReschedule, func(ctx workflow.Context, q message.RescheduleRequest) { r.onReschedule(ctx, q) })
	return n > 0
}

func drain[Q any](r *run, name string, do func(workflow.Context, Q)) (n int) {
	ch := workflow.GetSignalChannel(r.root, name)
	for {
		var q Q
		if !ch.ReceiveAsync(&q) {
			return n
		}
		n++
		r.handle(func(ctx workflow.Context) { do(ctx, q) })
	}
}

// handle runs a control call beside the loop.
func (r *run) handle(do func(workflow.Context)) {
	r.handlers++
	workflow.Go(r.work, func(ctx workflow.Context) {
		do(ctx)
		r.handlers--
		r.poke()
	})
}

// targets are the indexes of the messages named, each once; all of the batch for
// none. Ids that the batch does not have are passed over and are the error.
func (r *run) targets(ids []string) ([]int, error) {
	if len(ids) == 0 {
		all := make([]int, len(r.recs))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	var some []int
	var unknown error
	seen := map[int]bool{}
	for _, id := range ids {
		i, err := r.index(id)
		if err != nil {
			unknown = err
		} else if !seen[i] {
			seen[i] = true
			some = append(some, i)
		}
	}
	return some, unknown
}

func (r *run) index(id string) (int, error) {
	key, i, ok := message.ParseID(id)
	if !ok || key != r.key || i >= len(r.recs) {
		return 0, temporal.NewApplicationError(fmt.Sprintf("the batch has no message %q", id), ErrNoMessageType)
	}
	return i, nil
}

// onCancel ends what has not left and answers with what became of each message.
// A signal's unknown ids are passed over; an update's were refused before.
func (r *run) onCancel(ctx workflow.Context, q message.CancelRequest) message.CancelResult {
	targets, _ := r.targets(q.Messages)
	if len(q.Messages) == 0 && r.counts.Open() > 0 {
		r.cancel, r.reason = true, q.Reason
	}
	before := make(map[int]message.State, len(targets))
	asked := false
	for _, i := range targets {
		rec := &r.recs[i]
		before[i] = rec.State
		switch {
		case rec.State.Final():
		case rec.State.Waiting():
			r.note(i, message.EventCanceled, r.now(), "", q.Reason)
			r.end(i, message.Canceled, "canceled", q.Reason)
		default:
			rec.Stop, rec.Code, rec.Detail = true, "canceled", message.Clip(q.Reason, message.MaxDetail)
			if withdraw := r.open[i]; withdraw != nil {
				withdraw()
				asked = true
			}
		}
	}
	r.poke()
	if asked {
		awaitVerdicts(ctx)
	}
	return r.cancelResult(targets, before)
}

func (r *run) cancelResult(targets []int, before map[int]message.State) message.CancelResult {
	res := message.CancelResult{
		Batch: r.batch.ID, Confirmed: true,
		Canceled: []string{}, Sent: []string{}, InFlight: []string{}, Ended: []string{},
	}
	for _, i := range targets {
		id, s := r.key.MessageID(i), r.recs[i].State
		switch {
		case s == message.Canceled && !before[i].Final():
			res.Canceled = append(res.Canceled, id)
		case s.Taken():
			res.Sent = append(res.Sent, id)
		case !s.Final():
			res.InFlight = append(res.InFlight, id)
		default:
			res.Ended = append(res.Ended, id)
		}
	}
	res.Counts = message.CancelCounts{
		Canceled: len(res.Canceled), Sent: len(res.Sent), InFlight: len(res.InFlight), Ended: len(res.Ended),
	}
	return res
}

// canceledNow ends a message that was canceled while its attempt had not begun,
// or that turned out not to have arrived.
func (r *run) canceledNow(i int) {
	reason := ""
	if rec := &r.recs[i]; rec.Code == "canceled" {
		reason = rec.Detail
	}
	r.note(i, message.EventCanceled, r.now(), "", reason)
	r.end(i, message.Canceled, "canceled", reason)
}

// awaitVerdicts waits until the server has reported which of the attempts that
// were asked back had not started. It writes those reports in the transaction
// that takes the request, so they are here before any later timer.
func awaitVerdicts(ctx workflow.Context) {
	_ = workflow.NewTimerWithOptions(ctx, verdictWait, workflow.TimerOptions{Summary: "withdrawn attempts"}).Get(ctx, nil)
}

// onPause takes queued attempts back and names those that have left.
func (r *run) onPause(ctx workflow.Context) message.PauseResult {
	res := message.PauseResult{Batch: r.batch.ID, InFlight: []string{}}
	if r.counts.Open() == 0 {
		return res
	}
	if !r.paused {
		r.paused = true
		r.rev++
	}
	asked := false
	for i := range r.recs {
		if withdraw := r.open[i]; withdraw != nil {
			withdraw()
			asked = true
		}
	}
	r.poke()
	if asked {
		awaitVerdicts(ctx)
	}
	for i := range r.recs {
		if r.recs[i].State == message.Sending {
			res.InFlight = append(res.InFlight, r.key.MessageID(i))
		}
	}
	return res
}

func (r *run) onResume(_ workflow.Context, _ nothing) message.ResumeResult {
	if r.paused {
		r.paused = false
		r.rev++
	}
	r.poke()
	return message.ResumeResult{Batch: r.batch.ID}
}

// onReschedule moves every message without an attempt; each keeps its validity.
func (r *run) onReschedule(_ workflow.Context, q message.RescheduleRequest) message.RescheduleResult {
	res := message.RescheduleResult{Batch: r.batch.ID}
	at, err := r.sendAfter(q.SendAfter)
	if err != nil {
		workflow.GetLogger(r.root).Warn("a reschedule signal was ignored", "error", err)
		res.Unchanged = len(r.recs)
		return res
	}
	r.sendAt = at
	r.rev++
	for i := range r.recs {
		rec := &r.recs[i]
		if !rec.State.Waiting() || rec.Attempts > 0 {
			res.Unchanged++
			continue
		}
		ttl := rec.Expires - rec.Due
		rec.Due, rec.Next, rec.Expires = at, at, at+ttl
		r.move(i, message.Scheduled)
		r.hold(i)
		res.Rescheduled++
	}
	r.poke()
	return res
}

// sendAfter reads a time or a duration from now, within the dialect's horizon.
func (r *run) sendAfter(s string) (int64, error) {
	horizon := time.Duration(r.batch.Horizon) * time.Millisecond
	if horizon <= 0 {
		horizon = oneYear
	}
	now := workflow.Now(r.root)
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, temporal.NewApplicationError(
				fmt.Sprintf("sendAfter: %q is neither an RFC 3339 time nor a duration such as 10m", s), ErrInputType)
		}
		at = now.Add(d)
	}
	if at.After(now.Add(horizon)) {
		return 0, temporal.NewApplicationError(
			fmt.Sprintf("sendAfter: %s is more than %s ahead", at.UTC().Format(time.RFC3339), horizon), ErrInputType)
	}
	// A time before now is now: validity counts from when it can be sent.
	return max(at.UnixMilli(), now.UnixMilli()), nil
}
