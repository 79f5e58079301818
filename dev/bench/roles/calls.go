package roles

import (
	"strings"
	"sync/atomic"

	"go.temporal.io/sdk/client"
)

// calls is a metrics handler that counts what reaches the server and is in no history:
// the heartbeats, which Temporal Cloud charges for, and the queries.
type calls struct{ heartbeats, queries atomic.Int64 }

// WithTags makes the handler count where a request is one of those.
func (c *calls) WithTags(tags map[string]string) client.MetricsHandler {
	switch operation := tags["operation"]; {
	case strings.HasPrefix(operation, "RecordActivityTaskHeartbeat"):
		return counting{client.MetricsNopHandler, &c.heartbeats}
	case operation == "QueryWorkflow":
		return counting{client.MetricsNopHandler, &c.queries}
	}
	return quiet{client.MetricsNopHandler, c}
}

// Counter, Gauge and Timer measure nothing.
func (c *calls) Counter(name string) client.MetricsCounter {
	return client.MetricsNopHandler.Counter(name)
}

func (c *calls) Gauge(name string) client.MetricsGauge {
	return client.MetricsNopHandler.Gauge(name)
}

func (c *calls) Timer(name string) client.MetricsTimer {
	return client.MetricsNopHandler.Timer(name)
}

// quiet is what is not counted so far.
type quiet struct {
	client.MetricsHandler
	of *calls
}

func (q quiet) WithTags(tags map[string]string) client.MetricsHandler { return q.of.WithTags(tags) }

// counting counts one request when it is sent.
type counting struct {
	client.MetricsHandler
	n *atomic.Int64
}

func (c counting) WithTags(map[string]string) client.MetricsHandler { return client.MetricsNopHandler }

func (c counting) Counter(name string) client.MetricsCounter {
	if name != "temporal_request" {
		return c.MetricsHandler.Counter(name)
	}
	return counter{c.n}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Inc(by int64) { c.n.Add(by) }
