package tracing_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/tracing"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// kept keeps spans also once it was shut down.
type kept struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (k *kept) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.spans = append(k.spans, spans...)
	return nil
}

func (*kept) Shutdown(context.Context) error { return nil }

func open(t *testing.T, o tracing.Options) *tracing.Traces {
	t.Helper()
	traces, err := tracing.Open(t.Context(), o)
	require.NoError(t, err)
	return traces
}

func TestASpanGoesOnWithTheTraceOfItsCaller(t *testing.T) {
	t.Parallel()
	out := &kept{}
	traces := open(t, tracing.Options{Exporter: out, Sample: 0})
	ctx := tracing.FromHeader(t.Context(), http.Header{"Traceparent": {parent}})
	ctx, span := tracing.Begin(ctx, traces.Provider(), "submit")
	_, part := tracing.Start(ctx, "request")
	require.True(t, tracing.Active(ctx))
	own := http.Header{}
	tracing.ToHeader(ctx, own)
	part.End()
	span.End()
	traces.Close()

	require.Len(t, out.spans, 2)
	require.Equal(t, "request", out.spans[0].Name())
	require.Equal(t, out.spans[1].SpanContext().SpanID(), out.spans[0].Parent().SpanID())
	require.Equal(t, "00f067aa0ba902b7", out.spans[1].Parent().SpanID().String())
	require.Equal(t, tracing.Text(out.spans[1].SpanContext()), own.Get("traceparent"))
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", out.spans[0].SpanContext().TraceID().String())
}

func TestTheShareOfTracesIsWhatTheConfigurationSays(t *testing.T) {
	t.Parallel()
	for sample, want := range map[float64]int{0: 0, 1: 100, -1: 100} {
		out := &kept{}
		traces := open(t, tracing.Options{Exporter: out, Sample: sample})
		for range 100 {
			_, span := tracing.Begin(t.Context(), traces.Provider(), "submit")
			span.End()
		}
		traces.Close()
		require.Len(t, out.spans, want)
	}
}

func TestAParentThatMakesNoSenseChangesNothing(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"", "00", "person", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", parent + "-more", "ff" + parent[2:]} {
		require.Equal(t, t.Context(), tracing.FromHeader(t.Context(), http.Header{"Traceparent": {p}}), p)
	}
	unsampled := tracing.WithParent(t.Context(), parent[:len(parent)-1]+"0")
	require.Empty(t, tracing.Parent(unsampled), "what nobody keeps is not passed on")
}

func TestWhoKnowsTheRunKnowsTheIdOfItsSpan(t *testing.T) {
	t.Parallel()
	out := &kept{}
	traces := open(t, tracing.Options{Exporter: out, Sample: 1})
	ctx := tracing.WithParent(t.Context(), parent)
	of := trace.SpanContextFromContext(ctx)
	own := tracing.Derived(of, "run")
	require.Equal(t, own, tracing.Derived(of, "run"))
	require.NotEqual(t, own.SpanID(), tracing.Derived(of, "another run").SpanID())
	_, span := tracing.Begin(tracing.As(ctx, own), traces.Provider(), "SendBatch")
	span.End()
	traces.Close()
	require.Equal(t, own.SpanID(), out.spans[0].SpanContext().SpanID())
	require.Equal(t, own.TraceID(), out.spans[0].SpanContext().TraceID())
}

func TestAPanicIsInNoSpan(t *testing.T) {
	t.Parallel()
	out := &kept{}
	traces := open(t, tracing.Options{Exporter: out, Sample: 1})
	require.PanicsWithValue(t, "+15550001111", func() {
		_, span := tracing.Begin(t.Context(), traces.Provider(), "attempt")
		defer tracing.End(span)
		panic("+15550001111")
	})
	traces.Close()
	require.Len(t, out.spans, 1)
	require.Empty(t, out.spans[0].Events())
}

func TestQuietStartsNothingAndPassesTheSpanOn(t *testing.T) {
	t.Parallel()
	out := &kept{}
	traces := open(t, tracing.Options{Exporter: out, Sample: 1})
	ctx, span := tracing.Begin(t.Context(), traces.Provider(), "SendGroup")
	_, part := tracing.Start(tracing.Quiet(ctx), "attempt")
	part.End()
	require.Equal(t, tracing.Parent(ctx), tracing.Parent(tracing.Quiet(ctx)))
	span.End()
	traces.Close()
	require.Len(t, out.spans, 1)
}

func TestALostSpanIsLoggedWithoutTheAddress(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	core, logged := observer.New(zap.WarnLevel)
	traces := open(t, tracing.Options{Endpoint: gone.URL + "/hiddenpath", Sample: 1, Log: zap.New(core)})
	gone.Close()
	for range 3 {
		_, span := tracing.Begin(t.Context(), traces.Provider(), "submit")
		span.End()
	}
	traces.Close()
	require.Equal(t, 1, logged.Len())
	for _, field := range logged.All()[0].Context {
		require.NotContains(t, field.String, "hiddenpath")
	}
}

func TestAnAddressThatCannotBeUsedIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	_, err := tracing.Open(t.Context(), tracing.Options{Endpoint: "http://user:hidden@host:port"})
	require.ErrorContains(t, err, "http://collector:4318")
	require.NotContains(t, err.Error(), "hidden")
}

func TestNoTracesAreFree(t *testing.T) {
	var off *tracing.Traces
	require.Nil(t, off.Provider())
	off.Close()
	for name, ctx := range map[string]context.Context{"no trace": t.Context(), "the trace of a caller": tracing.WithParent(t.Context(), parent)} {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			sctx, span := tracing.Begin(ctx, off.Provider(), "attempt")
			if tracing.Active(sctx) {
				tracing.Set(sctx, tracing.Outcome.String("sent"))
			}
			tracing.End(span)
		}), name)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { tracing.ToHeader(t.Context(), nil) }))
}

func BenchmarkASpanThatNobodyWants(b *testing.B) {
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		_, span := tracing.Start(ctx, "attempt")
		tracing.End(span)
	}
}

func BenchmarkASpan(b *testing.B) {
	b.ReportAllocs()
	traces, err := tracing.Open(b.Context(), tracing.Options{Exporter: tracetest.NewNoopExporter(), Sample: 1})
	require.NoError(b, err)
	defer traces.Close()
	ctx, root := tracing.Begin(b.Context(), traces.Provider(), "SendBatch")
	defer root.End()
	for b.Loop() {
		_, span := tracing.Start(ctx, "attempt")
		tracing.End(span)
	}
}
