package large

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/closeout"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

const (
	// firstWait is how long a status waits for segments where this process has heard of
	// none of them freshFor, else laterWait. Whoever answers later is counted next time.
	firstWait = 5 * time.Second
	laterWait = 15 * time.Millisecond
	// freshFor is how long what a segment said is news.
	freshFor = 2 * time.Second
	// queryTimeout is how long a segment may take at all.
	queryTimeout = 10 * time.Second
)

// LiveStatus is the status of a large batch with the counts that its running segments
// have at this moment, or had when they last answered; AsOf is the oldest of these
// times. Every one's counts add up to its messages, so that any mix of moments adds
// up to the total. None goes back as long as a segment answers within firstWait or this
// process has heard of it before; else it counts as it last told the batch.
func (v *View) LiveStatus(ctx context.Context) message.Status {
	if v.Open {
		v.askRunning(ctx)
	}
	err := v.count(ctx)
	if err != nil && v.s.Store != nil && (v.Open || !store.Lost(err)) {
		v.s.Log.Warn("messages of a batch cannot be counted anew", zap.String("batch_id", v.Ref.ID), zap.Error(err))
	}
	if v.Open {
		v.forecast(ctx)
		v.Status.Fault = v.Fault
		var sealed *store.SealedError
		switch {
		case v.s.Store == nil:
		case errors.Is(err, store.ErrAway):
			v.Status.Fault, v.Status.EstimatedEnd = cmp.Or(v.Fault, store.ErrAway.Error()), nil
		case errors.As(err, &sealed):
			v.Status.Fault, v.Status.EstimatedEnd = cmp.Or(v.Fault, sealed.Error()), nil
		}
	}
	return v.withReports(ctx)
}

// askRunning asks the segments that run, those with first attempts to make first, and
// waits for them for a while.
func (v *View) askRunning(ctx context.Context) {
	wait, asking := firstWait, context.WithoutCancel(ctx)
	var answers []<-chan singleflight.Result
	for _, state := range []byte{message.SegmentRunning, message.SegmentRetrying} {
		for i := range v.Large.Segments {
			if v.Large.Segments[i] != state {
				continue
			}
			if h, ok := v.s.segments.statuses.Get(v.Workflow(i + 1)); ok && v.s.Now().Sub(h.at) <= freshFor {
				wait = laterWait
			}
			wid, segment := v.Workflow(i+1), v.segmentOf(i+1)
			answers = append(answers, v.s.segments.refresh(wid, func() (segmentStatus, bool) {
				return v.s.querySegment(asking, wid, segment)
			}))
		}
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for _, answer := range answers {
		select {
		case <-answer:
		case <-waiting.Done():
			return
		}
	}
}

// querySegment asks a workflow for its counts, or reads those that it ended with. It may
// outlive the view that asks.
func (s *Reader) querySegment(ctx context.Context, wid string, segment closeout.Segment) (segmentStatus, bool) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	if s.queries.Acquire(ctx, 1) != nil {
		return segmentStatus{}, false
	}
	defer s.queries.Release(1)
	at := s.Now()
	var st message.Status
	closed, err := s.Query(ctx, wid, &st, contract.QueryStatus)
	if server.IsLoading(err) || server.IsNotFound(err) { // it is to begin in a moment
		return segmentStatus{message.Status{}, at}, true
	}
	if closed {
		end, err := s.closed.End(ctx, segment)
		if res := end.Result; err == nil && res.Counts.Total() > 0 { // else it was not read
			st = message.Status{Counts: &res.Counts, Reasons: res.Reasons, Rev: res.Rev, StartedAt: message.At(res.Started)}
		}
	}
	return segmentStatus{st, at}, st.Counts != nil
}

// heard is how a running segment last stood, by itself or by what it told the batch. It
// has no counts while nobody has heard that anything of it has begun.
func (v *View) heard(number int) segmentStatus {
	h, ok := v.s.segments.statuses.Get(v.Workflow(number))
	ok = ok && !h.at.Before(v.Status.CreatedAt) // else it is of an earlier batch of this id
	told := v.Counts[number]
	switch rev, spoke := v.Revs[number]; {
	case ok && h.Rev >= rev: // else the batch has heard later ones, as it does by a control
		return h
	case spoke:
		return segmentStatus{message.Status{Counts: &told, Reasons: v.Overview.Reasons[number], Rev: rev}, time.UnixMilli(rev >> RevShift)}
	}
	return segmentStatus{at: time.UnixMilli(v.Status.Rev >> RevShift)} // of the batch's own last change
}

// count adds up the batch's messages segment by segment, each as who knows it best tells
// it. What cannot be read counts as the batch's own workflow has it.
func (v *View) count(ctx context.Context) error {
	st, sum, reasons := v.Status, v.Large.Ended, slices.Clone(v.Large.Reasons)
	var unrun []int
	for i := range v.Large.Segments {
		if !v.runs(i + 1) {
			continue
		}
		h := v.heard(i + 1)
		if h.at.Before(st.AsOf) {
			st.AsOf = h.at.UTC()
		}
		if h.Counts == nil {
			unrun = append(unrun, i+1)
			continue
		}
		sum.Add(*h.Counts)
		reasons.Add(h.Reasons)
		st.Rev, st.Held = max(st.Rev, h.Rev), cmp.Or(st.Held, h.Held)
		st.StartedAt, st.NextDueAt = earlier(st.StartedAt, h.StartedAt), earlier(st.NextDueAt, h.NextDueAt)
		st.Add(h.Remaining, v.now)
	}
	if st.StartedAt != nil && st.State == message.BatchScheduled {
		st.State = message.BatchRunning
	}
	rev, err := v.addUnrun(ctx, &sum, &reasons, unrun)
	if n := sum.Total(); n == st.Total {
		st.Counts, st.Reasons, st.Rev = &sum, reasons.Of(sum), max(st.Rev, rev)
	} else {
		err = errors.Join(err, fmt.Errorf("the segments of batch %s have %d of its %d messages", v.Ref.ID, n, st.Total))
	}
	v.Status = st
	return err
}

// earlier is the first of two times; nil is none.
func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

// forecast tells when the batch will end, as far as the store says what is in it.
func (v *View) forecast(ctx context.Context) {
	rate, last := v.s.rates[v.Status.Account], v.Large.Due
	if m, err := v.Manifest(ctx); err == nil {
		rate = m.Batch.RateLimit(v.s.rates)
		for i := range m.Segments {
			g := &m.Segments[i]
			if v.Large.Due == 0 {
				last = max(last, g.Last)
			}
			if state := v.State(i + 1); state != message.SegmentEnded && state != message.SegmentNever {
				v.Status.ExpireBy = message.Later(v.Status.ExpireBy, message.At(g.Expires))
			}
		}
	}
	if v.Large.Due != 0 {
		v.Status.ExpireBy = nil // they have moved, each with its own validity
	}
	v.Status.Forecast(rate, last)
}
