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
	// patience bounds a question, which goes on when those who asked have gone.
	patience = 25 * time.Second
	// maxShared is how many answers are kept.
	maxShared = 10_000
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
	ask  func(context.Context, K) (V, error)
	mu   sync.Mutex
	kept map[K]*answer[V]
}

type answer[V any] struct {
	done  chan struct{} // closed once the rest is there
	value V
	err   error
	until time.Time
}

func newShared[K comparable, V any](ask func(context.Context, K) (V, error)) *shared[K, V] {
	return &shared[K, V]{ask: ask, kept: map[K]*answer[V]{}}
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
	now := time.Now()
	if a := s.kept[k]; a != nil && (a.until.IsZero() || now.Before(a.until)) {
		return a
	}
	if len(s.kept) >= maxShared {
		s.clear(now)
	}
	a := &answer[V]{done: make(chan struct{})}
	s.kept[k] = a
	go s.fetch(context.WithoutCancel(ctx), k, a)
	return a
}

func (s *shared[K, V]) fetch(ctx context.Context, k K, a *answer[V]) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a.value, a.err = s.ask(ctx, k)
	s.mu.Lock()
	a.until = time.Now().Add(fresh)
	s.mu.Unlock()
	close(a.done)
}

// clear forgets answers that serve nobody any more, or all that have come.
func (s *shared[K, V]) clear(now time.Time) {
	for _, all := range []bool{false, true} {
		for k, a := range s.kept {
			if !a.until.IsZero() && (all || now.After(a.until)) {
				delete(s.kept, k)
			}
		}
		if len(s.kept) < maxShared {
			return
		}
	}
}

// forget makes the next question a new one: what it would say has just changed.
func (s *shared[K, V]) forget(k K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, k)
}
