package workflows

import (
	"fmt"
	"strconv"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// setup registers what the batch answers to. Signals and updates do the same.
func (r *run) setup() error {
	ended := func() error {
		if r.counts.Open() == 0 {
			return temporal.NewApplicationError("the batch has ended", ErrEndedType)
		}
		return nil
	}
	setters := append(r.queries(),
		func() error {
			return update(r, ControlCancel, `Ends what has not left: {"reason","messages":["id"]}, both optional.`, func(q message.CancelRequest) error {
				_, err := r.targets(q.Messages)
				return err
			}, r.onCancel)
		},
		func() error {
			return update(r, ControlPause, "Lets nothing more leave until resume.", func(nothing) error { return ended() }, r.onPause)
		},
		func() error {
			return update(r, ControlResume, "Goes on after a pause.", func(nothing) error { return ended() }, r.onResume)
		},
		func() error {
			return update(r, ControlReschedule, `Moves every message without an attempt: {"sendAfter":"RFC 3339 or a duration"}.`, func(q message.RescheduleRequest) error {
				if err := ended(); err != nil {
					return err
				}
				_, err := r.sendAfter(q.SendAfter)
				return err
			}, r.onReschedule)
		},
	)
	for _, set := range setters {
		if err := set(); err != nil {
			return err
		}
	}
	for _, s := range r.signals() {
		s.listen()
	}
	return nil
}

// queries registers the questions that a run answers.
func (r *run) queries() []func() error {
	return []func() error{
		func() error { return query(r, QueryStatus, "Counts by state, times and totals.", r.status) },
		func() error {
			return query(r, QueryMessages, `A page of messages: {"state","limit","cursor","since"}, all optional.`, r.page)
		},
		func() error {
			return query(r, QueryMessage, "One message, by id or index, with the story of its attempts.", r.one)
		},
	}
}

// nothing is the argument of controls that take none; whatever is sent is ignored.
type nothing = converter.RawValue

func query(r *run, name, says string, handler any) error {
	return workflow.SetQueryHandlerWithOptions(r.root, name, handler, workflow.QueryHandlerOptions{Description: says})
}

// update registers an update whose bad requests leave no trace in the history.
func update[Q, A any](r *run, name, says string, check func(Q) error, do func(workflow.Context, Q) A) error {
	return workflow.SetUpdateHandlerWithOptions(r.root, name,
		func(ctx workflow.Context, q Q) (A, error) {
			r.handlers++
			r.updates++
			defer func() { r.handlers--; r.poke() }()
			work, _ := workflow.NewDisconnectedContext(ctx)
			return do(work, q), nil
		},
		workflow.UpdateHandlerOptions{Description: says, Validator: func(q Q) error { return check(q) }})
}

// targets are the indexes of the messages named, each once; all of the batch for
// nil. Ids that the batch does not have are passed over and are the error.
func (r *run) targets(ids []string) ([]int, error) {
	if ids == nil {
		return r.all(), nil
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

func (r *run) all() []int {
	all := make([]int, len(r.recs))
	for i := range all {
		all[i] = i
	}
	return all
}

// index finds a message by its id or its index.
func (r *run) index(id string) (int, error) {
	key, i, ok := message.ParseID(id)
	if n, err := strconv.Atoi(id); err == nil {
		key, i, ok = r.key, n, n >= 0
	}
	if ok && r.seg != nil {
		i, ok = r.seg.position(i)
	}
	if !ok || key != r.key || i >= len(r.recs) {
		return 0, temporal.NewApplicationError(fmt.Sprintf("the batch has no message %q", id), ErrNoMessageType)
	}
	return i, nil
}

// onPause takes queued attempts back and names those that have left.
func (r *run) onPause(ctx workflow.Context, _ nothing) message.PauseResult {
	res := message.PauseResult{Batch: r.batch.ID, InFlight: []string{}}
	if r.pause() {
		r.awaitVerdicts(ctx)
	}
	for i := range r.recs {
		if r.recs[i].State == message.Sending {
			res.InFlight = append(res.InFlight, r.id(i))
		}
	}
	return res
}

// pause lets nothing more leave, and reports whether attempts were asked back.
func (r *run) pause() (asked bool) {
	if r.counts.Open() == 0 {
		return false
	}
	if !r.paused {
		r.paused = true
		r.change()
	}
	for i := range r.recs {
		if t := r.open[i]; t != nil && !t.question {
			t.recall()
			asked = true
		}
	}
	r.poke()
	return asked
}

func (r *run) onResume(workflow.Context, nothing) message.ResumeResult {
	r.resume()
	return message.ResumeResult{Batch: r.batch.ID}
}

func (r *run) resume() {
	if r.paused {
		r.paused = false
		r.change()
	}
	r.poke()
}

func (r *run) onReschedule(_ workflow.Context, q message.RescheduleRequest) message.RescheduleResult {
	return r.reschedule(q)
}

// reschedule moves every message without an attempt; each keeps its validity.
func (r *run) reschedule(q message.RescheduleRequest) message.RescheduleResult {
	res := message.RescheduleResult{Batch: r.batch.ID}
	at, err := r.sendAfter(q.SendAfter)
	if err == nil && r.counts.Open() == 0 {
		res.Unchanged = len(r.recs)
		return res
	}
	if err != nil {
		workflow.GetLogger(r.root).Warn("a reschedule signal was ignored", "error", err)
		res.Unchanged = len(r.recs)
		return res
	}
	r.sendAt = at
	r.change()
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
	return dueAfter(workflow.Now(r.root), r.batch.Horizon, s)
}
