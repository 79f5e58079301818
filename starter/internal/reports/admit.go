package reports

import (
	"context"
	"fmt"
	"sync"
	"time"

	"volley/starter/internal/server"
	"volley/workflows/contract"
)

const (
	// lookEvery is how often it is looked at how much room a workflow has.
	lookEvery = time.Second
	// maxRoom is how many bytes of reports go to a batch between two looks.
	maxRoom = 2 << 20
)

// destination is the batch that reports go to.
type destination struct {
	ref server.Ref
	wid string
	// trace names the span that the batch is a part of; empty is none.
	trace string

	mu sync.Mutex
	// late means that KeepReports takes the reports: the batch is a large one, or has ended.
	late bool
	// looked is when the workflow that takes the reports was last looked at, and room how
	// many bytes of reports may go there until the next look.
	looked time.Time
	room   int
}

// newDestination is a batch that was found just now. What takes its reports is not
// looked at before it had one signal.
func newDestination(ref server.Ref, late bool, trace string) *destination {
	return &destination{ref: ref, wid: server.WorkflowID(ref), late: late, trace: trace, room: maxSignal}
}

// admit makes sure that the workflow that takes a destination's reports has room for
// some more, of so many bytes, and tells whether that is KeepReports. It looks at the
// workflow at most once a second, and not before a first signal's worth of reports went
// there, and lets a bounded number of bytes go there in between: a workflow that reached
// a limit of the server would end with all reports that are in it.
func (s *Intake) admit(ctx context.Context, h *destination, size int) (late bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := s.Now(); now.Sub(h.looked) >= lookEvery && (!h.looked.IsZero() || h.room < size) {
		if err := s.look(ctx, h); err != nil {
			return false, err
		}
		h.looked = now
	}
	if h.room < size {
		return false, fmt.Errorf("%s has too many reports to do: %w", h.receiver(), server.ErrReportAgain)
	}
	h.room -= size
	return h.late, nil
}

// receiver is the workflow that takes the reports.
func (h *destination) receiver() string {
	if h.late {
		return contract.ReportsID(h.wid)
	}
	return h.wid
}

// markLate notes that the batch has ended. What takes its reports now is yet to be
// looked at.
func (h *destination) markLate() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late, h.looked, h.room = true, time.Time{}, 0
}

// look finds out how much room a workflow has, and whether the batch has ended, or is
// another one now, which is large.
func (s *Intake) look(ctx context.Context, h *destination) error {
	res, err := s.Client.DescribeWorkflowExecution(ctx, h.receiver(), "")
	if err != nil && !server.IsNotFound(err) {
		return err
	}
	info := res.GetWorkflowExecutionInfo()
	d := s.DescriptionOf(info) // not open where it is not there: KeepReports begins with its first signal
	full := d.Full
	if h.late {
		full = info.GetHistoryLength() >= contract.MaxReportEvents || info.GetHistorySizeBytes() >= contract.MaxReportBytes
	} else if d.Memo.Dir != "" || !d.Open {
		h.late = true
		return s.look(ctx, h)
	}
	h.room = maxRoom
	if d.Open && full {
		h.room = 0
	}
	return nil
}
