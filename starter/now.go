package starter

import (
	"context"
	"time"

	"volley/internal/message"
	"volley/workflows"
)

const (
	// maxAsked is how many running segments a status asks, all at once.
	maxAsked = 32
	// askFirst is how long a status waits for segments where this process has heard of
	// none of them lately, else askWait. Whoever answers later is counted next time.
	askFirst = 700 * time.Millisecond
	askWait  = 50 * time.Millisecond
	// lately is how long what a segment said is news.
	lately = 2 * time.Second
	// askLimit is how long a segment may take at all.
	askLimit = 10 * time.Second
)

// now is the status of a large batch with the counts that its running segments
// have at this moment, or had when they last answered; AsOf is the oldest of these
// times. Every one's counts add up to its messages, so that any mix of moments adds
// up to the total, and none goes back.
func (v *view) now(ctx context.Context) message.Status {
	if !v.open {
		return v.withReports(ctx)
	}
	numbers := v.running()
	asOf := v.s.o.Now()
	wait := askFirst
	asked := make([]<-chan struct{}, len(numbers))
	for i, number := range numbers {
		if h, ok := v.s.heard.of(v.workflow(number)); ok && asOf.Sub(h.at) <= lately {
			wait = askWait
		}
		asked[i] = v.s.heard.ask(v.workflow(number), func() (heardStatus, bool) { return v.count(context.WithoutCancel(ctx), number) })
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for _, done := range asked {
		select {
		case <-done:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		break
	}
	for _, number := range numbers {
		h, ok := v.s.heard.of(v.workflow(number))
		switch rev := v.revs[number]; {
		case ok && h.Rev < rev: // the batch has heard later ones, as it does by a control
			h.at = time.UnixMilli(rev >> revShift)
		case !ok || h.at.Before(v.status.CreatedAt): // the latter is of an earlier batch of this id
			h.at = time.UnixMilli(v.status.Rev >> revShift) // of the batch's own last change
		default:
			v.replace(number, h.Status)
		}
		if h.at.Before(asOf) {
			asOf = h.at
		}
	}
	v.status.AsOf = asOf.UTC()
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
func (v *view) count(ctx context.Context, number int) (heardStatus, bool) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	at := v.s.o.Now()
	var st message.Status
	closed, err := v.s.query(ctx, v.workflow(number), &st, workflows.QueryStatus)
	if err != nil {
		return heardStatus{}, false
	}
	if closed {
		var res workflows.SegmentResult
		if v.s.c.GetWorkflow(ctx, v.workflow(number), "").Get(ctx, &res) != nil || res.Lost {
			return heardStatus{}, false
		}
		st = message.Status{Counts: &res.Counts, Rev: res.Rev, StartedAt: message.At(res.Started)}
		if res.Left > 0 {
			st.NextDueAt = message.At(res.Next)
		}
	}
	return heardStatus{st, at}, st.Counts != nil
}

// replace puts a workflow's own counts in the place of those that the batch had of
// it, unless these have fewer open messages, and so are later.
func (v *view) replace(number int, st message.Status) {
	before, ok := v.counts[number]
	if !ok || v.status.Counts == nil || before.Total() != st.Counts.Total() || before.Open() < st.Counts.Open() {
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
