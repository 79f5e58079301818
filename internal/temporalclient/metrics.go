package temporalclient

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// NewMetrics returns a handler for the SDK's and our own measurements and the
// page that shows them to Prometheus, together with those of the Go runtime and
// the process. Every call has a registry of its own. Counters end in _total,
// timers in _seconds.
func NewMetrics() (client.MetricsHandler, http.Handler, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, nil, fmt.Errorf("metrics: %w", err)
		}
	}
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo(), otelprom.WithoutTargetInfo())
	if err != nil {
		return nil, nil, fmt.Errorf("metrics: %w", err)
	}
	// The default boundaries are meant for milliseconds.
	seconds := metric.NewView(
		metric.Instrument{Kind: metric.InstrumentKindHistogram, Unit: "s"},
		metric.Stream{Aggregation: metric.AggregationExplicitBucketHistogram{Boundaries: []float64{
			.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600,
		}}},
	)
	provider := metric.NewMeterProvider(metric.WithReader(exporter), metric.WithView(seconds))
	handler := opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: provider.Meter("volley"),
		// A measurement that cannot be taken must not end a worker; the SDK then
		// gets a handler that does nothing.
		OnError:              func(error) {},
		UseMonotonicCounters: true,
	})
	return handler, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), nil
}

// CountReports counts the delivery reports of an account that came to nothing. Those
// that concern a batch are counted where that is.
func CountReports(m client.MetricsHandler) func(account, outcome string, n int) {
	return func(account, outcome string, n int) {
		m.WithTags(map[string]string{"outcome": outcome, "account": account}).Counter("volley_reports").Inc(int64(n))
	}
}

// ObserveReport notes when an account's provider last told of messages, in seconds of Unix
// time.
func ObserveReport(m client.MetricsHandler) func(account string) {
	return func(account string) {
		m.WithTags(map[string]string{"account": account}).Gauge("volley_last_report_timestamp_seconds").Update(float64(time.Now().Unix()))
	}
}

// CountStoreAway counts the reads of the store that find it away.
func CountStoreAway(m client.MetricsHandler) func() {
	return func() { m.Counter("volley_store_away").Inc(1) }
}

// CountAuditFailures counts the lines that the audit log could not take.
func CountAuditFailures(m client.MetricsHandler) func() {
	return func() { m.Counter("volley_audit_failures").Inc(1) }
}

// CountStoreFull counts the objects that were not written as there was no room.
func CountStoreFull(m client.MetricsHandler) func() {
	return func() { m.Counter("volley_store_full").Inc(1) }
}

// CountFailedLogins counts the requests with a wrong key, by the pattern of their route.
func CountFailedLogins(m client.MetricsHandler) func(route string) {
	return func(route string) {
		m.WithTags(map[string]string{"route": cmp.Or(route, "none")}).Counter("volley_failed_logins").Inc(1)
	}
}

// ObserveHTTP measures the answers of an HTTP server, by the pattern of their route.
func ObserveHTTP(m client.MetricsHandler) func(route string, status int, took time.Duration) {
	return func(route string, status int, took time.Duration) {
		h := m.WithTags(map[string]string{"route": cmp.Or(route, "none"), "code": strconv.Itoa(status)})
		h.Counter("volley_http_requests").Inc(1)
		h.Timer("volley_http_request_latency").Record(took)
	}
}
