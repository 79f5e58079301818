package intake

import (
	"encoding/json"
	"time"

	"volley/internal/message"
)

// Estimates are what the estimate of a batch follows from, beside its messages.
type Estimates struct {
	// Rates are messages a second by account; one that is not there has no limit.
	Rates map[string]float64
	// Price is dollars per million Temporal Cloud actions.
	Price float64
	// InlineMessages and InlineBytes bound a batch that runs without the store.
	InlineMessages, InlineBytes int
	// GroupAbove is as message.Batch.DispatchFor takes it.
	GroupAbove int
}

// Estimator makes the estimate of a request that is not started.
type Estimator struct {
	estimator *message.Estimator
	o         Estimates
}

// NewEstimator returns an Estimator for a batch that would begin at now.
func NewEstimator(o Estimates, now time.Time) *Estimator {
	return &Estimator{message.NewEstimator(o.Rates, o.Price, now), o}
}

// Add takes in a message of b unless it is rejected; it need not be in b.
func (f *Estimator) Add(b *message.Batch, m *message.Message) {
	if len(m.Problems) > 0 {
		return
	}
	account := ""
	if way := b.HopsOf(m); len(way) > 0 {
		account = way[0].Account
	}
	f.estimator.Add(account, b.DueAt(m), b.DueAt(m)+b.Validity(m))
}

// Estimate estimates a batch of total messages with about size bytes; large says
// that it does not fit into one workflow.
func (f *Estimator) Estimate(b *message.Batch, total int, size int64, large bool) *message.Estimate {
	large = large || total > f.o.InlineMessages
	dispatch := b.DispatchFor(total, large, f.o.GroupAbove)
	segments := 0
	if large || dispatch == message.DispatchGroup {
		segments = max(1, ceil(int64(total), message.SegmentMessages), ceil(size, message.SegmentBytes))
	}
	e := f.estimator.Estimate(segments, dispatch)
	return &e
}

// Whole estimates a request that is in memory; nil where there is nothing to start.
func (f *Estimator) Whole(d *Buffered) *message.Estimate {
	if d.Valid() == 0 {
		return nil
	}
	for i := range d.Batch.Messages {
		f.Add(d.Batch, &d.Batch.Messages[i])
	}
	size := 0
	if raw, err := json.Marshal(d.Batch); err == nil {
		size = len(raw)
	}
	return f.Estimate(d.Batch, d.Total(), int64(size), size > f.o.InlineBytes)
}

func ceil(n, size int64) int { return int((n + size - 1) / size) }
