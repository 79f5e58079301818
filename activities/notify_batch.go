package activities

import (
	"cmp"
	"context"

	"go.temporal.io/sdk/activity"

	"volley/internal/callback"
	"volley/internal/message"
	"volley/workflows/contract"
)

// tellState tells where an open batch stands, and that it started before anything
// else.
func (d *delivery) tellState(ctx context.Context, st message.Status) error {
	c := &d.res.Cursor
	c.State = cmp.Or(c.State, message.BatchScheduled)
	if !c.Started && st.StartedAt != nil {
		if err := d.batch(ctx, st, callback.TypeStarted); err != nil {
			return err
		}
		c.Started = true
		if c.State == message.BatchScheduled {
			c.State = message.BatchRunning
		}
	}
	if st.State == c.State && !d.tellingHold(st) {
		d.settle() // it is what it was when that was told last
	}
	if st.State.Closed() {
		return nil // its messages are told of first
	}
	if err := d.tellChange(ctx, st); err != nil {
		return err
	}
	return d.tellHold(ctx, st)
}

// tellHold tells that messages of the batch are held. A batch that paused itself has
// told that by its state.
func (d *delivery) tellHold(ctx context.Context, st message.Status) error {
	c := &d.res.Cursor
	since := heldSince(st)
	if since <= c.Held {
		return nil // which of several holds a status names may change
	}
	if err := d.batch(ctx, st, callback.TypeAccountHeld); err != nil {
		return err
	}
	c.Held = since
	return nil
}

// tellingHold reports whether a hold that still holds is the event that was not accepted
// yet.
func (d *delivery) tellingHold(st message.Status) bool {
	p := d.res.Cursor.Pending
	return p != nil && p.Type == callback.TypeAccountHeld && heldSince(st) == heldSince(p.Batch)
}

// heldSince is since when messages of a batch are held, in Unix ms; 0 is that none are.
func heldSince(st message.Status) int64 {
	if st.Held == nil || st.Held.By == message.HeldByGuard {
		return 0
	}
	return st.Held.Since.UnixMilli()
}

// tellChange tells what a batch has become. That it started was told before.
func (d *delivery) tellChange(ctx context.Context, st message.Status) error {
	c := &d.res.Cursor
	typ := callback.TypeOf(c.State, st.State)
	if typ == callback.TypePaused && st.Held != nil && st.Held.By == message.HeldByGuard {
		typ = callback.TypeHeld
	}
	if st.State != c.State && typ != callback.TypeStarted {
		if err := d.batch(ctx, st, typ); err != nil {
			return err
		}
	}
	c.State = st.State
	return nil
}

// batch tells an event of the batch itself.
func (d *delivery) batch(ctx context.Context, st message.Status, typ string) error {
	c := &d.res.Cursor
	if c.Pending != nil && c.Pending.Type != typ {
		d.settle()
	}
	if !callback.Has(d.Callbacks.Format, typ) || !d.poster.Wants(d.Tenant, typ) {
		return nil
	}
	if c.Pending == nil {
		c.Pending = &contract.PendingEvent{Type: typ, Batch: st}
		c.Pending.Batch.Metadata = nil
		activity.RecordHeartbeat(ctx, d.res)
	}
	first := c.Pending.Batch
	first.Metadata = st.Metadata
	if err := d.post(ctx, callback.BatchEvent(first, typ, c.Told), -1); err != nil {
		return err
	}
	d.settle()
	return nil
}

// settle ends an event of the batch that was accepted, or was not before the batch
// changed again. Its id is used up, as the endpoint may have heard it.
func (d *delivery) settle() {
	if c := &d.res.Cursor; c.Pending != nil {
		c.Pending = nil
		c.Told++
	}
}
