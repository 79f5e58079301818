package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/starter"
)

func TestAClientThatHangsUpIsNoErrorOfTheServers(t *testing.T) {
	t.Parallel()
	type seen struct {
		route  string
		status int
	}
	for target, route := range map[string]string{
		"/v1/batches/b1": "GET /v1/batches/{id}", "/v1/batches/b1/messages": "GET /v1/batches/{id}/messages", "/readyz": "GET /readyz",
	} {
		var observed []seen
		b := newEnv(t, func(o *gateway.Options) {
			o.Observe = func(route string, status int, _ time.Duration) { observed = append(observed, seen{route, status}) }
			o.Ready = func(ctx context.Context) error { return ctx.Err() }
		})
		b.acme("POST", "/v1/batches?id=b1", one)
		observed = nil
		b.status = func(starter.Ref) (message.Status, error) {
			return message.Status{}, fmt.Errorf("batch b1: %w", context.Canceled)
		}
		b.page = func(starter.Ref) error { return fmt.Errorf("batch b1: %w", context.Canceled) }
		ctx, hangUp := context.WithCancel(t.Context())
		hangUp()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		r.Header.Set("Authorization", "Bearer "+acmeKey)
		b.g.ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, []seen{{route, 499}}, observed)
	}
}

// While the keyset is not right nothing is read or taken, in every dialect's own words, and
// health checks answer.
func TestAGatewayWithoutTheKeyTakesNothing(t *testing.T) {
	t.Parallel()
	closed := errors.New("key 42 is missing")
	b := newEnv(t, func(o *gateway.Options) { o.Closed = func() error { return closed } })
	for _, c := range []struct{ method, target, body string }{
		{"POST", "/v1/batches?id=b1", one}, {"GET", "/v1/batches/b1", ""},
	} {
		r := b.acme(c.method, c.target, c.body)
		require.Equal(t, http.StatusServiceUnavailable, r.Code, c.target)
		require.Equal(t, "5", r.Header().Get("Retry-After"), c.target)
		require.NotContains(t, r.Body.String(), "42", "the key is the operator's business")
	}
	require.Empty(t, b.requests)
	require.Equal(t, http.StatusOK, b.acme("GET", "/healthz", "").Code)
	closed = nil
	require.Equal(t, http.StatusAccepted, b.acme("POST", "/v1/batches?id=b1", one).Code)
}
