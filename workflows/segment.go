package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

const (
	dispatchMessage = "message"
	dispatchGroup   = "group"
)

// Times of a segment.
const (
	// restAfter is how long all that is left of a segment must have to wait for it
	// to be left to a retry, in ms.
	restAfter = int64(30_000)
	// restProbe is the time between probes from which on messages wait long that
	// wait for their account to become available.
	restProbe = int64(8_000)
	// storeToClose bounds one look into the store.
	storeToClose = 30 * time.Second
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
	in     SegmentInput
	lines  message.Lines
	begun  *message.Ledger // what it begins with: of a retry, or of the run before
	at     map[int]int     // positions in lines by index, made when first needed
	parent string
	// reported means that the batch knows that the first attempts have been made.
	reported bool
}

// SendSegment runs one segment of a large batch to its end, or until all that is
// left of it has long to wait, and keeps what became of it in the store.
func SendSegment(ctx workflow.Context, in SegmentInput) (SegmentResult, error) {
	if in.V != message.Version || in.Dir == "" || len(in.Sources) == 0 {
		return SegmentResult{}, errNoBatch
	}
	if err := answerLoading(ctx); err != nil {
		return SegmentResult{}, err
	}
	seg, batch := load(ctx, in)
	switch {
	case seg == nil && in.State != nil:
		return salvage(ctx, in), nil
	case seg == nil:
		return SegmentResult{V: message.Version, Lost: true}, nil
	}
	r := newRun(ctx, Input{V: message.Version, Batch: batch}, seg)
	if err := r.setupSegment(); err != nil {
		return SegmentResult{}, err
	}
	for {
		if again := r.loop(); again {
			return SegmentResult{}, workflow.NewContinueAsNewError(ctx, SendSegmentName, r.nextSegment())
		}
		before := r.rev
		keep(r.work, &r.seg.in, r.ledger())
		yield(r.work) // an order may have come together with the ledger's end
		if r.rev == before && r.still() && !r.drainSignals() && (r.root.Err() == nil || r.counts.Open() == 0) {
			return r.segmentResult(), nil
		}
		r.reopen()
	}
}

func (s *segment) stored(i int) *activities.Stored {
	return &activities.Stored{Dir: s.in.Dir, Segment: s.lines[i].Segment, Pos: s.lines[i].Pos}
}

// position finds a message of the segment by its index in the batch.
func (s *segment) position(index int) (int, bool) {
	if s.at == nil {
		s.at = make(map[int]int, len(s.lines))
		for i := range s.lines {
			s.at[s.lines[i].Index] = i
		}
	}
	i, ok := s.at[index]
	return i, ok
}

// retries reports whether the workflow has taken over what segments left. It
// leaves nothing itself.
func (s *segment) retries() bool { return s.in.Sources[0].Left }

// beginSegment gives every message its first record, or the one that it had.
func (r *run) beginSegment() {
	in := &r.seg.in
	r.paused = in.Paused
	if s := in.State; s != nil {
		r.rev, r.started, r.paused, r.cancel = s.Rev, s.Started, s.Paused, s.Cancel
		r.reason, r.seg.reported = s.Reason, s.Reported
		for _, l := range r.lanes {
			l.Breaker = s.Breakers[l.name]
		}
	}
	if r.seg.begun != nil {
		copy(r.recs, r.seg.begun.Records)
		r.change() // a retry's follow those of the segments
	} else {
		r.beginLines()
	}
	if in.State == nil {
		r.beginControls()
	}
}

func (r *run) beginLines() {
	for i := range r.recs {
		l, rec := &r.seg.lines[i], &r.recs[i]
		rec.Due, rec.Expires, rec.Next, rec.Rev = l.Due, l.Due+l.TTL, l.Due, r.change()
		if l.Code != "" {
			// As it was told before the segment began, so that nobody hears of it twice.
			rec.Rev = r.batch.CreatedAt.UnixMilli() << revShift
			rec.State, rec.Finished = message.Rejected, r.batch.CreatedAt.UnixMilli()
			rec.Code, rec.Detail = l.Code, l.Detail
			r.meter(i, message.Rejected)
		}
	}
}

