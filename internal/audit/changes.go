package audit

import (
	"cmp"
	"context"
	"errors"
	"time"

	"volley/internal/message"
	"volley/starter"
)

// Changes are what a starter does that changes batches, and what chooses messages for it.
type Changes interface {
	Start(ctx context.Context, r starter.Request) (starter.Started, error)
	StartLarge(ctx context.Context, r starter.Request, in starter.Incoming) (starter.Started, error)
	Select(ctx context.Context, ref starter.Ref, q starter.ResultQuery) ([]string, error)
	Cancel(ctx context.Context, ref starter.Ref, q message.CancelRequest) (message.CancelResult, error)
	Pause(ctx context.Context, ref starter.Ref) (message.PauseResult, error)
	Resume(ctx context.Context, ref starter.Ref) (message.ResumeResult, error)
	Reschedule(ctx context.Context, ref starter.Ref, q message.RescheduleRequest) (message.RescheduleResult, error)
	Redrive(ctx context.Context, ref starter.Ref, q starter.RedriveQuery) (starter.Started, error)
	Hold(ctx context.Context, q starter.HoldRequest) (starter.HoldResult, error)
	Release(ctx context.Context, q starter.ReleaseRequest) (starter.ReleaseResult, error)
}

// Upkeep is what removes what is over.
type Upkeep interface {
	Delete(ctx context.Context, ref starter.Ref) error
	Purge(ctx context.Context, olderThan time.Duration, dryRun bool) (starter.Purged, error)
}

// Watch returns c with what it does noted in the record of each context.
func Watch(c Changes) Changes { return changes{c} }

// WatchUpkeep is Watch for what removes.
func WatchUpkeep(u Upkeep) Upkeep { return upkeep{u} }

type changes struct{ Changes }

// Start notes the batch and how many messages it has.
func (c changes) Start(ctx context.Context, r starter.Request) (starter.Started, error) {
	s, err := c.Changes.Start(ctx, r)
	noteStart(Of(ctx), r, s, err)
	return s, err
}

// StartLarge is Start for a batch of any size.
func (c changes) StartLarge(ctx context.Context, r starter.Request, in starter.Incoming) (starter.Started, error) {
	s, err := c.Changes.StartLarge(ctx, r, in)
	if err == nil && in.Header() != nil {
		r.Batch = in.Header()
	}
	noteStart(Of(ctx), r, s, err)
	return s, err
}

func noteStart(rec *Record, r starter.Request, s starter.Started, err error) {
	rec.Set(func(e *Entry) {
		e.about(cmp.Or(s.ID, r.ID))
		if r.Batch != nil {
			e.Dialect = r.Batch.Dialect
		}
		if err == nil {
			e.Existing = s.Existing
			e.AddCounts(map[string]int{"messages": s.Total, "rejected": s.Rejected})
		}
	})
	rec.settle(err, false)
}

// Select notes what chose messages.
func (c changes) Select(ctx context.Context, ref starter.Ref, q starter.ResultQuery) ([]string, error) {
	ids, err := c.Changes.Select(ctx, ref, q)
	Of(ctx).Set(func(e *Entry) {
		e.about(ref.ID)
		e.selects(selectorNames(q.Selector, q.State != "", q.Code != ""))
		if n := len(ids); err == nil {
			e.Selected = &n
		}
	})
	return ids, err
}

func selectorNames(s message.Selector, state, code bool) map[string]bool {
	return map[string]bool{
		"to": s.To != "", "reference": s.Reference != "", "meta": s.Meta != "", "account": s.Account != "", "state": state, "code": code,
	}
}

// Cancel notes what became of the messages.
func (c changes) Cancel(ctx context.Context, ref starter.Ref, q message.CancelRequest) (message.CancelResult, error) {
	res, err := c.Changes.Cancel(ctx, ref, q)
	rec := Of(ctx)
	rec.Set(func(e *Entry) {
		e.about(ref.ID)
		e.Reason = q.Reason
		if q.Messages != nil && e.Selected == nil {
			n := len(q.Messages)
			e.Selector, e.Selected = []string{"messages"}, &n
		}
		n := res.Counts
		e.AddCounts(map[string]int{"canceled": n.Canceled, "sent": n.Sent, "inFlight": n.InFlight, "ended": n.Ended})
	})
	rec.settle(err, isRecorded(res.Batch, err))
	return res, err
}

// isRecorded reports whether a change will be done that no worker has confirmed.
func isRecorded(batch string, err error) bool {
	return batch != "" && errors.Is(err, starter.ErrNoWorker)
}

