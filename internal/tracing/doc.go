// Package tracing makes OpenTelemetry spans and sends them to a collector over
// OTLP/HTTP. It decides what a span may say: names, numbers and closed sets of words,
// never a recipient, a text, a reference, a URL or the text of an error.
//
// Who makes a span needs no tracer: Start continues the span of its context, and does
// nothing, without an allocation, where that has none. Only what begins a trace, or goes
// on with one of another process, has the TracerProvider that Open returns. What crosses
// Temporal is in internal/temporalclient.
package tracing
