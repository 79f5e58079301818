package worker

import (
	"context"
	"sync"

	"go.temporal.io/sdk/interceptor"
	sdk "go.temporal.io/sdk/worker"
	"golang.org/x/sync/semaphore"

	"volley/activities"
)

// slots are those of one queue of an account with a rate. The worker polls for a
// task, a group or a single message, only while few of its tasks wait to start;
// tasks that only wait for answers do not count. So unstarted work stays with the
// server, which orders it and gives it to a worker that has time.
//
// The SDK does not tell an activity which permit it runs under. It need not: permits
// are alike, so each that comes back from a task takes one task with it that has
// ended. Where there is none, the task never came to run, as one whose input cannot
// be decoded. It does not matter whose permit comes back first.
type slots struct {
	most int
	// all has the slots that poll or have a task, starting those of them whose task has not
	// started.
	all, starting *semaphore.Weighted
	// ended has a free place for each task that has ended whose slot has yet to come back.
	ended *semaphore.Weighted
}

var _ sdk.SlotSupplier = (*slots)(nil)

// newSlots are so many slots, of which some may be without a task that has started.
func newSlots(starting, most int) *slots {
	n := int64(most)
	s := &slots{most: most, all: semaphore.NewWeighted(n), starting: semaphore.NewWeighted(int64(starting)), ended: semaphore.NewWeighted(n)}
	s.ended.TryAcquire(n)
	return s
}

// limitStarting gives a worker such slots, as many as it would have had.
func limitStarting(o *sdk.Options, starting int) {
	s := newSlots(min(starting, o.MaxConcurrentActivityExecutionSize), o.MaxConcurrentActivityExecutionSize)
	o.MaxConcurrentActivityExecutionSize = 0
	// The worker runs nothing but activities; the SDK asks for the others all the same.
	o.Tuner, _ = sdk.NewCompositeTuner(sdk.CompositeTunerOptions{ // never fails
		WorkflowSlotSupplier: s, ActivitySlotSupplier: s, LocalActivitySlotSupplier: s, NexusSlotSupplier: s, SessionActivitySlotSupplier: s,
	})
	o.Interceptors = append(o.Interceptors, &startInterceptor{slots: s})
}

// startInterceptor has activities tell slots when they start.
type startInterceptor struct {
	interceptor.WorkerInterceptorBase
	slots *slots
}

// InterceptActivity is called for every activity that runs.
func (i *startInterceptor) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &startingActivity{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, slots: i.slots}
}

type startingActivity struct {
	interceptor.ActivityInboundInterceptorBase
	slots *slots
}

// ExecuteActivity runs the activity. One that ends without a start has started then.
func (a *startingActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	start := sync.OnceFunc(func() { a.slots.starting.Release(1) })
	defer a.slots.ended.Release(1)
	defer start()
	return a.Next.ExecuteActivity(activities.WithStarted(ctx, start), in)
}

// MarkSlotUsed notes that a poll has brought a task. That changes no count: a task
// that has not started counts as much as a poll.
func (s *slots) MarkSlotUsed(info sdk.SlotMarkUsedInfo) { info.Permit().UserData = hasTask{} }

// hasTask marks the permit of a slot that has a task.
type hasTask struct{}

// ReleaseSlot notes that a poll has brought no task, or that a task has been reported.
func (s *slots) ReleaseSlot(info sdk.SlotReleaseInfo) {
	if info.Permit().UserData == nil || !s.ended.TryAcquire(1) {
		s.starting.Release(1)
	}
	s.all.Release(1)
}

// ReserveSlot waits for a slot, and fails when ctx ends.
func (s *slots) ReserveSlot(ctx context.Context, _ sdk.SlotReservationInfo) (*sdk.SlotPermit, error) {
	if err := s.all.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	if err := s.starting.Acquire(ctx, 1); err != nil {
		s.all.Release(1)
		return nil, err
	}
	return &sdk.SlotPermit{}, nil
}

// TryReserveSlot is for what does not come by a poll; no attempt does.
func (s *slots) TryReserveSlot(sdk.SlotReservationInfo) *sdk.SlotPermit { return nil }

// MaxSlots is how many there may be at once.
func (s *slots) MaxSlots() int { return s.most }
