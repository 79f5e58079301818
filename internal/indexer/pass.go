package indexer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

const (
	// chunk is how many batches are gathered before they are taken in.
	chunk = 64
	// lookFirst is how long after a batch has changed it is looked at again. It doubles while
	// nothing changes, up to lookMost.
	lookFirst = 2 * time.Second
	lookMost  = time.Minute
	// After failTries a batch that cannot be read waits for the next full pass. Before that
	// it waits failFirst, and twice as long each time.
	failTries = 6
	failFirst = 2 * time.Second
)

// key names a batch, or what took its late reports.
type key struct {
	starter.Ref
	late bool
}

// found is how a batch was found.
type found struct {
	run string
	// open means that it had not ended, and closed that it has and all of it is in.
	open, closed bool
	// looked is when, next when it is looked at again, and wait how long that is.
	looked, next time.Time
	wait         time.Duration
	// state and due are what the list told.
	state message.BatchState
	due   time.Time
	// segments is where those of a large batch stood.
	segments string
	fails    int
}

// pass looks at what has changed since the last one, and once an hour at every batch, for
// what lists showed too late. In between what is new does not wait.
func (f *Feed) pass(ctx context.Context) error {
	if err := f.recent(ctx); err != nil {
		return err
	}
	began := f.o.Now()
	if began.Sub(f.full) < fullEvery {
		return nil
	}
	last := began
	err := f.each(ctx, starter.ListedQuery{Open: true, Late: true, Closed: true}, true, func() error {
		if f.o.Now().Sub(last) < passEvery {
			return nil
		}
		err := f.recent(ctx)
		last = f.o.Now()
		return err
	})
	if err != nil {
		return err
	}
	if err := f.dropDeleted(ctx, time.Time{}); err != nil {
		return err
	}
	if err := f.index.Expire(ctx); err != nil {
		return err
	}
	f.full = began
	return f.recent(ctx)
}

// recent takes in what has changed lately.
func (f *Feed) recent(ctx context.Context) error {
	began := f.o.Now()
	since := f.since
	if since.IsZero() {
		since = began.Add(-firstSince)
	}
	f.mu.Lock()
	f.behind = began
	f.mu.Unlock()
	if err := f.each(ctx, starter.ListedQuery{Open: true, Late: true, Closed: true, Since: since}, false, nil); err != nil {
		return err
	}
	if err := f.takeAll(ctx, f.failedBefore()); err != nil {
		return err
	}
	if err := f.dropDeleted(ctx, since); err != nil { // what was read before it was deleted is in by now
		return err
	}
	f.since = began.Add(-overlap)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.full.IsZero() { // else nobody knows what there is
		f.freshAt = f.behind
	}
	return nil
}

// dropDeleted takes batches out that were deleted since a time.
func (f *Feed) dropDeleted(ctx context.Context, since time.Time) error {
	for d, err := range f.o.Batches.Deleted(ctx, since) {
		if err != nil {
			return fmt.Errorf("%w: %w", errBatches, err)
		}
		if _, err := f.index.Delete(ctx, d.Tenant, d.ID, d.Created); err != nil {
			return err
		}
	}
	return nil
}

// failedBefore are batches that could not be read, and are to be tried again now.
func (f *Feed) failedBefore() (due []starter.Listed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, l := range f.failed {
		is, _ := f.found.Peek(k)
		if is.looked.Before(f.behind) {
			f.behind = is.looked
		}
		if !f.o.Now().Before(is.next) {
			due = append(due, l)
		}
	}
	return due
}

// each takes in the batches that a list names and that are due; between is called after
// some of them, and may be nil. An error is about no single batch.
func (f *Feed) each(ctx context.Context, q starter.ListedQuery, all bool, between func() error) error {
	var some []starter.Listed
	began := f.o.Now()
	take := func() error {
		f.pace.rest(ctx, began)
		err := f.takeAll(ctx, some)
		if err == nil && between != nil {
			err = between()
		}
		some, began = some[:0], f.o.Now()
		return err
	}
	for l, err := range f.o.Batches.Listed(ctx, q) {
		if err != nil {
			return fmt.Errorf("%w: %w", errBatches, err)
		}
		if !f.isDue(l, all) {
			continue
		}
		if some = append(some, l); len(some) < chunk {
			continue
		}
		if err := take(); err != nil {
			return err
		}
	}
	return take()
}

