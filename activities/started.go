package activities

import (
	"context"
	"time"
)

type startedKey struct{}

// WithStarted returns a context in which Started calls what it is given.
func WithStarted(ctx context.Context, started func()) context.Context {
	return context.WithValue(ctx, startedKey{}, started)
}

// Started is called by an activity of an account that no longer waits for a turn: by
// Send when its request begins, by SendGroup when its last one does, by Reconcile at
// once. One that ends before that need not call it.
func Started(ctx context.Context) {
	if started, ok := ctx.Value(startedKey{}).(func()); ok {
		started()
	}
}

// Drain has Send and SendGroup start no more requests, here and now, for good. Those
// under way go on.
func (a *Activities) Drain() { a.drain() }

// starting is a context for waiting at most so long for a turn. It ends with Drain.
func (a *Activities) starting(ctx context.Context, atMost time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, max(atMost, 0))
	stop := context.AfterFunc(a.draining, cancel)
	return ctx, func() { stop(); cancel() }
}
