package starter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// RouteReports brings reports to whoever has their messages: to the workflow that
// runs them, or, once that has ended, into the store. batch is the id of the batch's
// workflow. It is what the activity of the same name does; of a batch there must be
// one call at a time, which KeepReports sees to. It can be repeated.
//
// Errors: ErrNoStore, ErrUnreachable, ErrNoWorker, and those of the store. After an
// error some of the reports may have been brought.
func (s *Starter) RouteReports(ctx context.Context, batch string, reports []message.Report) (activities.ReportsResult, error) {
	none := activities.ReportsResult{Unknown: len(reports)}
	ref, ok := parseWorkflowID(batch)
	if !ok {
		return none, nil
	}
	if s.o.Store == nil {
		return activities.ReportsResult{}, fmt.Errorf("batch %s: %w", ref.ID, ErrNoStore)
	}
	d, err := s.recall(ctx, ref)
	if errors.Is(err, ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return activities.ReportsResult{}, err
	}
	r := &route{s: s, ref: ref, wid: batch, reports: reports}
	switch {
	case d.memo.Dir != "":
		err = r.large(ctx)
	case d.open:
		err = r.pass(ctx, batch, r.ours())
	default:
		err = r.small(ctx)
	}
	if err != nil {
		return activities.ReportsResult{}, err
	}
	if r.out.Kept+r.out.Repeated > 0 {
		// Also where all are repeated: the call that kept them may have ended here.
		if err := s.Renotify(ctx, ref); err != nil && !errors.Is(err, ErrNotFound) {
			return activities.ReportsResult{}, err
		}
	}
	slices.Sort(r.out.Later)
	return r.out, nil
}

// route is one call of RouteReports.
type route struct {
	s       *Starter
	ref     Ref
	wid     string
	reports []message.Report
	out     activities.ReportsResult
	late    message.Lates
	known   map[int]bool // messages in late, by index
}

// ours are the places in the list of reports of the batch's messages. The others
// are counted as unknown.
func (r *route) ours() []int {
	key := message.KeyOf(r.wid)
	var some []int
	for i := range r.reports {
		if k, _, ok := message.ParseID(r.reports[i].ID); ok && k == key {
			some = append(some, i)
		} else {
			r.out.Unknown++
		}
	}
	return some
}

// pass gives reports to a workflow. Where it is not there they are for later: it
// has ended by then, or begun.
func (r *route) pass(ctx context.Context, workflowID string, some []int) error {
	if len(some) == 0 {
		return nil
	}
	q := workflows.Reports{V: message.Version}
	for _, i := range some {
		q.Reports = append(q.Reports, r.reports[i])
	}
	sctx, cancel := context.WithTimeout(ctx, r.s.o.Wait)
	defer cancel()
	err := r.s.c.SignalWorkflow(sctx, workflowID, "", workflows.SignalReports, q)
	switch {
	case err == nil:
		r.out.Passed += len(some)
	case gone(err):
		r.out.Later = append(r.out.Later, some...)
	default:
		return r.s.translate(ctx, "batch "+r.ref.ID, err)
	}
	return nil
}

// small keeps reports of a small batch that has ended.
func (r *route) small(ctx context.Context) error {
	end, err := r.s.end(ctx, r.ref, true)
	if err != nil {
		return err
	}
	in, err := r.s.input(ctx, r.ref) // knows the ways
	if err != nil {
		return err
	}
	for _, i := range r.ours() {
		_, index, _ := message.ParseID(r.reports[i].ID)
		if index >= len(end.Rows) || index >= len(in.Batch.Messages) {
			r.out.Unknown++
			continue
		}
		r.hear(i, 0, &end.Rows[index], in.Batch.Way(index))
	}
	return r.keep(ctx, reportsDir(r.ref, end), end.Status.Rev+1)
}

// hear decides what a report makes of a message that has ended.
func (r *route) hear(i, segment int, row *message.Row, way []message.Hop) {
	if r.known[row.Index] {
		r.out.Repeated++
		return
	}
	rec := recordOf(row, way)
	late, what := message.LateOf(&r.reports[i], row.Index, &rec, way, r.s.o.Now().UnixMilli())
	switch what {
	case message.HeardEnd:
		late.Segment = segment
		r.late = append(r.late, late)
		if r.known == nil {
			r.known = map[int]bool{}
		}
		r.known[row.Index] = true
		r.out.Kept++
	case message.HeardForeign:
		r.out.Unknown++
	default:
		r.out.Repeated++
	}
}

// recordOf is what a row says of a message that has ended.
func recordOf(row *message.Row, way []message.Hop) message.Record {
	rec := message.Record{State: row.State, Attempts: row.Attempts, ProviderID: row.ProviderID}
	for h, hop := range way {
		if hop.Account == row.Account && (len(hop.Channels) == 0 || hop.Channels[0] == row.Channel) {
			rec.Hop = h
		}
	}
	return rec
}

// keep writes what is to be kept.
func (r *route) keep(ctx context.Context, dir string, rev int64) error {
	if _, err := r.s.o.Store.KeepLate(ctx, dir, r.late, rev); err != nil {
		return r.s.storeError("batch "+r.ref.ID, err)
	}
	return nil
}

// large gives reports of a large batch to the workflows of running segments, and
// keeps those of others.
func (r *route) large(ctx context.Context) error {
	l, err := r.s.locate(ctx, r.ref)
	if err != nil {
		return err
	}
	v := l.view
	places := r.ours()
	indexes := make([]int, len(places))
	for k, i := range places {
		_, indexes[k], _ = message.ParseID(r.reports[i].ID)
	}
	if _, err := v.manifest(ctx); err != nil {
		return err
	}
	spots, err := r.s.o.Store.Locate(ctx, v.large.Dir, indexes)
	if err != nil {
		return r.s.storeError("batch "+r.ref.ID, err)
	}
	segments := map[int][]int{} // places by segment
	at := map[int]message.Spot{}
	for k, i := range places {
		if spots[k].Segment == 0 {
			r.out.Unknown++
			continue
		}
		segments[spots[k].Segment] = append(segments[spots[k].Segment], i)
		at[i] = spots[k]
	}
	for _, number := range slices.Sorted(maps.Keys(segments)) {
		if err := r.segment(ctx, v, number, segments[number], at); err != nil {
			return err
		}
	}
	rev := max(v.status.Rev+1, r.s.o.Now().UnixMilli()<<revShift)
	return r.keep(ctx, v.large.Dir, rev)
}

// segment deals with the reports of one segment.
func (r *route) segment(ctx context.Context, v *view, number int, some []int, at map[int]message.Spot) error {
	switch v.letter(number) {
	case message.SegmentRunning, message.SegmentRetrying:
		return r.pass(ctx, v.workflow(number), some)
	case message.SegmentWaiting:
		r.out.Unknown += len(some) // nothing of it was sent
		return nil
	}
	rows, err := v.rowsOf(ctx, number, filter{})
	if err != nil {
		return err
	}
	retries := map[int][]int{}
	for _, i := range some {
		pos := at[i].Pos
		switch {
		case pos >= len(rows.list):
			r.out.Unknown++
		case rows.asked[pos] != 0:
			retries[rows.asked[pos]] = append(retries[rows.asked[pos]], i)
		case !rows.list[pos].State.Final():
			r.out.Later = append(r.out.Later, i) // a retry will take it over
		default:
			r.hear(i, number, &rows.list[pos], rows.batch.Way(pos))
		}
	}
	for _, retry := range slices.Sorted(maps.Keys(retries)) {
		if err := r.pass(ctx, v.workflow(retry), retries[retry]); err != nil {
			return err
		}
	}
	return nil
}
