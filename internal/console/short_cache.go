package console

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// shortCache keeps values for a short while, and makes those who ask for the same one at the
// same time share one call. It is safe for concurrent use.
type shortCache[K comparable, V any] struct {
	keep time.Duration
	now  func() time.Time
	load func(context.Context, K) (V, error)

	calls singleflight.Group
	mu    sync.Mutex
	kept  map[K]kept[V]
}

type kept[V any] struct {
	value V
	at    time.Time
}

func newShortCache[K comparable, V any](keep time.Duration, now func() time.Time, load func(context.Context, K) (V, error)) *shortCache[K, V] {
	return &shortCache[K, V]{keep: keep, now: now, load: load, kept: map[K]kept[V]{}}
}

// get returns the value of a key. A caller that leaves ends no call that others wait for.
func (s *shortCache[K, V]) get(ctx context.Context, key K, name string) (V, error) {
	now := s.now()
	s.mu.Lock()
	k, ok := s.kept[key]
	s.mu.Unlock()
	if ok && now.Sub(k.at) < s.keep {
		return k.value, nil
	}
	done := s.calls.DoChan(name, func() (any, error) {
		lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), snapshotWithin)
		defer cancel()
		v, err := s.load(lctx, key)
		if err == nil {
			s.put(key, v)
		}
		return v, err
	})
	select {
	case res := <-done:
		v, _ := res.Val.(V)
		return v, res.Err
	case <-ctx.Done():
		return k.value, ctx.Err()
	}
}

// put keeps a value, and forgets those that are old.
func (s *shortCache[K, V]) put(key K, v V) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, k := range s.kept {
		if now.Sub(k.at) >= s.keep {
			delete(s.kept, other)
		}
	}
	s.kept[key] = kept[V]{v, now}
}

// forget drops the value of a key, since something was done with what it is about.
func (s *shortCache[K, V]) forget(key K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, key)
}
