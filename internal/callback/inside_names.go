package callback

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"volley/internal/provider"
)

const (
	// A name that leads to private addresses alone is given up once it has done so
	// insideTries times, over insideTime at least: what DNS says may be wrong for a minute.
	insideTries = 5
	insideTime  = 2 * time.Minute
	// insideForget is after how long without a try it begins anew.
	insideForget = time.Hour
	// maxInside is how many names are remembered.
	maxInside = 10_000
)

// insideNames remembers which names lead to private addresses, in this process.
type insideNames struct {
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mu    sync.Mutex
	names map[string]*insideName
}

type insideName struct {
	first, last time.Time
	tries       int
}

// again counts a try at a name that met a private address, and reports whether it is to be
// given up. One that has a public address too, or cannot be resolved, is not counted.
func (n *insideNames) again(ctx context.Context, name string, now time.Time, refused []netip.Prefix) bool {
	all, err := n.resolve(ctx, "ip", name)
	if err != nil || len(all) == 0 || slices.ContainsFunc(all, func(a netip.Addr) bool { return provider.Public(a, refused...) }) {
		n.forget(name)
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	x := n.names[name]
	if x == nil || now.Sub(x.last) > insideForget {
		if n.names == nil || len(n.names) >= maxInside {
			n.names = map[string]*insideName{}
		}
		x = &insideName{first: now}
		n.names[name] = x
	}
	x.last = now
	x.tries++
	return x.tries >= insideTries && now.Sub(x.first) >= insideTime
}

// forget begins anew with a name that leads elsewhere.
func (n *insideNames) forget(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.names, name)
}
