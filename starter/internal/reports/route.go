package reports

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/large"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Batches reads batches whatever their size, and restarts their callbacks.
type Batches interface {
	// Find finds out how a batch stands; a small one has no view.
	Find(ctx context.Context, ref server.Ref) (open bool, view *large.View, err error)
	// Result is how a small batch has ended, with its late reports laid over its rows.
	Result(ctx context.Context, ref server.Ref) (message.Result, error)
	// RestartCallbacks lets callbacks tell what a batch has learned.
	RestartCallbacks(ctx context.Context, ref server.Ref) error
}

// Route brings reports to whoever has their messages: to the workflow that
// runs them, or, once that has ended, into the store. batch is the id of the batch's
// workflow. It is what the activity RouteReports does; of a batch there must be
// one call at a time, which KeepReports sees to. It can be repeated.
//
// Errors: ErrNoStore, ErrUnreachable, ErrNoWorker, and those of the store. After an
// error some of the reports may have been brought.
func Route(ctx context.Context, s *server.Server, batches Batches, batch string, reports []message.Report) (contract.ReportsResult, error) {
	ref, ok := server.ParseWorkflowID(batch)
	if s.Store == nil {
		return contract.ReportsResult{}, fmt.Errorf("batch %s: %w", ref.ID, server.ErrNoStore)
	}
	r := &router{
		s: s, batches: batches, ref: ref, wid: batch, reports: reports,
		outcomes: make([]outcome, len(reports)), at: make([]int, len(reports)), late: make([]*message.LateReport, len(reports)),
	}
	open, view, err := batches.Find(ctx, ref)
	if !ok || errors.Is(err, server.ErrNotFound) {
		return contract.ReportsResult{Unknown: len(reports)}, nil
	}
	if err == nil {
		err = r.route(ctx, open, view)
	}
	if err != nil && !store.Lost(err) {
		return contract.ReportsResult{}, err
	}
	res := r.result()
	if err != nil {
		r.logDropped(res.Dropped, err)
	}
	if res.Kept+res.Repeated > 0 {
		// Also where all are repeated: the call that kept them may have ended here.
		if err := batches.RestartCallbacks(ctx, ref); err != nil && !errors.Is(err, server.ErrNotFound) {
			return contract.ReportsResult{}, err
		}
	}
	return res, nil
}

// outcome is what becomes of a report.
type outcome int

const (
	// dropped is also a report of which nothing is known yet: it stays so where an object
	// is damaged, or has been removed, which will not change.
	dropped outcome = iota
	unknown
	repeated
	kept
	passed
	later
	numOutcomes
)

// router is one call of Route. What it has by the reports' places is written for each
// by whoever deals with its segment.
type router struct {
	s        *server.Server
	batches  Batches
	ref      server.Ref
	wid      string
	reports  []message.Report
	outcomes []outcome
	// at is where the report's message is, in a small batch or in its segment.
	at []int
	// late is what is to be kept.
	late []*message.LateReport
}

// result counts what became of the reports.
func (r *router) result() contract.ReportsResult {
	var n [numOutcomes]int
	var places []int
	for i, o := range r.outcomes {
		n[o]++
		if o == later {
			places = append(places, i)
		}
	}
	return contract.ReportsResult{
		Later: places, Passed: n[passed], Kept: n[kept], Repeated: n[repeated], Unknown: n[unknown], Dropped: n[dropped],
	}
}

// set says what becomes of the reports in some places.
func (r *router) set(places []int, o outcome) {
	for _, i := range places {
		r.outcomes[i] = o
	}
}

// logDropped says why reports are dropped.
func (r *router) logDropped(n int, err error) {
	r.s.Log.Error("delivery reports are dropped: the store has lost what their messages became",
		zap.String("batch_id", r.ref.ID), zap.Int("reports", n), zap.Error(err))
}

// notBrought says what becomes of reports of a segment that could not be brought: they are for
// later, unless the store has lost what it takes.
func (r *router) notBrought(number int, places []int, err error) {
	if store.Lost(err) {
		r.logDropped(len(places), err)
		r.set(places, dropped)
		return
	}
	r.s.Log.Warn("delivery reports have to wait", zap.String("batch_id", r.ref.ID), zap.Int("segment", number), zap.Error(err))
	r.set(places, later)
}

func (r *router) route(ctx context.Context, open bool, view *large.View) error {
	key := message.KeyOf(r.wid)
	var places []int // of reports of the batch's messages
	for i := range r.reports {
		k, index, ok := message.ParseID(r.reports[i].ID)
		if !ok || k != key {
			r.outcomes[i] = unknown
			continue
		}
		places, r.at[i] = append(places, i), index
	}
	switch {
	case view != nil:
		return r.routeLarge(ctx, view, places)
	case open:
		_, err := r.forward(ctx, r.wid, places)
		return err
	}
	return r.routeSmall(ctx, places)
}

