package engine

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// guard counts refusals, and pauses the batch after too many equal ones. It stands still
// once somebody has resumed the batch.
type guard struct {
	on       bool
	refusals map[string]int // by code
	held     message.Holding
}

// newGuard counts what has ended before.
func (r *run) newGuard(on bool, held message.Holding) {
	r.guard = guard{on: on, refusals: map[string]int{}, held: held}
	for i := range r.recs {
		if r.recs[i].State == message.Failed {
			r.guard.refusals[r.recs[i].Code]++
		}
	}
}

// refused counts a message that has ended as failed, and pauses the batch if it is one of
// too many.
func (r *run) refused(i int) {
	g := &r.guard
	code := r.recs[i].Code
	g.refusals[code]++
	ends := 0
	for _, s := range []message.State{message.Sent, message.Delivered, message.Undelivered, message.Failed, message.Unknown} {
		ends += r.counts[s]
	}
	if !g.on || r.Paused || !contract.TooManyRefusals(g.refusals[code], ends) {
		return
	}
	g.held = message.Holding{
		By: message.HeldByGuard, Since: r.Now(),
		Reason: fmt.Sprintf("%s of %s that were tried ended as %s; resume sends the rest", message.Number(g.refusals[code]), message.Number(ends), code),
	}
	r.pause(true)
	for _, t := range r.inFlight {
		if t != nil && !t.question {
			t.withdraw()
		}
	}
	r.Count("volley_guards", "code", code, r.account(i))
	workflow.GetLogger(r.Root).Warn("a batch paused itself: too many of its messages are refused alike", "batch_id", r.batch.ID, "reason", g.held.Reason)
	if r.seg != nil && r.seg.parent != "" {
		r.pauseBatch()
	}
}

// pauseBatch pauses the large batch that a segment is of.
func (r *run) pauseBatch() {
	f := workflow.SignalExternalWorkflow(r.Work, r.seg.parent, "", contract.ControlPause, message.PauseRequest{At: r.Now()})
	r.telling++
	workflow.Go(r.Work, func(ctx workflow.Context) {
		defer func() { r.telling--; r.Wake() }()
		if err := f.Get(ctx, nil); err != nil {
			workflow.GetLogger(r.Root).Warn("a batch was not paused by its segment", "error", err)
		}
	})
}
