package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/internal/store"
	"volley/workflows"
)

// rebuildLarge tells how a large batch stood when Temporal itself ended it. What
// its segments' own histories tell is kept in the store as their ledgers, and the
// result with it, so that this is done once.
func (s *Starter) rebuildLarge(ctx context.Context, ref Ref, in workflows.Input, first *historypb.HistoryEvent, events client.HistoryEventIterator) (message.Result, error) {
	if s.o.Store == nil {
		return message.Result{}, invalid("batch %s was ended by Temporal, and what became of its messages is in the store, of which none is configured", ref.ID)
	}
	res, err := s.o.Store.Result(ctx, in.Large.Dir)
	switch {
	case err == nil:
		return *res, nil
	case !errors.Is(err, store.ErrNotFound):
		return message.Result{}, s.storeError("batch "+ref.ID, err)
	}
	all := []*historypb.HistoryEvent{first}
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return message.Result{}, s.translate(ctx, "batch "+ref.ID, err)
		}
		all = append(all, e)
	}
	r, err := s.ruinOf(ctx, ref, in, all)
	for began := time.Now(); err == nil && r.open && time.Since(began) < s.o.Wait; {
		select { // the server ends the segments a moment after the batch
		case <-ctx.Done():
			return message.Result{}, ctx.Err()
		case <-time.After(ruinLook):
		}
		r, err = s.ruinOf(ctx, ref, in, all)
	}
	if err != nil {
		return message.Result{}, err
	}
	end := r.result()
	if !r.open {
		if err := s.o.Store.KeepResult(ctx, in.Large.Dir, &end); err != nil {
			s.o.Log.Warn("the result of a batch was not kept", zap.String("batch_id", ref.ID), zap.Error(err))
		}
	}
	return end, nil
}

// ruinLook is the time between two looks at whether the segments of a batch that
// Temporal ended have ended with it. After Options.Wait the answer is how things
// stand.
const ruinLook = 200 * time.Millisecond

// ruinOf puts a batch together once.
func (s *Starter) ruinOf(ctx context.Context, ref Ref, in workflows.Input, all []*historypb.HistoryEvent) (*ruin, error) {
	r := &ruin{view: s.newView(ref), in: in, children: map[int]child{}, left: map[message.Spot]message.Record{}}
	r.view.large.Dir = in.Large.Dir
	for _, e := range all {
		r.tell(e)
	}
	return r, r.gather(ctx)
}

// ruin is a large batch that Temporal ended, as it is put together again.
type ruin struct {
	view     *view
	in       workflows.Input
	children map[int]child // that the batch's history names, by number
	at       int64         // when it ended, in Unix ms

	mu      sync.Mutex
	letters []byte
	counts  message.Counts
	rev     int64
	started int64
	open    bool // a segment's workflow still runs
	// left are messages that segments left, with what is known of them.
	left    map[message.Spot]message.Record
	retries []message.Retry
	lost    map[int]message.Rest
}

// child is a segment's or retry's workflow as the batch's history shows it.
type child struct {
	ended  bool // with a result
	result workflows.SegmentResult
}

// tell takes in an event of the batch's own history.
func (r *ruin) tell(e *historypb.HistoryEvent) {
	r.at = e.GetEventTime().AsTime().UnixMilli()
	if a := e.GetStartChildWorkflowExecutionInitiatedEventAttributes(); a != nil {
		if number, ok := r.number(a.GetWorkflowId()); ok {
			r.children[number] = child{}
		}
	}
	a := e.GetChildWorkflowExecutionCompletedEventAttributes()
	if a == nil {
		return
	}
	if number, ok := r.number(a.GetWorkflowExecution().GetWorkflowId()); ok {
		var c child
		c.ended = r.view.s.o.DataConverter.FromPayloads(a.GetResult(), &c.result) == nil
		r.children[number] = c
	}
}

func (r *ruin) number(workflowID string) (int, bool) {
	var number int
	n, err := fmt.Sscanf(workflowID, r.view.wid+"~%d", &number)
	return number, err == nil && n == 1 && r.view.workflow(number) == workflowID
}