// forward gives reports to a workflow. Where it is not there they are for later: it
// has ended by then, or begun. left are those that an error has left.
func (r *router) forward(ctx context.Context, workflowID string, places []int) (left []int, err error) {
	for len(places) > 0 {
		q, size := contract.Reports{V: message.Version}, 0
		for _, i := range places {
			size += r.reports[i].Size()
			if n := len(q.Reports); n == message.MaxReports || n > 0 && size > maxSignal {
				break
			}
			q.Reports = append(q.Reports, r.reports[i])
		}
		sctx, cancel := context.WithTimeout(ctx, r.s.Wait)
		err := r.s.Client.SignalWorkflow(sctx, workflowID, "", contract.SignalReports, q)
		cancel()
		switch {
		case server.IsNotFound(err):
			r.set(places, later)
			return nil, nil
		case err != nil:
			return places, server.Translate(ctx, "batch "+r.ref.ID, err)
		}
		r.set(places[:len(q.Reports)], passed)
		places = places[len(q.Reports):]
	}
	return nil, nil
}

// routeSmall keeps reports of a small batch that has ended.
func (r *router) routeSmall(ctx context.Context, places []int) error {
	end, err := r.batches.Result(ctx, r.ref)
	if err != nil {
		return err
	}
	in, err := r.s.Input(ctx, r.ref) // knows the ways
	if err != nil {
		return err
	}
	rows := end.Rows[:min(len(end.Rows), len(in.Batch.Messages))]
	r.classify(0, places, rows, func(i int) []message.Hop { return in.Batch.HopsOf(&in.Batch.Messages[i]) })
	return r.keepLate(ctx, r.s.ReportsDir(r.ref, end), end.Status.Rev+1)
}

// classify decides what reports make of messages that no workflow has.
func (r *router) classify(segment int, places []int, rows []message.Row, wayOf func(i int) []message.Hop) {
	changed := map[int]bool{}
	for _, i := range places {
		if r.at[i] >= len(rows) {
			r.outcomes[i] = unknown
			continue
		}
		row, way := &rows[r.at[i]], wayOf(r.at[i])
		rec := recordOf(row, way)
		late, what := message.LateReportOf(&r.reports[i], row.Index, &rec, way, r.s.Now().UnixMilli())
		switch {
		case what == message.EffectForeign && !changed[row.Index]:
			r.outcomes[i] = unknown
		case what != message.EffectEnd || changed[row.Index]:
			r.outcomes[i] = repeated
		default:
			late.Segment = segment
			r.late[i], changed[row.Index] = &late, true
		}
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

// keepLate writes what is to be kept. What cannot be added to is for later, or dropped
// where it is damaged.
func (r *router) keepLate(ctx context.Context, dir string, rev int64) error {
	var all message.LateReports
	segments := map[int][]int{}
	for i, late := range r.late {
		if late != nil {
			all, segments[late.Segment] = append(all, *late), append(segments[late.Segment], i)
		}
	}
	_, failed, err := r.s.Store.KeepLate(ctx, dir, all, store.KeepOptions{Rev: rev, Namespace: r.s.Namespace, Cluster: r.s.Cluster(ctx)})
	if err != nil {
		return server.StoreError("batch "+r.ref.ID, err)
	}
	for number, places := range segments {
		r.set(places, kept)
		if err := failed[number]; err != nil {
			r.notBrought(number, places, err)
		}
	}
	return nil
}

// maxSegments is how many segments are dealt with at once.
const maxSegments = 64

// routeLarge gives reports of a large batch to the workflows of running segments, and
// keeps those of others. What keeps it from dealing with one segment keeps it from no
// other.
func (r *router) routeLarge(ctx context.Context, v *large.View, places []int) error {
	indexes := make([]int, len(places))
	for k, i := range places {
		indexes[k] = r.at[i]
	}
	spots, err := r.s.Store.Locate(ctx, v.Large.Dir, indexes)
	if err != nil {
		return server.StoreError("batch "+r.ref.ID, err)
	}
	segments := map[int][]int{}
	for k, i := range places {
		number := spots[k].Segment
		segments[number], r.at[i] = append(segments[number], i), spots[k].Pos
	}
	r.set(segments[0], unknown) // the batch has no such messages
	delete(segments, 0)
	var group errgroup.Group
	group.SetLimit(maxSegments)
	for number, some := range segments {
		group.Go(func() error {
			if left, err := r.routeSegment(ctx, v, number, some); err != nil {
				r.notBrought(number, left, err)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	// Where the store is away this fails, so that all is tried again at once.
	return r.keepLate(ctx, v.Large.Dir, max(v.Status.Rev+1, r.s.Now().UnixMilli()<<large.RevShift))
}

// routeSegment deals with the reports of one segment; left are those that an error has
// left.
func (r *router) routeSegment(ctx context.Context, v *large.View, number int, some []int) (left []int, err error) {
	switch v.State(number) {
	case message.SegmentRunning, message.SegmentRetrying:
		return r.forward(ctx, v.Workflow(number), some)
	case message.SegmentWaiting:
		r.set(some, unknown) // nothing of it was sent
		return nil, nil
	}
	rows, err := v.Rows(ctx, number, large.Filter{})
	if err != nil {
		return some, err
	}
	r.classify(number, some, rows.List, rows.Hops)
	return nil, nil
}
