package starter

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"volley/internal/tracing"
	"volley/starter/internal/server"
)

// submit starts a batch in a span, which the batch's workflow is a part of. start returns
// what Start does. Who repeats a start has a trace of its own: the batch stays in that of
// the first.
func (s *Starter) submit(ctx context.Context, dialect string, ref Ref, start func(context.Context) (Started, error)) (Started, error) {
	ctx, span := tracing.Begin(ctx, s.o.Traces, "submit", trace.WithSpanKind(trace.SpanKindProducer))
	defer tracing.End(span)
	out, err := start(ctx)
	if !span.IsRecording() {
		return out, err
	}
	ref.ID = out.ID
	span.SetAttributes(tracing.Dialect.String(dialect), tracing.Tenant.String(server.TenantOf(ref)), tracing.Messages.Int(out.Total))
	if out.ID != "" {
		span.SetAttributes(tracing.Batch.String(WorkflowID(ref)))
	}
	if err != nil {
		tracing.Fail(span)
	}
	return out, err
}
