package large

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// ControlSegments brings controls to the workflows of segments, side by side. Those that
// do not answer in less than half of the time that callers wait are for later.
func (s *Reader) ControlSegments(ctx context.Context, in contract.ControlSegmentsInput) contract.ControlSegmentsResult {
	ctx, cancel := context.WithTimeout(ctx, s.Wait*2/5)
	defer cancel()
	res := contract.ControlSegmentsResult{V: message.Version, Counts: map[int]message.Counts{}, Revs: map[int]int64{}}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(mostRead)
	for _, number := range in.Segments {
		group.Go(func() error {
			one, closed, err := s.controlSegment(ctx, in, number)
			if err == nil && !closed && len(in.Segments) <= maxCounted {
				_, _ = s.Query(ctx, server.SegmentID(in.Batch, number), &one.status, contract.QueryStatus) // else it is not counted anew
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case closed:
				return nil
			case err != nil:
				res.Later = append(res.Later, number)
				return nil
			}
			res.Answered = append(res.Answered, number)
			if st := one.status; st.Counts != nil {
				res.Counts[number], res.Revs[number] = *st.Counts, st.Rev
			}
			inFlight := one.paused.InFlight
			res.InFlight = append(res.InFlight, inFlight[:min(len(inFlight), maxNamed-len(res.InFlight))]...)
			res.Rescheduled += one.moved.Rescheduled
			res.Canceled = res.Canceled.Plus(one.canceled.Counts)
			return nil
		})
	}
	_ = group.Wait() // none fails
	return res
}

// maxCounted is of how many segments the counts stand in the batch's history after a
// control.
const maxCounted = 32

// maxNamed is how many messages an answer names at most that a pause found under way.
const maxNamed = 1000

// answers are what a segment answered to controls.
type answers struct {
	canceled message.CancelResult
	moved    message.RescheduleResult
	paused   message.PauseResult
	resumed  message.ResumeResult
	status   message.Status
}

// controlSegment brings controls to one segment; closed means that it has ended.
func (s *Reader) controlSegment(ctx context.Context, in contract.ControlSegmentsInput, number int) (res answers, closed bool, err error) {
	ask := func(name string, out any, args ...any) {
		if !closed && err == nil {
			closed, err = s.Update(ctx, server.SegmentID(in.Batch, number), contract.RoundID(name, in.Round), name, out, args...)
		}
	}
	if in.Cancel != nil {
		ask(contract.ControlCancel, &res.canceled, *in.Cancel)
		return res, closed, err
	}
	if in.SendAfter != "" {
		ask(contract.ControlReschedule, &res.moved, message.RescheduleRequest{SendAfter: in.SendAfter})
	}
	switch {
	case in.Pause:
		ask(contract.ControlPause, &res.paused)
	case in.Resume:
		ask(contract.ControlResume, &res.resumed)
	}
	return res, closed, err
}
