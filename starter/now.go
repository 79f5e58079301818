package starter

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/workflows"
)

const (
	// maxAsked is how many running segments a status asks, all at once, and askWait
	// how long they may take: a busy one is counted by its last report.
	maxAsked = 32
	askWait  = 50 * time.Millisecond
)

// now is the status of a large batch with the counts that its running segments
// have at this moment. Every one's counts add up to its messages, so that any mix
// of moments adds up to the total.
func (v *view) now(ctx context.Context) message.Status {
	if !v.open {
		return v.withReports(ctx)
	}
	var group errgroup.Group
	var mu sync.Mutex
	sctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	for _, number := range v.running() {
		group.Go(func() error {
			if st, ok := v.count(sctx, number); ok {
				mu.Lock()
				defer mu.Unlock()
				v.replace(number, st)
			}
			return nil
		})
	}
	_ = group.Wait() // whoever did not answer is counted as before
	v.forecast(ctx)
	return v.withReports(ctx)
}

// running are the workflows to ask: those with first attempts to make first.
func (v *view) running() []int {
	var first, others []int
	for i := range len(v.large.Segments) {
		switch v.large.Segments[i] {
		case message.SegmentRunning:
			first = append(first, i+1)
		case message.SegmentRetrying:
			others = append(others, i+1)
		}
	}
	for _, r := range v.large.Retries {
		if !r.Ended {
			others = append(others, r.Number)
		}
	}
	all := append(first, others...)
	return all[:min(len(all), maxAsked)]
}

// count asks a workflow for its counts, or reads those that it ended with.
func (v *view) count(ctx context.Context, number int) (message.Status, bool) {
	var st message.Status
	closed, err := v.s.query(ctx, v.workflow(number), &st, workflows.QueryStatus)
	if err != nil {
		return st, false
	}
	if closed {
		var res workflows.SegmentResult
		if v.s.c.GetWorkflow(ctx, v.workflow(number), "").Get(ctx, &res) != nil || res.Lost {
			return st, false
		}
		st = message.Status{Counts: &res.Counts, Rev: res.Rev, StartedAt: message.At(res.Started)}
		if res.Left > 0 {
			st.NextDueAt = message.At(res.Next)
		}
	}
	return st, st.Counts != nil
}

// replace puts a workflow's own counts in the place of those that the batch had of
// it.
func (v *view) replace(number int, st message.Status) {
	before, ok := v.counts[number]
	if !ok || v.status.Counts == nil || before.Total() != st.Counts.Total() {
		return
	}
	sum := *v.status.Counts
	for i := range sum {
		sum[i] += st.Counts[i] - before[i]
	}
	v.status.Counts = &sum
	v.status.Rev = max(v.status.Rev, st.Rev)
	v.status.StartedAt = earlier(v.status.StartedAt, st.StartedAt)
	v.status.NextDueAt = earlier(v.status.NextDueAt, st.NextDueAt)
	if v.status.StartedAt != nil && v.status.State == message.BatchScheduled {
		v.status.State = message.BatchRunning
	}
}

// earlier is the first of two times; nil is none.
func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

// forecast tells when the batch will end, as far as the store says what is in it.
func (v *view) forecast(ctx context.Context) {
	if v.s.o.Store == nil {
		v.status.Forecast(v.s.o.Rates[v.status.Account], v.large.Due)
		return
	}
	m, err := v.s.o.Store.Manifest(ctx, v.large.Dir)
	if err != nil {
		v.status.Forecast(v.s.o.Rates[v.status.Account], v.large.Due)
		return
	}
	last := v.large.Due
	for i := range m.Segments {
		if v.large.Due == 0 {
			last = max(last, m.Segments[i].Last)
		}
	}
	v.status.Forecast(v.s.limit(&m.Batch), last)
}

// limit is how many messages a second the first accounts of a batch's ways may send
// together; 0
// is no limit.
func (s *Starter) limit(b *message.Batch) float64 {
	sum := 0.0
	counted := map[string]bool{}
	for _, way := range b.Hops {
		if len(way) == 0 || counted[way[0].Account] {
			continue
		}
		rate := s.o.Rates[way[0].Account]
		if rate <= 0 {
			return 0
		}
		counted[way[0].Account] = true
		sum += rate
	}
	return sum
}
