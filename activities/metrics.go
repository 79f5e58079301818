package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// counter counts something.
type counter interface{ Inc(delta int64) }

// measure counts and times the attempts through one account.
type measure struct {
	lateness, latency interface{ Record(time.Duration) }
	attempts          func(kind string) counter
}

func measureOf(ctx context.Context, account string) measure {
	of := activity.GetMetricsHandler(ctx).WithTags(map[string]string{"account": account})
	return measure{
		lateness: of.Timer("volley_lateness"), latency: of.Timer("volley_send_latency"),
		attempts: func(kind string) counter {
			return of.WithTags(map[string]string{"kind": kind}).Counter("volley_attempts")
		},
	}
}

// late is how long after its due time a message's first request left.
func (m measure) late(d time.Duration) { m.lateness.Record(max(d, 0)) }

// took is how long a request took.
func (m measure) took(d time.Duration) { m.latency.Record(d) }

// attempt counts an attempt by how it ended.
func (m measure) attempt(kind string) { m.attempts(kind).Inc(1) }
