package callbacks

import (
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

const (
	// signalEvery is how often a batch tells its Notify of changes at most, in ms.
	signalEvery = int64(1_000)
	// signalWait is how long the end of a batch waits for the server to take the last
	// signal. Notify looks by itself, so that without it the end is told late.
	signalWait = 5 * time.Second
)

// Signaler lets the workflow Notify of a batch know that there is something to tell.
// One that is nil tells nobody.
type Signaler struct {
	ctx  workflow.Context // not ended by Temporal's cancel
	wake func()
	id   string
	// child is there until it is known to have started.
	child workflow.ChildWorkflowFuture
	// state and finalChanges are what it was told of last, next is when it may be told again.
	state        message.BatchState
	finalChanges int
	next         int64
	// busy means that a signal is under way, lost that nobody hears them any more.
	busy, lost bool
}

// NewSignaler starts the workflow Notify of a batch in the batch's first run. It stays
// when the batch has ended. A batch without callbacks has none.
func NewSignaler(ctx workflow.Context, wake func(), b *message.Batch, total int, large, first bool) *Signaler {
	if b.Callbacks == nil {
		return nil
	}
	wid := message.WorkflowID(b.Tenant, b.ID)
	h := &Signaler{ctx: ctx, wake: wake, id: contract.NotifyID(wid), state: message.BatchScheduled}
	if !first {
		h.state, h.next = "", workflow.Now(ctx).UnixMilli()+signalEvery
		return h
	}
	cctx := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:        h.id,
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:     "callbacks",
	})
	h.child = workflow.ExecuteChildWorkflow(cctx, contract.NotifyName, contract.NotifyInput{
		V: message.Version, ID: b.ID, Tenant: b.Tenant, Dialect: b.Dialect, Total: total, Large: large, Callbacks: *b.Callbacks,
	})
	return h
}

// pending reports whether something has changed since the last signal.
func (h *Signaler) pending(state message.BatchState, news int) bool {
	return h != nil && !h.lost && (h.state != state || h.finalChanges != news)
}

// Signal sends a signal if there is something to tell and the last one was a second
// ago.
func (h *Signaler) Signal(now int64, state message.BatchState, news int) {
	if h.pending(state, news) && !h.busy && now >= h.next {
		h.send(now, state, news)
	}
}

// NextSignal is the first of a time in Unix ms and that of the next signal; 0 is none.
func (h *Signaler) NextSignal(at int64, state message.BatchState, news int) int64 {
	if !h.pending(state, news) || h.busy || at != 0 && at <= h.next {
		return at
	}
	return h.next
}

// Idle reports whether nothing is under way.
func (h *Signaler) Idle() bool { return h == nil || !h.busy && h.child == nil }

func (h *Signaler) send(now int64, state message.BatchState, news int) {
	h.busy, h.state, h.finalChanges, h.next = true, state, news, now+signalEvery
	workflow.Go(h.ctx, func(ctx workflow.Context) {
		defer func() { h.busy = false; h.wake() }()
		h.begun(ctx)
		if err := workflow.SignalExternalWorkflow(ctx, h.id, "", contract.SignalChanged, nil).Get(ctx, nil); err != nil {
			h.lost = true
			workflow.GetLogger(ctx).Info("the callbacks of a batch have ended before it", "error", err)
		}
	})
}

// begun waits until Notify has started, or could not.
func (h *Signaler) begun(ctx workflow.Context) {
	if h.child == nil {
		return
	}
	if err := h.child.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		// One of an earlier batch of this id may still be there.
		workflow.GetLogger(ctx).Warn("the callbacks of a batch did not start", "error", err)
	}
	h.child = nil
}

// End tells of the batch's end and waits until the server has taken that. It reports
// whether it had to wait, so that more may have happened.
func (h *Signaler) End(state message.BatchState, news int) bool {
	if h.Idle() && !h.pending(state, news) {
		return false
	}
	timed, cancel := workflow.WithCancel(h.ctx)
	defer cancel()
	timer := workflow.NewTimerWithOptions(timed, signalWait, workflow.TimerOptions{Summary: "callbacks"})
	if h.child != nil && !h.busy {
		workflow.Go(h.ctx, h.begun)
	}
	for {
		_ = workflow.Await(h.ctx, func() bool { return timer.IsReady() || h.Idle() })
		if timer.IsReady() {
			h.lost, h.busy, h.child = true, false, nil
			return true
		}
		if !h.pending(state, news) {
			return true
		}
		h.send(workflow.Now(h.ctx).UnixMilli(), state, news)
	}
}
