package coordinator

import (
	"cmp"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/callbacks"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// coordinator leads a large batch, whose messages are in the store: it begins the
// workflows of its segments in order and passes on to them what is asked of the
// batch. It knows counts, never messages. One
// coroutine decides what begins, one brings controls to what runs, and each workflow
// that runs has one that waits for its end.
type coordinator struct {
	*flow.Loop
	flow.Progress
	unguarded bool // segments that begin do not pause the batch
	display   flow.Display

	batch *message.Batch // without messages
	in    contract.LargeInput
	key   message.Key

	// segments are those of the manifest, by number less one. Before the manifest was
	// read one segment stands for all of the batch.
	segments      []*segment
	next          int  // the first segment that has not begun, as an index
	firstAttempts int  // segments in the window
	running       int  // workflows under way
	opened        bool // the manifest was read
	fault         string
	missing       bool                // the workers' store does not have the batch
	shut          workflow.CancelFunc // ends the reading of the manifest

	rev     int64
	sendRev int64                 // the rev of the last reschedule
	rest    *message.UnrunOutcome // of every segment that will never begin

	// wanted counts the controls; moveWanted and pauseWanted are the last ones of their
	// kinds. A segment is behind that has fewer.
	wanted, moveWanted, pauseWanted int
	gathering                       *delivery           // the next round; nil where nobody waits for one
	delivering                      bool                // a coroutine makes rounds
	rounds                          int                 // how many there were
	interrupt                       workflow.CancelFunc // breaks off the one under way

	named []*namedCancel // cancels by name, of which a coroutine makes the first
	calls int            // how many there were

	signaler     *callbacks.Signaler // tells Notify of changes; nil where nobody asked for callbacks
	finalChanges int                 // segments that ended with messages to tell of, or came to be held
}

// Run runs a large batch to its end. Every way of cancelling closes it as
// completed, with a result. It never continues as new: a thousand segments take
// about ten thousand events.
func Run(ctx workflow.Context, in contract.Input) (message.Result, error) {
	b, l := &in.Batch, in.Large
	if b.V != message.Version || l.Dir == "" || l.Total < 0 || l.Total > message.MaxIndex || l.Rejected < 0 || l.Rejected > l.Total {
		return message.Result{}, flow.ErrNoBatch
	}
	c := newCoordinator(ctx, in)
	reading, shut := workflow.WithCancel(c.Work)
	c.shut = shut // before setup: an update that waits may come first
	if err := c.setup(); err != nil {
		return message.Result{}, err
	}
	c.signaler = callbacks.NewSignaler(c.Work, c.Wake, c.batch, c.in.Total, true, true)
	workflow.Go(reading, c.open)
	c.loop()
	return c.close(), nil
}

func newCoordinator(ctx workflow.Context, in contract.Input) *coordinator {
	b := in.Batch
	due := cmp.Or(b.SendAfter, b.CreatedAt.UnixMilli())
	all := &segment{state: message.SegmentWaiting, Segment: message.Segment{
		Count: in.Large.Total, Rejected: in.Large.Rejected, First: due, Last: due, Expires: max(in.Large.Expires, due+validity(&b)),
	}}
	return &coordinator{
		Loop: flow.NewLoop(ctx), display: flow.NewDisplay(ctx, &b, 0), batch: &b, in: *in.Large,
		key:       message.KeyOf(message.WorkflowID(b.Tenant, b.ID)),
		segments:  []*segment{all},
		interrupt: func() {},
	}
}

// validity is that of messages without their own, in ms.
func validity(b *message.Batch) int64 {
	return cmp.Or(b.TTL, message.DefaultTTL.Milliseconds())
}

// loop leads the batch until every message has ended.
func (c *coordinator) loop() {
	canceled := c.Root.Done()
	for {
		flow.Yield(c.Work) // what a signal asks for comes before anything else begins
		if c.Root.Err() != nil && canceled != nil {
			canceled = nil
			c.stop("canceled through Temporal")
		}
		c.begin()
		c.show()
		if c.next >= len(c.segments) && c.running == 0 {
			return // nothing is left to begin or to follow
		}
		c.signaler.Signal(c.Now(), c.State(), c.finalChanges)
		c.Sleep(c.signaler.NextSignal(c.nextTime(), c.State(), c.finalChanges), canceled)
	}
}

// nextTime is when the batch starts, or when messages expire that no workflow has; 0 is
// none. What was due until now has begun. Segments have timers of their own.
func (c *coordinator) nextTime() (at int64) {
	if !c.opened || c.Canceled {
		return 0
	}
	if c.Started == 0 {
		at = c.firstDue()
	}
	for _, p := range c.segments[c.next:] {
		if p.waits() && (at == 0 || p.FirstExpires < at) {
			at = p.FirstExpires
		}
	}
	return at
}

// change counts a change. Revs begin at the time, so that they can be compared
// with those of the segments.
func (c *coordinator) change() { c.rev = max(c.rev+1, c.Now()<<message.RevShift) }

// firstDue is when the first message is due that is to be sent, in Unix ms; 0 is
// none.
func (c *coordinator) firstDue() int64 {
	for _, p := range c.segments {
		if p.Count > p.Rejected {
			return p.First
		}
	}
	return 0
}

// begins notes that a message was due at a time in Unix ms; 0 is none.
func (c *coordinator) begins(at int64) {
	if at > 0 && (c.Started == 0 || at < c.Started) {
		c.Started = at
	}
}

// close waits for those who still wait for an answer, shows the end and keeps it
// in the store, where it outlives the workflow.
func (c *coordinator) close() message.Result {
	c.settle()
	c.Finished = c.Now()
	c.Disarm()
	c.change()
	c.show()
	large := c.large()
	res := message.Result{V: message.Version, Status: c.status(), Large: &large}
	c.keep(res)
	c.settle()
	for c.signaler.End(c.State(), c.finalChanges) {
		c.settle()
	}
	return res
}

// keep writes the result to the store, unless workers and starter do not share
// one.
func (c *coordinator) keep(res message.Result) {
	if c.missing {
		return
	}
	ctx := workflow.WithActivityOptions(c.Work, patientOptions(closeToClose, closePatience, "keep the result"))
	in := contract.CloseInput{V: message.Version, Result: res}
	if err := workflow.ExecuteActivity(ctx, contract.CloseName, in).Get(ctx, nil); err != nil {
		workflow.GetLogger(c.Root).Error("the result of a batch was not kept in the store", "error", err)
	}
}

// settle waits until nobody waits for an answer and no signal is left.
func (c *coordinator) settle() {
	for {
		flow.Yield(c.Work)
		_ = workflow.Await(c.Work, c.Idle)
		flow.Yield(c.Work)
		if !c.Drain() && c.Idle() {
			return
		}
	}
}
