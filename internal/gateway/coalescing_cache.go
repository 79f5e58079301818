package gateway

import (
	"context"
	"sync"
	"time"

	"volley/internal/message"
	"volley/starter"
)

const (
	// fresh is how long an answer is reused after it came, so that at most four queries
	// a second reach a batch.
	fresh = 250 * time.Millisecond
	// freshPause replaces fresh for a paused batch, freshRest for one that is not due
	// yet (but not beyond its due time), and freshEnd for one that has ended, which
	// only delivery reports change.
	freshPause = time.Second
	freshRest  = 5 * time.Second
	freshEnd   = 10 * time.Second
	// fetchTimeout bounds one call of ask, which goes on when its callers have gone.
	fetchTimeout = 25 * time.Second
)

// pageKey asks for a page of a batch that shows at least the changes up to rev asOf: an
// earlier answer would lack some of them.
type pageKey struct {
	starter.Ref
	message.PageQuery
	asOf int64
}

// coalescingCache calls ask once for all callers that want the same key at about the
// same time. They share the answer, an error too, so they must not change it.
type coalescingCache[K comparable, V any] struct {
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

func newCoalescingCache[K comparable, V any](ask func(context.Context, K) (V, error)) *coalescingCache[K, V] {
	return &coalescingCache[K, V]{ask: ask, fresh: func(V) time.Duration { return fresh }, kept: map[K]*answer[V]{}}
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
func (s *coalescingCache[K, V]) get(ctx context.Context, k K) (V, error) {
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
func (s *coalescingCache[K, V]) join(ctx context.Context, k K) *answer[V] {
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

// fetch calls ask and drops the answer as soon as it is no longer fresh, because pages
// may be large.
func (s *coalescingCache[K, V]) fetch(ctx context.Context, k K, a *answer[V]) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
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
func (s *coalescingCache[K, V]) forget(k K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, k)
}
