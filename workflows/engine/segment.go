package engine

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// Times of a segment.
const (
	// storeToClose bounds one look into the store.
	storeToClose = 30 * time.Second
	// keepPatience is how long a ledger is kept trying to be stored, keepQuiet how long
	// before the batch hears of it.
	keepPatience = 24 * time.Hour
	keepQuiet    = time.Minute
	// storeRetry is the longest wait between two looks.
	storeRetry = 30 * time.Second
	// loadGrace is how long a segment is looked for after its last validity.
	loadGrace = time.Minute
	// loadTries is how often a store is asked, once a second, that says that it does
	// not have a segment: another worker may see another store.
	loadTries = 10
)

// segment is what the workflow of a segment knows beside what all runs know.
type segment struct {
	in     contract.SegmentInput
	lines  message.MessageMetas
	named  message.Cancellations // those of its messages that were canceled by name
	parent string
}

// RunSegment runs one segment of a large batch to its end, and keeps what became of it
// in the store.
func RunSegment(ctx workflow.Context, in contract.SegmentInput) (contract.SegmentResult, error) {
	if in.V != message.Version || in.Dir == "" || in.Number < 1 {
		return contract.SegmentResult{}, flow.ErrNoBatch
	}
	if err := answerLoading(ctx, in.State == nil); err != nil {
		return contract.SegmentResult{}, err
	}
	c := &controls{Loop: flow.NewLoop(ctx)}
	if in.State != nil {
		c.Round = in.State.Round
	}
	if err := c.register(); err != nil { // before it is read: who asks meanwhile waits
		return contract.SegmentResult{}, err
	}
	seg, batch, unread := load(c.Loop, in)
	if seg == nil {
		c.leave(ctx)
		if in.State != nil {
			return finishLost(c.Loop, in, unread)
		}
		return contract.SegmentResult{V: message.Version, Lost: !unread, Unread: unread}, nil
	}
	r := newRun(c.Loop, contract.Input{V: message.Version, Batch: batch, State: in.State}, seg)
	if err := c.attach(r); err != nil {
		return contract.SegmentResult{}, err
	}
	for {
		if again := r.loop(); again {
			in.Due, in.State = 0, r.state()
			in.State.Ledger = message.Ledger{V: message.Version, Records: r.recs}
			return contract.SegmentResult{}, workflow.NewContinueAsNewError(ctx, contract.SendSegmentName, in)
		}
		before := r.rev
		if err := storeLedger(r.Work, &in, r.recs, r.tellProgress); err != nil {
			return contract.SegmentResult{}, err
		}
		flow.Yield(r.Work) // a control may have come together with the ledger's end
		if r.rev == before && r.idle() && !r.Drain() {
			return contract.SegmentResult{V: message.Version, Counts: r.counts, Reasons: message.ReasonsOf(r.recs), Rev: r.rev, Started: r.Started, Finished: r.Finished}, nil
		}
		r.Finished = 0
	}
}

// cancelNamed cancels what was canceled by name before the segment was read. What may have
// been sent is not sent again. It counts as a change of this moment, and so may be told
// once more: names come into the store a while after they were asked for.
func (r *run) cancelNamed() {
	for _, c := range r.seg.named {
		if i, ok := r.position(c.Index); ok && !r.recs[i].Stop {
			r.cancel(i, c.At, c.Reason)
		}
	}
}

// canceledBefore are the numbers of messages that were canceled by name until a time in
// Unix ms.
func (s *segment) canceledBefore(at int64) map[int]bool {
	some := map[int]bool{}
	for _, c := range s.named {
		if c.At <= at {
			some[c.Index] = true
		}
	}
	return some
}

// reportFirstAttempts lets the batch know, once, that a segment has made its first
// attempts, but for those through accounts that are held, and goes on for others, so that
// the next segment can begin.
func (r *run) reportFirstAttempts() {
	if r.seg == nil || r.reported || r.counts.Open() == 0 || r.counts[message.Scheduled] > 0 {
		return
	}
	if n := r.counts[message.Accepted]; n > 0 && n > r.passable() {
		return
	}
	first := func(t *inflight) bool { return t != nil && !t.question && r.recs[t.i].Attempts == 1 }
	if !slices.ContainsFunc(r.inFlight, first) {
		r.reported = true
		r.tellProgress("")
	}
}

// passable is how many messages wait for the release of their accounts alone, where the
// batch has another account, through which messages of other segments may leave meanwhile.
func (r *run) passable() (n int) {
	open := false
	for _, l := range r.accounts {
		switch {
		case l.Held.By == "":
			open = true
		case !l.Held.Account:
			return 0
		}
	}
	for i := range r.recs {
		if open && r.recs[i].State == message.Accepted && r.recs[i].Code == message.CodeHeld {
			n++
		}
	}
	return n
}

// tellProgress lets the batch know how the segment stands, and why its ledger is not in
// the store yet; an empty fault is none.
func (r *run) tellProgress(fault string) {
	if r.seg.parent == "" {
		return
	}
	f := workflow.SignalExternalWorkflow(r.Work, r.seg.parent, "", contract.SignalProgress, contract.Progress{
		Number: r.seg.in.Number, Counts: r.counts, Reasons: message.ReasonsOf(r.recs), Rev: r.rev, Started: r.Started,
		FirstMade: r.reported, Held: r.heldTold,
		Fault: message.Clip(fault, message.MaxDetail),
	})
	r.telling++
	workflow.Go(r.Work, func(ctx workflow.Context) {
		defer func() { r.telling--; r.Wake() }()
		if err := f.Get(ctx, nil); err != nil {
			workflow.GetLogger(r.Root).Warn("the progress of a segment did not reach its batch", "error", err)
		}
	})
}
