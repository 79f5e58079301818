package workflows

import "go.temporal.io/sdk/workflow"

// maxNamed is how many ids an answer names at most.
const maxNamed = 1000

// setupSegment registers what a segment answers to. Its batch tells it what is
// asked of it.
func (r *run) setupSegment() error {
	for _, set := range r.queries() {
		if err := set(); err != nil {
			return err
		}
	}
	for _, s := range r.signals() {
		s.listen()
	}
	return nil
}

// obey does what the batch asks, and answers if an answer is wanted.
func (r *run) obey(o Order) {
	if o.Token == 0 {
		r.carryOut(o)
		return
	}
	r.handlers++
	workflow.Go(r.work, func(ctx workflow.Context) {
		defer func() { r.handlers--; r.poke() }()
		r.tell(r.answer(ctx, o))
	})
}

// carryOut does what an order says.
func (r *run) carryOut(o Order) {
	switch {
	case o.Cancel != nil:
		targets, _ := r.targets(o.Cancel.Messages)
		r.stop(targets, *o.Cancel)
	case o.Pause:
		r.pause()
	case o.Resume:
		r.resume()
	case o.Reschedule != nil:
		r.reschedule(*o.Reschedule)
	}
}

// answer does what an order says and reports how things stand after it.
func (r *run) answer(ctx workflow.Context, o Order) Report {
	var rep Report
	switch {
	case o.Cancel != nil:
		res := r.onCancel(ctx, *o.Cancel)
		if o.Cancel.Messages == nil {
			res.Canceled, res.Sent, res.InFlight, res.Ended = nil, nil, nil, nil
		}
		rep = r.report(o.Token)
		rep.Cancel = &res
	case o.Pause:
		flying := r.onPause(ctx, nothing{}).InFlight
		rep = r.report(o.Token)
		rep.InFlight = flying[:min(len(flying), maxNamed)]
	case o.Reschedule != nil:
		moved := r.reschedule(*o.Reschedule)
		rep = r.report(o.Token)
		rep.Rescheduled, rep.Unchanged = moved.Rescheduled, moved.Unchanged
	default:
		r.carryOut(o)
		rep = r.report(o.Token)
	}
	return rep
}

func (r *run) report(token int64) Report {
	return Report{Number: r.seg.in.Number, Token: token, Counts: r.counts, Rev: r.rev, Started: r.started}
}

// tell sends a report to the batch. One that has ended needs none.
func (r *run) tell(rep Report) {
	if r.seg.parent == "" {
		return
	}
	f := workflow.SignalExternalWorkflow(r.work, r.seg.parent, "", signalReport, rep)
	r.telling++
	workflow.Go(r.work, func(ctx workflow.Context) {
		defer func() { r.telling--; r.poke() }()
		if err := f.Get(ctx, nil); err != nil {
			workflow.GetLogger(r.root).Warn("a report did not reach the batch", "error", err)
		}
	})
}
