package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// measure counts and times the attempts of one activity. It is safe for concurrent
// use.
type measure struct {
	lateness, latency interface{ Record(time.Duration) }
	counter           func(kind string) interface{ Inc(int64) }

	mu       sync.Mutex
	counters map[string]interface{ Inc(int64) }
}

func measureOf(ctx context.Context, account string) *measure {
	handler := activity.GetMetricsHandler(ctx)
	of := handler.WithTags(map[string]string{"account": account})
	return &measure{
		lateness: of.Timer("volley_lateness"), latency: of.Timer("volley_send_latency"),
		counter: func(kind string) interface{ Inc(int64) } {
			return handler.WithTags(map[string]string{"account": account, "kind": kind}).Counter("volley_attempts")
		},
		counters: map[string]interface{ Inc(int64) }{},
	}
}

// late is how long after its due time a message's first request left.
func (m *measure) late(d time.Duration) { m.lateness.Record(max(d, 0)) }

// took is how long a request took.
func (m *measure) took(d time.Duration) { m.latency.Record(d) }

// attempts counts n attempts that ended alike.
func (m *measure) attempts(kind string, n int64) {
	m.mu.Lock()
	c := m.counters[kind]
	if c == nil {
		c = m.counter(kind)
		m.counters[kind] = c
	}
	m.mu.Unlock()
	c.Inc(n)
}
