package gateway

import (
	"cmp"
	"context"
	"sync"
)

// maxControls is how many changes of one batch are under way at once, and how many lists
// with counts of one tenant. Temporal takes ten changes; those of other gateways count too.
const maxControls = 4

// keyedSemaphore lets so many in at once for each key; others wait. The zero value is empty.
type keyedSemaphore[K comparable] struct {
	// most is how many; 0 is maxControls.
	most int

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
		g = &keySlots{slots: make(chan struct{}, cmp.Or(k.most, maxControls))}
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
