package tracing

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

const (
	// scope names the instrumentation in every span.
	scope = "volley"
	// closeTimeout bounds the last export of a process.
	closeTimeout = 5 * time.Second
	// path is where a collector takes traces, below its base address.
	path = "/v1/traces"
)

// Options configure Open.
type Options struct {
	// Endpoint is the collector's base address such as http://collector:4318; empty is
	// what OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT of the
	// process's environment says, or else http://localhost:4318.
	Endpoint string
	// Sample is the share of traces that are kept, from 0 to 1, where whoever calls has not
	// decided; below 0 it is what OTEL_TRACES_SAMPLER says, or else all.
	Sample float64
	// Version is the program's.
	Version string
	// Exporter takes the spans in place of a collector; nil is the collector.
	Exporter sdktrace.SpanExporter
	// Log gets what keeps spans from the collector; nil is nowhere.
	Log *zap.Logger
}

// Traces sends spans to a collector.
type Traces struct{ provider *sdktrace.TracerProvider }

// Open prepares for sending spans; nothing connects before the first of them. The caller
// closes it. Headers, timeout, compression and certificates of the requests, attributes of
// the resource, sizes of the queue and limits of spans are as the standard OTEL_ variables
// of the process's environment say.
func Open(ctx context.Context, o Options) (*Traces, error) {
	exporter := o.Exporter
	if exporter == nil {
		var err error
		if exporter, err = collector(ctx, o.Endpoint); err != nil {
			return nil, err
		}
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("volley"), semconv.ServiceVersion(o.Version)),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	log := o.Log
	if log == nil {
		log = zap.NewNop()
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithBatcher(&reporting{SpanExporter: exporter, log: log}),
		sdktrace.WithResource(about),
		sdktrace.WithIDGenerator(ids{}),
	}
	if o.Sample >= 0 {
		options = append(options, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.Sample))))
	}
	return &Traces{provider: sdktrace.NewTracerProvider(options...)}, nil
}

// Provider makes spans that are sent. It is nil for a nil Traces.
func (t *Traces) Provider() trace.TracerProvider {
	if t == nil {
		return nil
	}
	return t.provider
}

// Close sends what was not sent yet, for at most five seconds.
func (t *Traces) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the exporter has said what was wrong
}

// collector sends spans to an address.
func collector(ctx context.Context, endpoint string) (sdktrace.SpanExporter, error) {
	var options []otlptracehttp.Option
	if endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil {
			return nil, errEndpoint
		}
		if !strings.HasSuffix(u.Path, path) {
			u = u.JoinPath(path)
		}
		options = append(options, otlptracehttp.WithEndpointURL(u.String()))
	}
	e, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, errEndpoint // its own error may repeat the address
	}
	return e, nil
}
