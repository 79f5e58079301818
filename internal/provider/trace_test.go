package provider_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"volley/internal/tracing"
)

func TestARequestIsASpanWithoutItsAddress(t *testing.T) {
	t.Parallel()
	srv := record(t, answer(http.StatusServiceUnavailable, `{"message":"+15550001111 url-secret-1"}`))
	out := tracetest.NewInMemoryExporter()
	spans := sdktrace.NewTracerProvider(sdktrace.WithSyncer(out))
	ctx, span := tracing.Begin(t.Context(), spans, "attempt")
	a := webhookAccount(srv.URL)
	_, err := openAt(t, a).Send(ctx, outgoing("volley", "+15550001111", `{}`))
	require.Error(t, err)
	require.NotEmpty(t, srv.got()[0].Header.Get("traceparent"), "a webhook is told its trace")
	a.URL = "http://127.0.0.1:1/hook?key=url-secret-1"
	_, err = openAt(t, a).Send(ctx, outgoing("volley", "+15550001111", `{}`))
	require.Error(t, err)
	bird := record(t, answer(http.StatusAccepted, `{"id":"1"}`))
	_, _ = openAt(t, birdAccount(bird.URL)).Send(ctx, outgoing("bird", "+15550001111", `{}`))
	require.Empty(t, bird.got()[0].Header.Get("traceparent"), "the API of a provider is not")
	span.End()

	got := out.GetSpans()
	require.Len(t, got, 4)
	said := map[string]string{}
	for _, s := range got[:3] {
		require.Equal(t, "request", s.Name)
		require.Empty(t, s.Events)
		require.Empty(t, s.Status.Description)
		for _, kv := range s.Attributes {
			said[string(kv.Key)] += kv.Value.String() + " "
		}
	}
	require.Equal(t, map[string]string{
		"http.request.method": "POST POST POST ", "http.response.status_code": "503 202 ", "error.type": "connection ",
	}, said)
}
