package flow

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// Progress is where a batch stands apart from its messages. Times are Unix ms, 0 is
// not yet.
type Progress struct {
	Started  int64
	Finished int64
	SendAt   int64 // the due time after a reschedule
	Paused   bool
	Canceled bool // all of the batch
	Reason   string
	// Resumed is when messages could last leave again after a pause or a hold.
	Resumed int64
}

// State is the batch's state.
func (p *Progress) State() message.BatchState {
	switch {
	case p.Finished > 0 && p.Canceled:
		return message.BatchCanceled
	case p.Finished > 0:
		return message.BatchCompleted
	case p.Canceled:
		return message.BatchCanceling
	case p.Paused:
		return message.BatchPaused
	case p.Started > 0:
		return message.BatchRunning
	default:
		return message.BatchScheduled
	}
}

// Status is what a batch with these counts answers to the query status at a time.
func (p *Progress) Status(b *message.Batch, counts message.Counts, reasons message.Reasons, now time.Time, rev int64) message.Status {
	s := b.Status(p.State(), workflow.DeterministicKeys(b.Policies), counts, reasons, now, rev)
	s.StartedAt, s.FinishedAt = message.At(p.Started), message.At(p.Finished)
	if p.SendAt > 0 {
		s.SendAfter = message.At(p.SendAt)
	}
	return s
}

// RecentSince is since when it is counted what a run that began at a time did, for its
// rate. Times are Unix ms.
func (p *Progress) RecentSince(began, now int64) int64 {
	return max(began, p.Started, p.Resumed, now-message.RecentSpan.Milliseconds())
}
