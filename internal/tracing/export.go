package tracing

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
)

var errEndpoint = errors.New("traces: the collector's address cannot be used, expected one such as http://collector:4318")

// sayEvery is how often it is logged that spans are lost.
const sayEvery = time.Minute

// reporting logs in Volley's own log what an exporter could not send. The SDK would print
// it to standard error, with the collector's address, which may hold a password.
type reporting struct {
	sdktrace.SpanExporter
	log *zap.Logger

	mu   sync.Mutex
	said time.Time
	lost int
}

// ExportSpans sends spans. It returns no error: it has been dealt with.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost += len(spans)
	if time.Since(r.said) < sayEvery {
		return nil
	}
	r.log.Warn("spans did not reach the collector and are lost", zap.Int("spans", r.lost), zap.String("error", withoutURL(err)))
	r.said, r.lost = time.Now(), 0
	return nil
}

// withoutURL is the text of an error without what net/http puts around it.
func withoutURL(err error) string {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}
