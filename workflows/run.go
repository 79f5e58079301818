package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// run sends the messages of one batch. It is one coroutine that promotes what is
// due and arms one timer, and up to limit others that each carry one message at
// a time from hand-over to answer. Everything that must survive is in recs and
// the few fields beside it; the queues are made anew from them.
type run struct {
	root  workflow.Context // ends when Temporal cancels the workflow
	work  workflow.Context // does not: attempts are followed to their end
	batch *message.Batch
	seg   *segment // what a large batch's workflow has beside; nil in a small one
	key   message.Key
	limit int
	size  int // of the batch as JSON

	recs     []message.Record
	counts   message.Counts
	rev      int64
	started  int64
	finished int64
	sendAt   int64
	paused   bool
	cancel   bool
	reason   string

	places []place
	due    queue   // by the time at which they may move again
	expiry queue   // waiting messages by the end of their validity
	lanes  []*lane // by account name
	byName map[string]*lane

	open     map[int]*trip // messages under way
	running  int           // coroutines that carry one
	handlers int           // control calls under way
	telling  int           // reports under way, which end with a run that goes on
	updates  int
	draining bool // the run is to continue as new: nothing new starts
	wake     workflow.Channel

	herald *herald // tells Notify of changes; nil where nobody asked for callbacks
	news   int     // messages that came into a final state

	armed     int64 // when the armed timer fires; 0 is none
	timer     workflow.Future
	disarm    workflow.CancelFunc
	indexed   bool   // the server knows the search attributes
	shown     string // the search attribute's state
	shownDue  int64
	described string
	meters    map[meter]meterCounter
	heardOf   map[[2]string]meterCounter // reports, by account and outcome
}

// newRun prepares a run of a small batch, or of a segment, whose batch then holds
// of its messages what a line tells.
func newRun(ctx workflow.Context, in Input, seg *segment) *run {
	b := in.Batch
	work, _ := workflow.NewDisconnectedContext(ctx)
	r := &run{
		root: ctx, work: work, batch: &b, seg: seg,
		key:   message.KeyOf(message.WorkflowID(b.Tenant, b.ID)),
		limit: b.InFlight,
		recs:  make([]message.Record, len(b.Messages)), places: make([]place, len(b.Messages)),
		byName: map[string]*lane{}, open: map[int]*trip{},
		wake: workflow.NewBufferedChannel(ctx, 1), meters: map[meter]meterCounter{},
	}
	if r.limit <= 0 {
		r.limit = defaultInFlight
	}
	if seg == nil {
		r.limit = min(r.limit, max(1, maxHandOver/r.largest()))
	}
	// A batch that was started without the attributes runs on a server that may
	// not know them, and setting one there would stop it.
	r.shown, r.indexed = workflow.GetTypedSearchAttributes(ctx).GetKeyword(attrState)
	for _, name := range workflow.DeterministicKeys(b.Policies) {
		r.lanes = append(r.lanes, &lane{name: name})
		r.byName[name] = r.lanes[len(r.lanes)-1]
	}
	if r.size = in.Size; r.size <= 0 {
		r.size = maxBatch
	}
	switch {
	case seg != nil:
		r.beginSegment()
	case in.State != nil:
		r.restore(in.State)
	default:
		r.begin()
	}
	for i := range r.recs {
		r.counts[r.recs[i].State]++
		if !r.recs[i].State.Final() {
			if r.recs[i].Await == 0 {
				r.lane(i).load++
			}
			r.hold(i)
		}
	}
	return r
}

// largest is about how many bytes the largest activity's input takes.
func (r *run) largest() int {
	most := 0
	for i := range r.batch.Messages {
		m := &r.batch.Messages[i]
		n := len(m.To) + len(m.Reference) + len(m.Body) + len(m.Metadata)
		for _, k := range workflow.DeterministicKeys(m.Params) {
			n += len(k) + len(m.Params[k]) + 8
		}
		most = max(most, n)
	}
	return most + len(r.batch.Template.Body) + len(r.batch.Metadata) + maxTaken + wrapping
}

