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

// campaign tells how many messages of a campaign arrived within the last hour, and how many
// did not.
func (m metrics) campaign(name string, r result) {
	if m.handler == nil {
		return
	}
	for what, n := range map[string]int{"arrived": r.arrived, "missed": r.missed} {
		m.handler.WithTags(map[string]string{"campaign": name, "result": what}).Gauge("volley_campaign_messages").Update(float64(n))
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
