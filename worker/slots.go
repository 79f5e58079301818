package worker

import (
	"context"
	"sync"

	sdk "go.temporal.io/sdk/worker"
)

// slots are those of one queue of an account with a rate. The worker polls for a task,
// a group or a single message, only while few of those that it has have something to
// start; one that only waits for answers keeps nobody from the next. So what cannot
// leave yet stays with the server, which knows what comes first, and goes to the
// worker that has time.
type slots struct {
	// starting is how many tasks may have something to start, polls among them, most
	// how many tasks there may be at all.
	starting, most int

	mu sync.Mutex
	// polls, taken and begun are the slots that wait for a task, those that have one,
	// and the tasks that have something to start; fresh are those taken that have yet
	// to begin.
	polls, taken, begun, fresh int
	// changed is closed and made anew when there may be a slot.
	changed chan struct{}
}

var _ sdk.SlotSupplier = (*slots)(nil)

func newSlots(starting, most int) *slots {
	return &slots{starting: starting, most: most, changed: make(chan struct{})}
}

// slotted gives a worker such slots, as many as it would have had, and returns what
// hears how many tasks have something to start.
func slotted(o *sdk.Options, starting int) (begin func(n int)) {
	s := newSlots(min(starting, o.MaxConcurrentActivityExecutionSize), o.MaxConcurrentActivityExecutionSize)
	o.Tuner, o.MaxConcurrentActivityExecutionSize = s.tuner(), 0
	return s.begin
}

// tuner is all slots of a worker that runs nothing but activities.
func (s *slots) tuner() sdk.WorkerTuner { return tuner{s} }

type tuner struct{ *slots }

func (t tuner) GetWorkflowTaskSlotSupplier() sdk.SlotSupplier    { return t.slots }
func (t tuner) GetActivityTaskSlotSupplier() sdk.SlotSupplier    { return t.slots }
func (t tuner) GetLocalActivitySlotSupplier() sdk.SlotSupplier   { return t.slots }
func (t tuner) GetNexusSlotSupplier() sdk.SlotSupplier           { return t.slots }
func (t tuner) GetSessionActivitySlotSupplier() sdk.SlotSupplier { return t.slots }

// begin notes how many tasks have something to start.
func (s *slots) begin(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh = max(0, s.fresh-max(0, n-s.begun))
	if n < s.begun {
		defer s.wake()
	}
	s.begun = n
}

func (s *slots) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// ReserveSlot waits for a slot, and fails when ctx ends.
func (s *slots) ReserveSlot(ctx context.Context, _ sdk.SlotReservationInfo) (*sdk.SlotPermit, error) {
	for {
		p, changed := s.take()
		if p != nil {
			return p, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *slots) take() (p *sdk.SlotPermit, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polls+s.fresh+s.begun >= s.starting || s.polls+s.taken >= s.most {
		return nil, s.changed
	}
	s.polls++
	return &sdk.SlotPermit{}, nil
}

// TryReserveSlot is for what does not come by a poll; no attempt does.
func (s *slots) TryReserveSlot(sdk.SlotReservationInfo) *sdk.SlotPermit { return nil }

// MarkSlotUsed notes that a poll has brought a task.
func (s *slots) MarkSlotUsed(info sdk.SlotMarkUsedInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info.Permit().UserData = s
	s.polls--
	s.taken++
	s.fresh++
}

// ReleaseSlot notes that a task has ended, or that a poll has brought none.
func (s *slots) ReleaseSlot(info sdk.SlotReleaseInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if info.Permit().UserData == nil {
		s.polls--
	} else {
		s.taken--
		s.fresh = min(s.fresh, s.taken) // one may have ended without beginning
	}
	s.wake()
}

// MaxSlots is how many there may be at once.
func (s *slots) MaxSlots() int { return s.most }
