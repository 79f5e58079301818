package gateway

import (
	"context"
	"sync"
	"time"

	"volley/internal/message"
	"volley/starter"
)

const (
	// fresh is how long an answer serves all who ask the same, from when it came: at
	// most four questions a second reach a batch.
	fresh = 250 * time.Millisecond
	// freshPause is fresh for a batch that is paused, freshRest for one that is not due
	// yet, at most until it is, and freshEnd for one that has ended, which only delivery
	// reports change.
	freshPause = time.Second
	freshRest  = 5 * time.Second
	freshEnd   = 10 * time.Second
	// patience bounds a question, which goes on when those who asked have gone.
	patience = 25 * time.Second
)

// pageKey is a page of a batch as it stands at a rev of the batch or later: an answer
// from before would lack what the rev counts.
type pageKey struct {
	starter.Ref
	message.PageQuery
	asOf int64
}

// shared asks each question once for all who ask it at about the same time. Errors
// are shared as answers are. Answers are shared, too: callers change nothing in them.
type shared[K comparable, V any] struct {
	ask func(context.Context, K) (V, error)
	// fresh is how long an answer serves.
	fresh func(V) time.Duration
	mu    sync.Mutex
	kept  map[K]*answer[V]
}

type answer[V any] struct {
	done  chan struct{} // closed once the rest is there
	value V
	err   error
}

func newShared[K comparable, V any](ask func(context.Context, K) (V, error)) *shared[K, V] {
	return &shared[K, V]{ask: ask, fresh: func(V) time.Duration { return fresh }, kept: map[K]*answer[V]{}}
}

// freshStatus is how long a status serves.
func freshStatus(st message.Status) time.Duration {
	switch {
	case st.State.Closed():
		return freshEnd
	case st.State == message.BatchPaused:
		return freshPause
	case st.State == message.BatchScheduled && st.NextDueAt != nil:
		return min(max(st.NextDueAt.Sub(st.AsOf), fresh), freshRest)
	}
	return fresh
}

// get answers a question, or fails when ctx ends before.
func (s *shared[K, V]) get(ctx context.Context, k K) (V, error) {
	a := s.join(ctx, k)
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// join finds the answer that serves now, or asks for one.
func (s *shared[K, V]) join(ctx context.Context, k K) *answer[V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.kept[k]; a != nil {
		return a
	}
	a := &answer[V]{done: make(chan struct{})}
	s.kept[k] = a
	go s.fetch(context.WithoutCancel(ctx), k, a)
	return a
}

// fetch asks, and forgets the answer once it is no longer fresh: pages may be large.
func (s *shared[K, V]) fetch(ctx context.Context, k K, a *answer[V]) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a.value, a.err = s.ask(ctx, k)
	close(a.done)
	time.AfterFunc(s.fresh(a.value), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.kept[k] == a {
			delete(s.kept, k)
		}
	})
}

// forget makes the next question a new one: what it would say has just changed.
func (s *shared[K, V]) forget(k K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, k)
}
