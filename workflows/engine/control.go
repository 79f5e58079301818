package engine

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/internal/sabotage"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// controls registers what a run answers to and obeys, whether it is there yet or, in a
// segment that is being read, comes later. Then whoever asks waits for it.
type controls struct {
	*flow.Loop
	run  *run
	lost bool // there will be none
}

func (c *controls) register() error {
	flow.On(c.Loop, contract.SignalReports, func(q contract.Reports) { c.run.onReports(q) })
	return c.Control(flow.Controls{
		Names: func(names []string) error {
			if c.run == nil {
				return nil
			}
			_, err := c.run.targets(names)
			return err
		},
		Ended: func() bool { return c.run != nil && c.run.counts.Open() == 0 },
		Due: func(sendAfter string) error {
			if c.run == nil {
				return nil
			}
			_, err := c.run.sendAfter(sendAfter)
			return err
		},
		Cancel:     answers(c, (*run).onCancel),
		Pause:      answers(c, (*run).onPause),
		Resume:     answers(c, (*run).onResume),
		Reschedule: answers(c, (*run).onReschedule),
	})
}

// answers lets a run do what is asked for, once it is there.
func answers[Q, A any](c *controls, do func(*run, workflow.Context, Q) A) func(workflow.Context, Q) (A, error) {
	return func(ctx workflow.Context, q Q) (none A, err error) {
		if err := workflow.Await(ctx, func() bool { return c.run != nil || c.lost }); err != nil {
			return none, err
		}
		if c.lost {
			return none, temporal.NewApplicationError("the segment cannot be read from the store", contract.ErrEndedType)
		}
		if c.Overtaken(ctx) {
			return none, nil
		}
		return do(c.run, ctx, q), nil
	}
}

// attach makes a run the one that does what is asked for.
func (c *controls) attach(r *run) error {
	c.run = r
	err := errors.Join(
		r.Query(contract.QueryStatus, "Counts by state, times and totals.", r.status),
		r.Query(contract.QueryMessages, `A page of messages: {"state","limit","cursor","since"}, all optional.`, r.page),
		r.Query(contract.QueryMessage, "One message, by id or index, with the story of its attempts.", r.one),
		r.Query(contract.QueryLedger, `All that is known of the messages, by position: {"from"}, optional.`, r.ledgerPage),
	)
	c.Listen()
	return err
}

// leave answers whoever waits for a run that there will be none.
func (c *controls) leave(ctx workflow.Context) {
	c.lost = true
	_ = workflow.Await(ctx, c.Idle)
}

// targets are the positions of the messages named, each once; all of the batch for
// nil. Names that the batch does not have are passed over and are the error.
func (r *run) targets(names []string) (some []int, unknown error) {
	if names != nil {
		return flow.Named(names, r.key, r.position)
	}
	for i := range r.recs {
		some = append(some, i)
	}
	return some, nil
}

// position finds a message by its own number in the whole batch.
func (r *run) position(number int) (int, bool) {
	if r.seg != nil {
		number = slices.IndexFunc(r.lines, func(l message.MessageMeta) bool { return l.Index == number })
	}
	return number, number >= 0 && number < len(r.recs)
}

// onPause lets nothing more leave, takes queued attempts back and names those that have left.
func (r *run) onPause(ctx workflow.Context, _ flow.Nothing) message.PauseResult {
	res := message.PauseResult{Batch: r.batch.ID, InFlight: []string{}}
	if r.counts.Open() > 0 && !sabotage.Active(sabotage.Pause) {
		r.pause(true)
		r.withdraw(ctx, func(t *inflight) bool { return !t.question })
	}
	for i := range r.recs {
		if r.recs[i].State == message.Sending {
			res.InFlight = append(res.InFlight, r.id(i))
		}
	}
	return res
}

func (r *run) onResume(workflow.Context, flow.Nothing) message.ResumeResult {
	r.guard.on, r.guard.held = false, message.Holding{} // somebody has looked at it
	r.pause(false)
	return message.ResumeResult{Batch: r.batch.ID}
}

func (r *run) pause(paused bool) {
	if r.Paused != paused {
		r.Paused = paused
		if !paused {
			r.Resumed = r.Now()
		}
		r.nextRev()
	}
	r.Wake()
}

// onReschedule moves every message without an attempt; each keeps its validity. Attempts
// that nobody has begun are asked back, of which the server decides, and their messages
// move when they come.
func (r *run) onReschedule(ctx workflow.Context, q message.RescheduleRequest) message.RescheduleResult {
	res := message.RescheduleResult{Batch: r.batch.ID, Unchanged: len(r.recs)}
	at, err := r.sendAfter(q.SendAfter)
	if moved, perr := time.Parse(time.RFC3339Nano, q.SendAfter); perr == nil && flow.Ordered(ctx) {
		at = moved.UnixMilli() // for all segments alike: validity counts from when the batch was moved
	}
	if err != nil {
		workflow.GetLogger(r.Root).Warn("a reschedule signal was ignored", "error", err)
	}
	if err != nil || r.counts.Open() == 0 {
		return res
	}
	r.SendAt = at
	r.nextRev()
	for _, i := range r.unattempted() {
		r.change(i, func(t message.Transition) { r.postpone(t.Record) })
	}
	r.Wake()
	r.withdraw(ctx, func(t *inflight) bool { return !t.question && r.recs[t.i].Attempts == 1 })
	res.Rescheduled = len(r.unattempted())
	res.Unchanged -= res.Rescheduled
	return res
}

// unattempted are the messages that wait for their first attempt.
func (r *run) unattempted() (some []int) {
	for i := range r.recs {
		if rec := &r.recs[i]; rec.State.Waiting() && rec.Attempts == 0 {
			some = append(some, i)
		}
	}
	return some
}

// withdraw takes back what has not begun of some activities under way, and waits until the
// server has reported what had.
func (r *run) withdraw(ctx workflow.Context, which func(t *inflight) bool) {
	asked := false
	for _, t := range r.inFlight {
		if t != nil && which(t) {
			t.withdraw()
			asked = true
		}
	}
	if asked {
		r.awaitVerdicts(ctx)
	}
}

// postpone makes a message due when the last reschedule said.
func (r *run) postpone(rec *message.Record) {
	rec.Expires += r.SendAt - rec.Due
	rec.State, rec.Due, rec.Next = message.Scheduled, r.SendAt, r.SendAt
}

// sendAfter reads a time or a duration from now, within the dialect's horizon.
func (r *run) sendAfter(s string) (int64, error) {
	return flow.DueAfter(workflow.Now(r.Root), r.batch.Horizon, s)
}
