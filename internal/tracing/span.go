package tracing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of spans. Their values are names that Volley's configuration or a batch has,
// ids, numbers and words of closed sets.
const (
	Batch    = attribute.Key("volley.batch")
	Tenant   = attribute.Key("volley.tenant")
	Dialect  = attribute.Key("volley.dialect")
	Account  = attribute.Key("volley.account")
	Messages = attribute.Key("volley.messages")
	// Index is a message's place in its batch, and Attempt counts its attempts.
	Index   = attribute.Key("volley.index")
	Attempt = attribute.Key("volley.attempt")
	// Outcome is what an attempt or a callback came to: sent, accepted, or a kind of
	// failure.
	Outcome = attribute.Key("volley.outcome")
	// Run is the run of a workflow, and Activity the id of an activity.
	Run      = attribute.Key("temporal.run")
	Activity = attribute.Key("temporal.activity")
	// Method and Status are those of a request over HTTP.
	Method = attribute.Key("http.request.method")
	Status = attribute.Key("http.response.status_code")
	// Failure is why a request had no answer.
	Failure = attribute.Key("error.type")
)

// Begin begins a span with a provider, as a child of the context's where there is one,
// also of another process. Without a provider it is Start.
func Begin(ctx context.Context, p trace.TracerProvider, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	if p == nil {
		return Start(ctx, name, o...)
	}
	return p.Tracer(scope).Start(ctx, name, o...)
}

// Start begins a span as a child of the context's. Where that has none that is recorded
// it returns the context as it is, and a span that does nothing.
func Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nothing
	}
	return parent.TracerProvider().Tracer(scope).Start(ctx, name, o...)
}

// nothing is a span that is not recorded.
var nothing = trace.SpanFromContext(context.Background())

// Active reports whether a context's span is recorded.
func Active(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Set adds attributes to the context's span, if that is recorded.
func Set(ctx context.Context, attributes ...attribute.KeyValue) {
	if s := trace.SpanFromContext(ctx); s.IsRecording() {
		s.SetAttributes(attributes...)
	}
}

// End ends a span. It is what to defer in place of the span's own method: that one would
// write the text of a panic into the span.
func End(s trace.Span) { s.End() }

// Fail marks a span as failed. What an error says stays out of it.
func Fail(s trace.Span) { s.SetStatus(codes.Error, "") }

// Quiet is a context in which Start begins nothing; what is handed to other processes
// still names the span.
func Quiet(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.SpanContextFromContext(ctx))
}

// parentHeader is W3C's header; the state of a trace, which may hold anything, is not
// passed on.
const parentHeader = "traceparent"

// FromHeader is a context that goes on with the trace that a request names.
func FromHeader(ctx context.Context, h http.Header) context.Context {
	return WithParent(ctx, h.Get(parentHeader))
}

// ToHeader names the context's span to whoever gets a request. Nothing is added where
// there is none, or it is not sampled.
func ToHeader(ctx context.Context, h http.Header) {
	if p := Parent(ctx); p != "" {
		h.Set(parentHeader, p)
	}
}

// Parent is the context's span as W3C's traceparent writes it; empty where there is none
// or it is not sampled.
func Parent(ctx context.Context) string { return Text(trace.SpanContextFromContext(ctx)) }

// Text is a span's context as a traceparent; empty where it is not sampled.
func Text(sc trace.SpanContext) string {
	if !sc.IsValid() || !sc.IsSampled() {
		return ""
	}
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01"
}

// WithParent is a context that goes on with the trace of a traceparent. One that makes no
// sense, or is not there, changes nothing.
func WithParent(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{parentHeader: parent})
}

// Derived is the span of something that many processes may work on: its id follows from
// the trace and a name, so that each of them knows it before the span is sent.
func Derived(parent trace.SpanContext, name string) trace.SpanContext {
	id := parent.TraceID()
	sum := sha256.Sum256(append(id[:], name...))
	return parent.WithSpanID(trace.SpanID(sum[:8])).WithTraceState(trace.TraceState{})
}

type wantedID struct{}

// As makes the next span that begins with the context have the id of another one.
func As(ctx context.Context, span trace.SpanContext) context.Context {
	return context.WithValue(ctx, wantedID{}, span.SpanID())
}

// ids makes the ids of spans: random ones, but for As.
type ids struct{}

// NewIDs is for a span that begins a trace.
func (ids) NewIDs(context.Context) (t trace.TraceID, s trace.SpanID) {
	_, _ = rand.Read(t[:]) // it never fails
	_, _ = rand.Read(s[:])
	return t, s
}

// NewSpanID is for a span of a trace.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) (s trace.SpanID) {
	if wanted, ok := ctx.Value(wantedID{}).(trace.SpanID); ok {
		return wanted
	}
	_, _ = rand.Read(s[:])
	return s
}
