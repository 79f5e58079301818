package engine

import (
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/callbacks"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// run sends the messages of one batch. It is one coroutine that promotes what is
// due and arms one timer, and up to limit others that each carry one message at
// a time from hand-over to answer. Everything that must survive is in recs and
// the few fields beside it; the queues are made anew from them.
type run struct {
	*flow.Loop
	flow.Progress
	display flow.Display

	batch *message.Batch
	seg   *segment // what a large batch's workflow has beside; nil in a small one
	key   message.Key
	limit int
	room  int // of a payload, in bytes of JSON; 0 is 1.9 MB

	lines  message.MessageMetas
	recs   []message.Record
	counts message.Counts
	rev    int64

	positions []position
	due       queue           // by the time at which they may move again
	expiry    queue           // waiting messages by the end of their validity
	accounts  []*accountQueue // by account name
	byName    map[string]*accountQueue

	inFlight []*inflight // by message; nil where none is under way
	// spentIDs are ids of activities that ended in another way after they were asked back, and
	// how often: the SDK takes none of them again in this run.
	spentIDs map[string]int
	running  int  // coroutines that carry one
	telling  int  // reports under way, which end with a run that goes on
	draining bool // the run is to continue as new: nothing new starts
	reported bool // the batch knows that the segment's first attempts have been made

	guard        guard
	signaler     *callbacks.Signaler // tells Notify of changes; nil where nobody asked for callbacks
	finalChanges int                 // messages that came into a final state, and accounts that came to be held
	heldTold     bool                // the batch of a segment knows that some are held
}

// newRun prepares a run of a small batch, or of a segment, whose batch then holds
// of its messages what a line tells.
func newRun(l *flow.Loop, in contract.Input, seg *segment) *run {
	b := in.Batch
	r := &run{
		Loop: l, batch: &b, seg: seg,
		key:   message.KeyOf(message.WorkflowID(b.Tenant, b.ID)),
		limit: b.InFlight, room: in.Room,
		recs: make([]message.Record, len(b.Messages)), positions: make([]position, len(b.Messages)),
		byName: map[string]*accountQueue{}, inFlight: make([]*inflight, len(b.Messages)), spentIDs: map[string]int{},
	}
	if r.limit <= 0 {
		r.limit = defaultInFlight
	}
	if seg != nil {
		r.lines = seg.lines
	} else {
		r.limit = min(r.limit, max(1, maxHandOver/r.largest()))
		for i := range b.Messages {
			r.lines = append(r.lines, b.Meta(i, &b.Messages[i]))
		}
	}
	for _, name := range workflow.DeterministicKeys(b.Policies) {
		r.accounts = append(r.accounts, &accountQueue{name: name})
		r.byName[name] = r.accounts[len(r.accounts)-1]
	}
	if in.State != nil {
		r.restore(in.State)
	} else {
		r.begin()
	}
	r.newGuard(b.Guard && (in.State == nil || !in.State.Unguarded), r.guard.held)
	r.display = flow.NewDisplay(l.Root, r.batch, r.SendAt)
	for i := range r.recs {
		r.counts[r.recs[i].State]++
		if !r.recs[i].State.Final() {
			r.countLoad(i, 1)
			r.hold(i)
		}
	}
	if seg != nil {
		r.cancelNamed()
	}
	return r
}

// largest is about how many bytes the largest activity's input takes.
func (r *run) largest() int {
	most := 0
	for i := range r.batch.Messages {
		m := &r.batch.Messages[i]
		n := m.AddressBytes() + len(m.To) + len(m.Phone) + len(m.Reference) + len(m.Body) + len(m.Metadata)
		for _, k := range workflow.DeterministicKeys(m.Params) {
			n += len(k) + len(m.Params[k]) + 8
		}
		most = max(most, n)
	}
	return most + len(r.batch.Template.Body) + len(r.batch.Metadata) + maxTaken + wrapping
}

// begin gives every message its first record.
func (r *run) begin() {
	var due int64
	var kept map[int]bool
	if r.seg != nil {
		due, kept, r.Paused = r.seg.in.Due, r.seg.canceledBefore(r.seg.in.DueAt), r.seg.in.Paused
	}
	for i := range r.recs {
		rec, rev, moved := &r.recs[i], r.nextRev(), due
		if kept[r.lines[i].Index] {
			moved = 0
		}
		*rec = r.lines[i].FirstRecord(r.batch.CreatedAt.UnixMilli(), moved)
		if rec.State == message.Rejected {
			r.meter(i, message.Rejected)
		}
		if rec.State != message.Rejected || r.seg == nil { // else it was told before the segment began
			rec.Rev = rev
		}
	}
}

// restore takes over what the run before handed on. No attempt was under way.
func (r *run) restore(s *contract.State) {
	r.rev, r.Started, r.Paused, r.Canceled = s.Rev, s.Started, s.Paused, s.Cancel
	r.Reason, r.SendAt, r.reported = s.Reason, s.SendAt, s.Reported
	r.guard.held = s.Guard
	copy(r.recs, s.All())
	for _, l := range r.accounts {
		l.Breaker = s.Breakers[l.name]
	}
}

// state is what the run that goes on after this one is given, apart from the records.
func (r *run) state() *contract.State {
	s := &contract.State{
		Rev: r.rev, Started: r.Started, Paused: r.Paused, Cancel: r.Canceled,
		Reason: r.Reason, SendAt: r.SendAt, Reported: r.reported, Breakers: map[string]contract.Breaker{},
		Unguarded: r.batch.Guard && !r.guard.on, Guard: r.guard.held, Round: r.Round,
	}
	for _, l := range r.accounts {
		if l.Breaker != (contract.Breaker{}) {
			s.Breakers[l.name] = l.Breaker
		}
	}
	return s
}

// nextRev counts a change. Those of a segment begin at the time, so that they can
// be compared with those of others.
func (r *run) nextRev() int64 {
	r.rev++
	if r.seg != nil {
		r.rev = max(r.rev, r.Now()<<message.RevShift)
	}
	return r.rev
}

// hops are those of the message at i.
func (r *run) hops(i int) []message.Hop { return r.batch.HopsOf(&r.batch.Messages[i]) }

// number is the message's own in its whole batch.
func (r *run) number(i int) int { return r.lines[i].Index }

// id is the message's id.
func (r *run) id(i int) string { return r.key.MessageID(r.number(i)) }
