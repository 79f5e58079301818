package play

import (
	"strings"
	"sync/atomic"

	"go.temporal.io/sdk/client"
)

// heartbeats is a metrics handler that counts the heartbeats that reach the server,
// which Temporal Cloud charges for and histories do not show.
type heartbeats struct{ n atomic.Int64 }

// WithTags makes the handler count where a request is a heartbeat.
func (h *heartbeats) WithTags(tags map[string]string) client.MetricsHandler {
	if strings.HasPrefix(tags["operation"], "RecordActivityTaskHeartbeat") {
		return beating{client.MetricsNopHandler, h}
	}
	return quiet{client.MetricsNopHandler, h}
}

// Counter, Gauge and Timer measure nothing.
func (h *heartbeats) Counter(name string) client.MetricsCounter {
	return client.MetricsNopHandler.Counter(name)
}

func (h *heartbeats) Gauge(name string) client.MetricsGauge {
	return client.MetricsNopHandler.Gauge(name)
}

func (h *heartbeats) Timer(name string) client.MetricsTimer {
	return client.MetricsNopHandler.Timer(name)
}

// quiet is what is not a heartbeat so far.
type quiet struct {
	client.MetricsHandler
	of *heartbeats
}

func (q quiet) WithTags(tags map[string]string) client.MetricsHandler { return q.of.WithTags(tags) }

// beating counts one request when it is sent.
type beating struct {
	client.MetricsHandler
	of *heartbeats
}

func (b beating) WithTags(map[string]string) client.MetricsHandler { return client.MetricsNopHandler }

func (b beating) Counter(name string) client.MetricsCounter {
	if name != "temporal_request" {
		return b.MetricsHandler.Counter(name)
	}
	return counter{&b.of.n}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Inc(by int64) { c.n.Add(by) }
