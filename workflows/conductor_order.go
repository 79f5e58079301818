package workflows

import (
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// call is a control whose orders are to be answered: reports holds the answers by
// number.
type call struct {
	parts   []*part
	reports map[int]Report
}

// answered reports whether nothing more is to be waited for: a workflow that has
// ended answers by its result.
func (k *call) answered() bool {
	for _, p := range k.parts {
		if _, ok := k.reports[p.number]; !ok && p.runs() {
			return false
		}
	}
	return true
}

// ask passes orders on and waits for the reports of the parts that run, for some
// seconds. give makes the order of each.
func (c *conductor) ask(ctx workflow.Context, parts []*part, give func(*part) Order) map[int]Report {
	if len(parts) == 0 {
		return nil
	}
	c.token++
	token := c.token
	k := &call{parts: parts, reports: map[int]Report{}}
	c.calls[token] = k
	for _, p := range parts {
		o := give(p)
		o.Token = token
		c.post(p, o)
	}
	timed, cancel := workflow.WithCancel(ctx)
	timer := workflow.NewTimerWithOptions(timed, reportWait, workflow.TimerOptions{Summary: "reports"})
	_ = workflow.Await(ctx, func() bool { return timer.IsReady() || k.answered() })
	cancel()
	delete(c.calls, token)
	return k.reports
}

// tell passes an order on to all parts that run, and waits for nothing. Where it
// changes what they count they report all the same.
func (c *conductor) tell(o Order) {
	if o.Cancel != nil || o.Reschedule != nil {
		c.token++
		o.Token = c.token
	}
	for _, p := range c.active() {
		c.post(p, o)
	}
}

// post gives a part's workflow an order. The server may turn two signals around
// that are under way at once, so each leaves when the one before has arrived.
func (c *conductor) post(p *part, o Order) {
	p.orders = append(p.orders, o)
	if p.posted {
		return
	}
	p.posted = true
	workflow.Go(c.work, func(ctx workflow.Context) {
		defer func() { p.posted = false }()
		if p.child.GetChildWorkflowExecution().Get(ctx, nil) != nil {
			return
		}
		for len(p.orders) > 0 && p.runs() {
			o := p.orders[0]
			p.orders = p.orders[1:]
			err := workflow.SignalExternalWorkflow(ctx, c.segmentID(p.number), "", signalOrder, o).Get(ctx, nil)
			if err != nil && p.runs() {
				workflow.GetLogger(c.root).Warn("an order did not reach a segment", "number", p.number, "error", err)
			}
		}
	})
}

// hear takes over what a part's workflow reports.
func (c *conductor) hear(rep Report) {
	p := c.part(rep.Number)
	if p == nil {
		workflow.GetLogger(c.root).Warn("a report names no segment", "number", rep.Number)
		return
	}
	if k := c.calls[rep.Token]; k != nil && rep.Token > 0 {
		k.reports[rep.Number] = rep
	}
	if !p.runs() {
		return
	}
	if rep.Counts.Total() == p.Count && rep.Rev >= p.rev {
		p.counts, p.known, p.rev = rep.Counts, true, rep.Rev
	}
	if rep.FirstMade && p.letter == message.SegmentRunning {
		p.letter = message.SegmentRetrying
		c.firsts--
	}
	c.rev = max(c.rev, rep.Rev)
	c.begins(rep.Started)
	c.change()
}
