package main

import (
	"context"
	"errors"
	"time"

	"volley/internal/message"
	"volley/starter"
)

const (
	// reminder is how often a waiting person is told that no worker serves the batch.
	reminder = 10 * time.Second
	// firstCheck is when it is first checked.
	firstCheck = time.Second
)

// await waits for the end of a batch and reports every ten seconds when no worker
// serves it.
func (a *app) await(ctx context.Context, b batches, ref starter.Ref) (message.Status, error) {
	wctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.remindOfAbsence(wctx, b, ref)
	}()
	st, err := b.Wait(ctx, ref)
	cancel()
	<-done
	return st, err
}

// remindOfAbsence looks at a batch until ctx ends.
func (a *app) remindOfAbsence(ctx context.Context, b batches, ref starter.Ref) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(firstCheck):
	}
	tick := time.NewTicker(reminder) // while a look takes as long, the next one follows at once
	defer tick.Stop()
	for {
		_, err := b.Status(ctx, ref)
		if ctx.Err() == nil {
			a.noteAbsence(ref, err, "waiting")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// noteAbsence says what keeps a batch from going on, if it is that nobody answers.
func (a *app) noteAbsence(ref starter.Ref, err error, doing string) {
	switch {
	case errors.Is(err, starter.ErrNoWorker):
		a.note("no worker serves batch %s, it goes on when one does: `volley worker`; still %s", ref.ID, doing)
	case errors.Is(err, starter.ErrUnreachable), errors.Is(err, starter.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		a.note("%v; still %s", err, doing)
	}
}
