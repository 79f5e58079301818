package indexer

import (
	"time"

	"go.temporal.io/sdk/client"
)

// metrics are what operators see of a Feed; the zero value measures nothing.
type metrics struct{ handler client.MetricsHandler }

func newMetrics(h client.MetricsHandler) metrics {
	m := metrics{h}
	if h != nil {
		m.rows(0)
		for _, cause := range []string{causeDatabase, causeTemporal, causeBatch} {
			h.WithTags(map[string]string{"cause": cause}).Counter("volley_index_errors").Inc(0)
		}
	}
	return m
}

// lag is how old the oldest change is that has not been taken in.
func (m metrics) lag(d time.Duration) {
	if m.handler != nil {
		m.handler.Gauge("volley_index_lag_seconds").Update(d.Seconds())
	}
}

// rows counts messages that were put into the index.
func (m metrics) rows(n int) {
	if m.handler != nil {
		m.handler.Counter("volley_index_rows").Inc(int64(n))
	}
}

func (m metrics) fail(cause string) {
	if m.handler != nil {
		m.handler.WithTags(map[string]string{"cause": cause}).Counter("volley_index_errors").Inc(1)
	}
}
