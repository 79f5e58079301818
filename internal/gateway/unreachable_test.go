package gateway_test

import (
	"context"
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