// begin gives every message its first record.
func (r *run) begin() {
	for i := range r.recs {
		rec := &r.recs[i]
		rec.Due = r.batch.DueAt(i)
		rec.Expires = rec.Due + r.batch.Validity(i)
		rec.Next = rec.Due
		rec.Rev = r.change()
		if p := r.batch.Messages[i].Problems; len(p) > 0 {
			rec.State = message.Rejected
			rec.Finished = r.batch.CreatedAt.UnixMilli()
			rec.Code, rec.Detail = p[0].Code, message.Clip(p[0].Place(), message.MaxDetail)
			r.meter(i, message.Rejected)
		}
	}
}

// restore takes over what the run before handed on. No attempt was under way.
func (r *run) restore(s *State) {
	r.rev, r.started, r.paused, r.cancel = s.Rev, s.Started, s.Paused, s.Cancel
	r.reason, r.sendAt, r.shownDue = s.Reason, s.SendAt, s.SendAt
	copy(r.recs, s.Records)
	for i := range r.recs {
		if i < len(s.Trails) {
			r.recs[i].Trail = s.Trails[i]
		}
	}
	for _, l := range r.lanes {
		l.Breaker = s.Breakers[l.name]
	}
}

// next is the input of the run that goes on after this one.
func (r *run) next() Input {
	s := &State{
		Rev: r.rev, Started: r.started, Paused: r.paused, Cancel: r.cancel,
		Reason: r.reason, SendAt: r.sendAt, Breakers: map[string]Breaker{},
	}
	s.Records, s.Trails = message.FitRecords(r.recs, r.size)
	for _, l := range r.lanes {
		if l.Breaker != (Breaker{}) {
			s.Breakers[l.name] = l.Breaker
		}
	}
	return Input{V: message.Version, Size: r.size, Batch: *r.batch, State: s}
}

func (r *run) trails() message.Trails {
	t := make(message.Trails, len(r.recs))
	for i := range r.recs {
		t[i] = r.recs[i].Trail
	}
	return t
}

// now is the workflow's time in Unix ms.
func (r *run) now() int64 { return workflow.Now(r.root).UnixMilli() }

// move puts a message into a state and counts the change.
func (r *run) move(i int, s message.State) {
	rec := &r.recs[i]
	r.counts[rec.State]--
	r.counts[s]++
	rec.State = s
	rec.Rev = r.change()
	if s.Final() {
		r.news++
	}
}

// change counts a change. Those of a segment begin at the time, so that they can
// be compared with those of others.
func (r *run) change() int64 {
	r.rev++
	if r.seg != nil {
		r.rev = max(r.rev, r.now()<<revShift)
	}
	return r.rev
}

// number is the message's own in its whole batch.
func (r *run) number(i int) int {
	if r.seg != nil {
		return r.seg.lines[i].Index
	}
	return i
}

// id is the message's id.
func (r *run) id(i int) string { return r.key.MessageID(r.number(i)) }

// end puts a message into a final state.
func (r *run) end(i int, s message.State, code, detail string) {
	rec := &r.recs[i]
	r.unload(i)
	rec.Finished, rec.Next, rec.Doubt, rec.Await = r.now(), 0, 0, 0
	rec.Code, rec.Detail = message.CleanCode(code), message.Clip(detail, message.MaxDetail)
	r.places[i] = nowhere
	r.move(i, s)
	r.meter(i, s)
}

// note adds a step to a message's trail.
func (r *run) note(i int, e message.Event, at int64, code, detail string) {
	rec := &r.recs[i]
	rec.Note(message.Entry{At: at, Hop: rec.Hop, Attempt: rec.Attempts, Event: e, Code: code, Detail: detail})
}

var errNoBatch = temporal.NewNonRetryableApplicationError(
	"the input is not a batch of this version", ErrInputType, nil)
