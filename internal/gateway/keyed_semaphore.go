package gateway

import (
	"context"
	"sync"
)

// maxControls is how many changes of one batch are under way at once. Temporal takes
// ten; those of other gateways count too.
const maxControls = 4

// keyedSemaphore lets maxControls in at once for each key; others wait. The zero value is empty.
type keyedSemaphore[K comparable] struct {
	mu    sync.Mutex
	slots map[K]*keySlots
}

type keySlots struct {
	slots chan struct{}
	users int // inside or waiting
}

// enter waits for its turn. Whoever is in calls done.
func (k *keyedSemaphore[K]) enter(ctx context.Context, key K) (done func(), err error) {
	k.mu.Lock()
	if k.slots == nil {
		k.slots = map[K]*keySlots{}
	}
	g := k.slots[key]
	if g == nil {
		g = &keySlots{slots: make(chan struct{}, maxControls)}
		k.slots[key] = g
	}
	g.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if g.users--; g.users == 0 {
			delete(k.slots, key)
		}
	}
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
