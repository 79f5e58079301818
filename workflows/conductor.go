package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// conductor leads a large batch, whose messages are in the store: it begins the
// workflows of its segments in order, passes on to them what is asked of the
// batch, and gathers what they leave. It knows counts, never messages. One
// coroutine decides what begins; each workflow that runs has one that waits for
// its end, and one that passes orders on while there are any.
type conductor struct {
	root  workflow.Context // ends when Temporal cancels the workflow
	work  workflow.Context // does not: segments are followed to their end
	batch *message.Batch   // without messages
	in    LargeInput
	key   message.Key

	// parts are the segments and, behind them, the retries, by number less one.
	// Before the manifest was read one part stands for all of the batch.
	parts    []*part
	segments int  // how many of the parts are segments
	next     int  // the first segment that has not begun, as an index
	firsts   int  // segments under way that have first attempts to make
	running  int  // workflows under way
	opened   bool // the manifest was read
	fault    string
	missing  bool                // the workers' store does not have the batch
	shut     workflow.CancelFunc // ends the reading of the manifest

	gathered  []*part // segments whose messages wait for a retry to begin
	retryAt   int64   // when one begins however few they are; 0 is none
	retryWait int64   // until the next such time

	rev      int64
	started  int64
	finished int64
	sendAt   int64 // the due time after a reschedule
	sendRev  int64 // the rev of that
	paused   bool
	cancel   bool
	reason   string
	rest     *message.Rest // of every segment that will never begin

	calls    map[int64]*call // orders whose reports are awaited, by token
	token    int64
	locating int // named messages are looked for: no workflow may begin
	handlers int // control calls under way
	updates  int
	wake     workflow.Channel

	herald *herald // tells Notify of changes; nil where nobody asked for callbacks
	news   int     // segments that ended with messages to tell of

	armed     int64 // when the armed timer fires; 0 is none
	timer     workflow.Future
	disarm    workflow.CancelFunc
	indexed   bool   // the server knows the search attributes
	shown     string // the search attribute's state
	shownDue  int64
	described string
}

// conduct runs a large batch to its end. Every way of cancelling closes it as
// completed, with a result. It never continues as new: a thousand segments take
// about ten thousand events.
func conduct(ctx workflow.Context, in Input) (message.Result, error) {
	c := newConductor(ctx, in)
	reading, shut := workflow.WithCancel(c.work)
	c.shut = shut // before setup: an update that waits may come first
	if err := c.setup(); err != nil {
		return message.Result{}, err
	}
	c.herald = newHerald(c.work, c.poke, c.batch, c.in.Total, true, true)
	workflow.Go(reading, c.open)
	c.loop()
	return c.close(), nil
}

func newConductor(ctx workflow.Context, in Input) *conductor {
	b := in.Batch
	work, _ := workflow.NewDisconnectedContext(ctx)
	due := b.SendAfter
	if due == 0 {
		due = b.CreatedAt.UnixMilli()
	}
	all := &part{letter: message.SegmentWaiting, Segment: message.Segment{
		Count: in.Large.Total, Rejected: in.Large.Rejected, First: due, Last: due, Expires: due + validity(&b),
	}}
	c := &conductor{
		root: ctx, work: work, batch: &b, in: *in.Large,
		key:   message.KeyOf(message.WorkflowID(b.Tenant, b.ID)),
		parts: []*part{all}, segments: 1,
		retryWait: gatherFirst, calls: map[int64]*call{}, wake: workflow.NewBufferedChannel(ctx, 1),
	}
	c.shown, c.indexed = workflow.GetTypedSearchAttributes(ctx).GetKeyword(attrState)
	return c
}

// validity is that of messages without their own, in ms.
func validity(b *message.Batch) int64 {
	if b.TTL > 0 {
		return b.TTL
	}
	return message.DefaultTTL.Milliseconds()
}

// loop leads the batch until every message has ended.
func (c *conductor) loop() {
	canceled := c.root.Done()
	for {
		yield(c.work) // what a signal asks for comes before anything else begins
		if c.root.Err() != nil && canceled != nil {
			canceled = nil
			c.cancelAll(message.CancelRequest{Reason: "canceled through Temporal"})
		}
		c.begin()
		c.show()
		if c.over() {
			return
		}
		c.herald.tell(c.now(), c.state(), c.news)
		c.sleep(canceled)
	}
}

// over reports whether nothing is left to begin or to follow.
func (c *conductor) over() bool {
	return c.next >= c.segments && c.running == 0 && len(c.gathered) == 0
}

// sleep waits until something changes or the next time comes.
func (c *conductor) sleep(canceled workflow.Channel) {
	c.arm()
	sel := workflow.NewSelector(c.work)
	sel.AddReceive(c.wake, func(ch workflow.ReceiveChannel, _ bool) { ch.ReceiveAsync(nil) })
	if c.timer != nil {
		sel.AddFuture(c.timer, func(workflow.Future) { c.armed, c.timer, c.disarm = 0, nil, nil })
	}
	if canceled != nil {
		sel.AddReceive(canceled, func(workflow.ReceiveChannel, bool) {})
	}
	sel.Select(c.work)
}

// arm keeps one timer for the next time at which something changes by itself.
func (c *conductor) arm() {
	at := c.herald.sooner(c.nextTime(), c.state(), c.news)
	if at == 0 || c.armed != 0 && c.armed <= at {
		return
	}
	if c.disarm != nil {
		c.disarm()
	}
	ctx, cancel := workflow.WithCancel(c.work)
	wait := max(time.Duration(at-c.now())*time.Millisecond, time.Millisecond)
	c.timer = workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: "next due"})
	c.armed, c.disarm = at, cancel
}

// nextTime is when the batch starts, when a retry begins, or, in a paused batch,
// when messages expire that no workflow has; 0 is none. Segments have timers of
// their own.
func (c *conductor) nextTime() int64 {
	if c.cancel || c.next >= c.segments && c.running == 0 && len(c.gathered) == 0 {
		return 0
	}
	now := c.now()
	var at int64
	sooner := func(t int64) {
		if t > now && (at == 0 || t < at) {
			at = t
		}
	}
	if c.started == 0 {
		sooner(c.firstDue())
	}
	if !c.paused {
		sooner(c.retryAt)
		return at
	}
	if c.opened && c.next < c.segments {
		sooner(c.parts[c.next].Expires)
	}
	if len(c.gathered) > 0 {
		sooner(c.gathered[0].leftExpires)
	}
	return at
}

// now is the workflow's time in Unix ms.
func (c *conductor) now() int64 { return workflow.Now(c.root).UnixMilli() }

// poke wakes the loop.
func (c *conductor) poke() { c.wake.SendAsync(nil) }

// change counts a change. Revs begin at the time, so that they can be compared
// with those of the segments.
func (c *conductor) change() { c.rev = max(c.rev+1, c.now()<<revShift) }

// firstDue is when the first message is due that is to be sent, in Unix ms; 0 is
// none, or not known yet.
func (c *conductor) firstDue() int64 {
	if !c.opened {
		return 0
	}
	for _, p := range c.parts[:c.segments] {
		if p.Count > p.Rejected {
			return p.First
		}
	}
	return 0
}

// begins notes that a message was due at a time in Unix ms; 0 is none.
func (c *conductor) begins(at int64) {
	if at > 0 && (c.started == 0 || at < c.started) {
		c.started = at
	}
}