// takeAll takes in some batches, several at once where nothing leaves.
func (f *Feed) takeAll(ctx context.Context, some []starter.Listed) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(f.pace.atOnce())
	for _, l := range some {
		if gctx.Err() != nil {
			break
		}
		group.Go(func() error {
			last, _ := f.found.Get(keyOf(l))
			t, err := f.take(gctx, l, last.segments)
			switch {
			case err == nil:
				f.note(l, last, t)
			case gctx.Err() != nil, errors.Is(err, index.ErrUnavailable), errors.Is(err, index.ErrKeys), errors.Is(err, index.ErrLease):
				return err
			case errors.Is(err, starter.ErrUnreachable), errors.Is(err, starter.ErrBusy):
				return fmt.Errorf("%w: %w", errBatches, err)
			case errors.Is(err, starter.ErrNotFound): // it is gone
				f.note(l, last, progress{closed: true})
			default:
				f.hold(l, last, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// isDue reports whether a batch is to be looked at, and notes how old what is known is of
// one that is not.
func (f *Feed) isDue(l starter.Listed, all bool) bool {
	if f.o.Retention > 0 && !l.Closed.IsZero() && f.o.Now().Sub(l.Closed) > f.o.Retention {
		return false
	}
	is, known := f.found.Get(keyOf(l))
	now := f.o.Now()
	switch {
	case !known:
		return true
	case !l.Open:
		return (!is.closed || is.run != l.Run) && (all || is.fails == 0 || is.open)
	case all:
		return true
	case l.State == message.BatchScheduled && is.state == l.State && is.due.Equal(l.Due) && l.Due.After(now):
		return false // nothing happens before it is due, controls aside
	case now.Before(is.next):
		f.mu.Lock()
		defer f.mu.Unlock()
		if is.fails < failTries && is.looked.Before(f.behind) {
			f.behind = is.looked
		}
		return false
	}
	return true
}

// note keeps how a batch was found.
func (f *Feed) note(l starter.Listed, last found, t progress) {
	now := f.o.Now()
	is := found{run: l.Run, open: l.Open, closed: t.closed || l.Late && !l.Open, looked: now, wait: lookFirst, state: l.State, due: l.Due, segments: t.segments}
	if !t.changed {
		is.wait = min(max(2*last.wait, lookFirst), lookMost)
	}
	is.next = now.Add(is.wait)
	if is.closed {
		is.segments = ""
	}
	f.found.Add(keyOf(l), is)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.failed, keyOf(l))
}

// hold keeps that a batch could not be read, to be tried again.
func (f *Feed) hold(l starter.Listed, is found, err error) {
	f.metrics.fail(causeBatch)
	f.o.Log.Debug("a batch could not be read for the index", zap.String("batch_id", l.ID), zap.Error(err))
	f.mu.Lock()
	defer f.mu.Unlock()
	if is.looked.IsZero() {
		is.looked = l.Started
	}
	if is.open && !l.Open {
		is.fails = 0 // it ended meanwhile
	}
	is.run, is.open, is.fails = l.Run, l.Open, is.fails+1
	is.next = f.o.Now().Add(failFirst << min(is.fails, failTries))
	f.found.Add(keyOf(l), is)
	if is.fails < failTries {
		f.failed[keyOf(l)] = l
		if is.looked.Before(f.behind) {
			f.behind = is.looked
		}
		return
	}
	delete(f.failed, keyOf(l))
	if is.fails == failTries {
		f.o.Log.Warn("a batch cannot be read for the index; it is tried again with the next look at all batches", zap.String("batch_id", l.ID), zap.String("tenant", l.Tenant), zap.Error(err))
	}
}

func keyOf(l starter.Listed) key { return key{starter.Ref{Tenant: tenantOf(l), ID: l.ID}, l.Late} }