// Pause notes how many messages are still in flight.
func (c changes) Pause(ctx context.Context, ref starter.Ref) (message.PauseResult, error) {
	res, err := c.Changes.Pause(ctx, ref)
	noteControl(ctx, ref, res.Batch, err, map[string]int{"inFlight": len(res.InFlight)})
	return res, err
}

// Resume notes the batch.
func (c changes) Resume(ctx context.Context, ref starter.Ref) (message.ResumeResult, error) {
	res, err := c.Changes.Resume(ctx, ref)
	noteControl(ctx, ref, res.Batch, err, nil)
	return res, err
}

// Reschedule notes how many messages were moved.
func (c changes) Reschedule(ctx context.Context, ref starter.Ref, q message.RescheduleRequest) (message.RescheduleResult, error) {
	res, err := c.Changes.Reschedule(ctx, ref, q)
	noteControl(ctx, ref, res.Batch, err, map[string]int{"rescheduled": res.Rescheduled, "unchanged": res.Unchanged})
	return res, err
}

func noteControl(ctx context.Context, ref starter.Ref, batch string, err error, counts map[string]int) {
	rec := Of(ctx)
	rec.Set(func(e *Entry) {
		e.about(ref.ID)
		e.AddCounts(counts)
	})
	rec.settle(err, isRecorded(batch, err))
}

// Redrive notes what was chosen, and the new batch.
func (c changes) Redrive(ctx context.Context, ref starter.Ref, q starter.RedriveQuery) (starter.Started, error) {
	s, err := c.Changes.Redrive(ctx, ref, q)
	rec := Of(ctx)
	rec.Set(func(e *Entry) {
		e.Batch, e.Account = ref.ID, q.Through
		e.selects(selectorNames(q.Selector, len(q.States) > 0, q.Code != ""))
		if s.ID != "" {
			e.NewBatch = s.ID
		}
		if err == nil {
			e.Existing = s.Existing
			e.AddCounts(map[string]int{"messages": s.Total, "rejected": s.Rejected})
		}
	})
	rec.settle(err, false)
	return s, err
}

// Hold notes what is held and how many messages wait.
func (c changes) Hold(ctx context.Context, q starter.HoldRequest) (starter.HoldResult, error) {
	res, err := c.Changes.Hold(ctx, q)
	noteHold(ctx, q.Selector, q.ByTenant, q.Reason, err, map[string]int{"waiting": res.Messages.Waiting, "sending": res.Messages.Sending})
	return res, err
}

// Release notes what was released and how many messages leave.
func (c changes) Release(ctx context.Context, q starter.ReleaseRequest) (starter.ReleaseResult, error) {
	res, err := c.Changes.Release(ctx, q)
	noteHold(ctx, q.Selector, q.ByTenant, "", err, map[string]int{"holds": len(res.Released), "leaving": res.Messages.Leaving})
	return res, err
}

func noteHold(ctx context.Context, s starter.Selector, byTenant, reason string, err error, counts map[string]int) {
	rec := Of(ctx)
	rec.Set(func(e *Entry) {
		e.Account, e.HeldTenant, e.Reason = s.Account, cmp.Or(s.Tenant, byTenant), reason
		e.selects(map[string]bool{"account": s.Account != "", "tenant": s.Tenant != "" || byTenant != "", "meta": s.Meta != "", "all": s.All, "priority": s.From > 0})
		if err == nil {
			e.AddCounts(counts)
		}
	})
	rec.settle(err, false)
}

type upkeep struct{ Upkeep }

// Delete notes the batch.
func (u upkeep) Delete(ctx context.Context, ref starter.Ref) error {
	err := u.Upkeep.Delete(ctx, ref)
	rec := Of(ctx)
	rec.Set(func(e *Entry) { e.about(ref.ID) })
	rec.settle(err, errors.Is(err, starter.ErrDeletionPending))
	return err
}

// Purge notes how much was removed. One that only counts is no action.
func (u upkeep) Purge(ctx context.Context, olderThan time.Duration, dryRun bool) (starter.Purged, error) {
	gone, err := u.Upkeep.Purge(ctx, olderThan, dryRun)
	rec := Of(ctx)
	if dryRun {
		rec.Skip()
	}
	rec.Set(func(e *Entry) {
		e.AddCounts(map[string]int{"folders": gone.Folders, "objects": gone.Objects})
	})
	rec.settle(err, false)
	return gone, err
}
