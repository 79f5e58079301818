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
// serves it, and once that it is held.
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
	told := ""                       // why it is held
	tick := time.NewTicker(reminder) // while a look takes as long, the next one follows at once
	defer tick.Stop()
	for {
		st, err := b.Status(ctx, ref)
		switch {
		case ctx.Err() != nil:
		case err == nil && st.Held != nil && st.Held.Reason != told:
			told = st.Held.Reason
			a.note("batch %s is held by %s: %s; still waiting", ref.ID, heldBy(st.Held), printable(told))
		default:
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

// noteUnserved says which of some accounts no worker serves.
func (a *app) noteUnserved(ctx context.Context, b batches, accounts []string) {
	for _, name := range b.Unserved(ctx, accounts) {
		a.note("no worker serves account %s, its messages wait: start `volley worker` with a configuration that has it", name)
	}
}

// end waits for a batch to end.
func (a *app) end(ctx context.Context, b batches, ref starter.Ref, watch bool) (message.Status, error) {
	if !watch {
		return a.await(ctx, b, ref)
	}
	out := a.stdout
	if a.json() {
		out = a.stderr // stdout holds the one document
	}
	return a.follow(ctx, b, ref, a.live(out))
}

// unsent is the exit of a batch that has ended: 3 when a message is neither sent
// nor delivered. Those that were left out as asked do not count.
func unsent(st message.Status, excluded int) error {
	if st.Counts == nil || st.Counts[message.Sent]+st.Counts[message.Delivered]+excluded == st.Total {
		return nil
	}
	return &exitError{code: exitUnsent}
}
