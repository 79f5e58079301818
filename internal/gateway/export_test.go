package gateway

import (
	"context"
	"time"
)

// HoldAtMost changes how many bytes of tenants' requests are held at once.
func (g *Gateway) HoldAtMost(bytes int64) { g.bodies.total = bytes }

// GiveUpAfter changes for how long a request is decoded whose client has left.
func (g *Gateway) GiveUpAfter(d time.Duration) { g.giveUpAfter = d }

// Decode takes all turns at which a tenant's large requests are decoded, until done is called.
func (g *Gateway) Decode(tenant string) (done func()) {
	var all []func()
	for range g.decoding.most {
		leave, err := g.decoding.enter(context.Background(), tenant)
		if err != nil {
			panic(err)
		}
		all = append(all, leave)
	}
	return func() {
		for _, leave := range all {
			leave()
		}
	}
}
