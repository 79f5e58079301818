package gateway

import (
	"context"
	"sync"
)

// maxControls is how many changes of one batch are under way at once. Temporal takes
// ten; those of other gateways count too.
const maxControls = 4

// keyed lets maxControls in at once for each key; others wait. The zero value is empty.
type keyed[K comparable] struct {
	mu   sync.Mutex
	gate map[K]*gate
}

type gate struct {
	slots chan struct{}
	users int // inside or waiting
}

// enter waits for its turn. Whoever is in calls done.
func (k *keyed[K]) enter(ctx context.Context, key K) (done func(), err error) {
	k.mu.Lock()
	if k.gate == nil {
		k.gate = map[K]*gate{}
	}
	g := k.gate[key]
	if g == nil {
		g = &gate{slots: make(chan struct{}, maxControls)}
		k.gate[key] = g
	}
	g.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if g.users--; g.users == 0 {
			delete(k.gate, key)
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