// gather finds out how every segment and every retry ended.
func (r *ruin) gather(ctx context.Context) error {
	m, err := r.view.manifest(ctx)
	if err != nil {
		return err
	}
	r.letters = slices.Repeat([]byte{message.SegmentNever}, len(m.Segments))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(removals)
	for i := range m.Segments {
		group.Go(func() error { return r.segment(gctx, i+1, m.Segments[i]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	last := len(m.Segments)
	for _, number := range slices.Sorted(maps.Keys(r.children)) {
		if number <= len(m.Segments) {
			continue
		}
		if err := r.retry(ctx, number); err != nil {
			return err
		}
		last = number
	}
	return r.finish(ctx, last+1)
}

// segment adds a segment to what is known.
func (r *ruin) segment(ctx context.Context, number int, what message.Segment) error {
	res, there, err := r.end(ctx, number)
	if err != nil {
		return err
	}
	if !there || res.Lost {
		r.never(number, what, res.Lost)
		return nil
	}
	if res.Counts.Open() == 0 && res.Counts.Total() == what.Count {
		r.add(number, res.Counts, res)
		return nil
	}
	l, err := r.view.s.o.Store.Ledger(ctx, r.view.large.Dir, number)
	if err != nil {
		return r.view.s.storeError("batch "+r.view.ref.ID, err)
	}
	var counts message.Counts
	left := map[message.Spot]message.Record{}
	for pos, rec := range l.Records {
		res.Rev = max(res.Rev, rec.Rev)
		if rec.State.Final() {
			counts[rec.State]++
		} else {
			left[message.Spot{Segment: number, Pos: pos}] = own(rec)
		}
	}
	r.add(number, counts, res)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(left) > 0 {
		r.letters[number-1] = message.SegmentLeft
	}
	maps.Copy(r.left, left)
	return nil
}

// never adds a segment that has no ledger.
func (r *ruin) never(number int, what message.Segment, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := message.Canceled
	if lost {
		state = message.Failed
		if r.lost == nil {
			r.lost = map[int]message.Rest{}
		}
		r.lost[number] = message.Rest{State: state, Code: message.CodeStore, Detail: "the store had lost its segment", Finished: r.at}
	}
	r.counts[state] += what.Count - what.Rejected
	r.counts[message.Rejected] += what.Rejected
}

// add counts a segment that has a ledger.
func (r *ruin) add(number int, counts message.Counts, res workflows.SegmentResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letters[number-1] = message.SegmentEnded
	for i := range counts {
		r.counts[i] += counts[i]
	}
	r.noted(res)
}

func (r *ruin) noted(res workflows.SegmentResult) {
	r.rev = max(r.rev, res.Rev)
	if res.Started > 0 && (r.started == 0 || res.Started < r.started) {
		r.started = res.Started
	}
}

// retry adds what a retry made of what segments left.
func (r *ruin) retry(ctx context.Context, number int) error {
	res, there, err := r.end(ctx, number)
	if err != nil || !there || res.Lost {
		return err
	}
	l, err := r.view.s.o.Store.Ledger(ctx, r.view.large.Dir, number)
	if err != nil {
		return r.view.s.storeError("batch "+r.view.ref.ID, err)
	}
	segments := map[int]bool{}
	for i, spot := range l.Spots {
		if _, ok := r.left[spot]; !ok || i >= len(l.Records) {
			continue
		}
		segments[spot.Segment] = true
		if rec := l.Records[i]; rec.State.Final() {
			r.counts[rec.State]++
			delete(r.left, spot)
		} else {
			r.left[spot] = own(rec)
		}
	}
	r.noted(res)
	r.retries = append(r.retries, message.Retry{Number: number, Segments: slices.Sorted(maps.Keys(segments)), Ended: true})
	return nil
}

// maxFinished is how many records stand in a ledger that finish writes.
const maxFinished = message.SegmentMessages

// finish ends what nobody took over, in ledgers of their own from a number on.
func (r *ruin) finish(ctx context.Context, number int) error {
	spots := slices.SortedFunc(maps.Keys(r.left), func(a, b message.Spot) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Pos, b.Pos))
	})
	for some := range slices.Chunk(spots, maxFinished) {
		st := &story{key: r.view.key, at: r.at, rev: r.rev, places: map[int]int{}}
		segments := map[int]bool{}
		for _, spot := range some {
			st.recs = append(st.recs, r.left[spot])
			segments[spot.Segment] = true
		}
		counts := st.cut()
		for i := range counts {
			r.counts[i] += counts[i]
		}
		r.rev = max(r.rev, st.rev)
		l := &message.Ledger{V: message.Version, Spots: some, Records: st.recs}
		if err := r.view.s.o.Store.KeepLedger(ctx, r.view.large.Dir, number, l); err != nil {
			return r.view.s.storeError("batch "+r.view.ref.ID, err)
		}
		r.retries = append(r.retries, message.Retry{Number: number, Segments: slices.Sorted(maps.Keys(segments)), Ended: true})
		number++
	}
	return nil
}

// result is the batch as it was put together.
func (r *ruin) result() message.Result {
	b := &r.in.Batch
	st := &story{batch: *b, sendAt: b.SendAfter, started: r.started, at: r.at, rev: max(r.rev, r.at<<revShift) + 1}
	status := st.status(r.counts)
	status.Total, status.AsOf = r.in.Large.Total, r.view.s.o.Now().UTC()
	return message.Result{V: message.Version, Status: status, Large: &message.Large{
		Dir: r.in.Large.Dir, Segments: string(r.letters), Retries: r.retries, RestOf: r.lost,
		Rest: &message.Rest{State: message.Canceled, Code: codeCanceled, Detail: detailCanceled, Finished: r.at},
	}}
}
