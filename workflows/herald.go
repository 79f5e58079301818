package workflows

import (
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

const (
	// heraldEvery is how often a batch tells its Notify of changes at most, in ms.
	heraldEvery = int64(1_000)
	// heraldWait is how long the end of a batch waits for the server to take the last
	// signal. Notify looks by itself, so that without it the end is told late.
	heraldWait = 5 * time.Second
)

// herald lets the workflow Notify of a batch know that there is something to tell.
// One that is nil tells nobody.
type herald struct {
	ctx  workflow.Context // not ended by Temporal's cancel
	poke func()
	id   string
	// child is there until it is known to have started.
	child workflow.ChildWorkflowFuture
	// state and news are what it was told of last, next is when it may be told again.
	state message.BatchState
	news  int
	next  int64
	// busy means that a signal is under way, lost that nobody hears them any more.
	busy, lost bool
}

// newHerald starts the workflow Notify of a batch in the batch's first run. It stays
// when the batch has ended. A batch without callbacks has none.
func newHerald(ctx workflow.Context, poke func(), b *message.Batch, total int, large, first bool) *herald {
	if b.Callbacks == nil {
		return nil
	}
	wid := message.WorkflowID(b.Tenant, b.ID)
	h := &herald{ctx: ctx, poke: poke, id: NotifyID(wid), state: message.BatchScheduled}
	if !first {
		h.state, h.next = "", workflow.Now(ctx).UnixMilli()+heraldEvery
		return h
	}
	cctx := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:        h.id,
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:     "callbacks",
	})
	h.child = workflow.ExecuteChildWorkflow(cctx, NotifyName, NotifyInput{
		V: message.Version, ID: b.ID, Tenant: b.Tenant, Dialect: b.Dialect, Total: total, Large: large, Callbacks: *b.Callbacks,
	})
	return h
}

// untold reports whether something has changed since the last signal.
func (h *herald) untold(state message.BatchState, news int) bool {
	return h != nil && !h.lost && (h.state != state || h.news != news)
}

// tell sends a signal if there is something to tell and the last one was a second
// ago.
func (h *herald) tell(now int64, state message.BatchState, news int) {
	if h.untold(state, news) && !h.busy && now >= h.next {
		h.send(now, state, news)
	}
}

// sooner is the first of a time in Unix ms and that of the next signal; 0 is none.
func (h *herald) sooner(at int64, state message.BatchState, news int) int64 {
	if !h.untold(state, news) || h.busy || at != 0 && at <= h.next {
		return at
	}
	return h.next
}

// still reports whether nothing is under way.
func (h *herald) still() bool { return h == nil || !h.busy && h.child == nil }

func (h *herald) send(now int64, state message.BatchState, news int) {
	h.busy, h.state, h.news, h.next = true, state, news, now+heraldEvery
	workflow.Go(h.ctx, func(ctx workflow.Context) {
		defer func() { h.busy = false; h.poke() }()
		h.begun(ctx)
		if err := workflow.SignalExternalWorkflow(ctx, h.id, "", SignalChanged, nil).Get(ctx, nil); err != nil {
			h.lost = true
			workflow.GetLogger(ctx).Info("the callbacks of a batch have ended before it", "error", err)
		}
	})
}

// begun waits until Notify has started, or could not.
func (h *herald) begun(ctx workflow.Context) {
	if h.child == nil {
		return
	}
	if err := h.child.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		// One of an earlier batch of this id may still be there.
		workflow.GetLogger(ctx).Warn("the callbacks of a batch did not start", "error", err)
	}
	h.child = nil
}

// end tells of the batch's end and waits until the server has taken that. It reports
// whether it had to wait, so that more may have happened.
func (h *herald) end(state message.BatchState, news int) bool {
	if h.still() && !h.untold(state, news) {
		return false
	}
	timed, cancel := workflow.WithCancel(h.ctx)
	defer cancel()
	timer := workflow.NewTimerWithOptions(timed, heraldWait, workflow.TimerOptions{Summary: "callbacks"})
	for {
		_ = workflow.Await(h.ctx, func() bool { return timer.IsReady() || !h.busy })
		switch {
		case timer.IsReady():
			h.lost, h.busy, h.child = true, false, nil
			return true
		case h.untold(state, news):
			h.send(workflow.Now(h.ctx).UnixMilli(), state, news)
		case h.child != nil:
			workflow.Go(h.ctx, h.begun)
			_ = workflow.Await(h.ctx, func() bool { return timer.IsReady() || h.child == nil })
		default:
			return true
		}
	}
}