// beginControls does what was asked of messages before the segment began.
func (r *run) beginControls() {
	in := &r.seg.in
	if in.Due > 0 {
		for i := range r.recs {
			if rec := &r.recs[i]; rec.State.Waiting() && rec.Attempts == 0 {
				rec.Due, rec.Next, rec.Expires = in.Due, in.Due, in.Due+r.seg.lines[i].TTL
			}
		}
	}
	end := func(i int, reason string, at int64) {
		rec := &r.recs[i]
		if rec.State.Final() {
			return
		}
		rec.State, rec.Finished, rec.Next = message.Canceled, at, 0
		rec.Code, rec.Detail, rec.Rev = "canceled", reason, r.change()
		r.note(i, message.EventCanceled, rec.Finished, "", reason)
		r.meter(i, message.Canceled)
	}
	for k, index := range in.Canceled {
		if i, ok := r.seg.position(index); ok {
			reason, at := "", r.now()
			if k < len(in.Reasons) {
				reason = in.Reasons[k]
			}
			if k < len(in.Revs) {
				at = in.Revs[k] >> revShift
			}
			end(i, reason, at)
		}
	}
	if q := in.Cancel; q != nil {
		r.cancel, r.reason = true, message.Clip(q.Reason, message.MaxDetail)
		for i := range r.recs {
			end(i, r.reason, r.now())
		}
	}
}

// rests reports whether a segment may end with messages left: nothing of it is
// under way, and all that is left waits long for a retry.
func (r *run) rests() bool {
	if r.seg == nil || r.seg.retries() || r.paused || r.draining || !r.still() {
		return false
	}
	if r.counts[message.Scheduled]+r.counts[message.Accepted]+r.counts[message.Sending] > 0 {
		return false
	}
	after := r.now() + restAfter
	for i := range r.recs {
		rec := &r.recs[i]
		if !rec.State.Final() && rec.Next <= after && r.lane(i).Interval < restProbe {
			return false
		}
	}
	return true
}

// tellFirstMade lets the batch know, once, that the first attempts of a segment
// have been made which goes on for retries, so that the next one can begin.
func (r *run) tellFirstMade() {
	if r.seg == nil || r.seg.retries() || r.seg.reported || r.counts.Open() == 0 || r.counts[message.Scheduled]+r.counts[message.Accepted] > 0 {
		return
	}
	for i := range r.recs {
		if t := r.open[i]; t != nil && !t.question && r.recs[i].Attempts == 1 {
			return
		}
	}
	r.seg.reported = true
	rep := r.report(0)
	rep.FirstMade = true
	r.tell(rep)
}

// ledger is what is known of the messages.
func (r *run) ledger() message.Ledger {
	l := message.Ledger{V: message.Version, Records: r.recs}
	if r.seg.retries() {
		l.Spots = make([]message.Spot, len(r.recs))
		for i := range l.Spots {
			l.Spots[i] = r.seg.lines[i].Spot
		}
	}
	return l
}

func (r *run) segmentResult() SegmentResult {
	res := SegmentResult{V: message.Version, Counts: r.counts, Rev: r.rev, Started: r.started, Finished: r.finished, Left: r.counts.Open()}
	for i := range r.recs {
		if rec := &r.recs[i]; !rec.State.Final() {
			res.Expires = max(res.Expires, rec.Expires)
			if res.Next == 0 || rec.Next < res.Next {
				res.Next = rec.Next
			}
		}
	}
	return res
}

// nextSegment is the input of the run that goes on after this one.
func (r *run) nextSegment() SegmentInput {
	in := r.seg.in
	in.Due, in.Canceled, in.Reasons, in.Revs, in.Cancel = 0, nil, nil, nil, nil
	in.State = &SegmentState{
		Rev: r.rev, Started: r.started, Paused: r.paused, Cancel: r.cancel, Reason: r.reason, Reported: r.seg.reported,
		Ledger: r.ledger(), Breakers: map[string]Breaker{},
	}
	for _, l := range r.lanes {
		if l.Breaker != (Breaker{}) {
			in.State.Breakers[l.name] = l.Breaker
		}
	}
	return in
}
