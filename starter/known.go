package starter

import "sync"

// maxKnown is how many batches are remembered.
const maxKnown = 1000

// known remembers batches. The zero value knows none.
type known struct {
	mu   sync.Mutex
	refs map[Ref]bool
}

func (k *known) has(ref Ref) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refs[ref]
}

// add remembers a batch, and forgets all others when there are too many.
func (k *known) add(ref Ref) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refs == nil || len(k.refs) >= maxKnown {
		k.refs = map[Ref]bool{}
	}
	k.refs[ref] = true
}
