package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/message"
)

// counter counts something.
type counter interface{ Inc(delta int64) }

// measure counts and times the attempts through one account.
type measure struct {
	lateness, left, latency interface{ Record(time.Duration) }
	retries                 counter
	attempts                func(kind string) counter
}

func measureOf(ctx context.Context, account string) measure {
	of := activity.GetMetricsHandler(ctx).WithTags(map[string]string{"account": account})
	return measure{
		lateness: of.Timer("volley_lateness"), left: of.Timer("volley_validity_left"), latency: of.Timer("volley_send_latency"),
		retries: of.Counter("volley_retries"),
		attempts: func(kind string) counter {
			return of.WithTags(map[string]string{"kind": kind}).Counter("volley_attempts")
		},
	}
}

// first measures a message's first request as it leaves: how long after its due time, and
// how much is left of its validity.
func (m measure) first(out *message.Outgoing, now time.Time) {
	m.lateness.Record(max(now.Sub(out.Due), 0))
	m.left.Record(out.ExpiresAt.Sub(now))
}

// took is how long a request took.
func (m measure) took(d time.Duration) { m.latency.Record(d) }

// attempt counts an attempt by how it ended.
func (m measure) attempt(kind string) { m.attempts(kind).Inc(1) }
