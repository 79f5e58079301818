package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

func TestWhatIsStuckIsToldWithTheRequestThatLetsItGo(t *testing.T) {
	t.Parallel()
	x := &fakeIndex{}
	due := now.Add(-time.Hour)
	row := message.Row{State: message.Accepted, DueAt: &due, Rev: 1}
	state := message.BatchPaused
	open := func(operator bool) *testEnv {
		b := withIndex(t, x, operator)
		b.acme("POST", "/v1/batches?id=b1", `{"text":"hi","messages":[{"to":"+15550001111"},{"to":"+15550001112"}]}`).json(http.StatusAccepted)
		b.fake.rows = func(starter.Ref) []message.Row { return []message.Row{row, row} }
		b.fake.status = func(ref starter.Ref) (message.Status, error) {
			return message.Status{Tenant: ref.Tenant, ID: ref.ID, State: state, Total: 2}, nil
		}
		return b
	}
	stuck := func(b *testEnv) map[string]any {
		t.Helper()
		report := b.acme("GET", "/v1/stuck", "").json(http.StatusOK)
		require.InDelta(t, 1, report["asked"], 0)
		require.Empty(t, report["unread"])
		groups := report["groups"].([]any)
		require.Len(t, groups, 1, "%v", report)
		return groups[0].(map[string]any)
	}
	b := open(false)
	group := stuck(b)
	require.Equal(t, []any{"paused", 2.0, "POST /v1/batches/b1:resume"}, []any{group["why"], group["messages"], group["do"]})
	require.Equal(t, "acme", x.open.Tenant, "a tenant asks for its own")
	row.Code, state = message.CodeHeld, message.BatchRunning
	require.Equal(t, []any{"held", ""}, []any{stuck(b)["why"], stuck(b)["do"]}, "most holds are an operator's")
	operator := open(true)
	require.Equal(t, "POST /v1/holds:release", stuck(operator)["do"])
	row.Account = "sms"
	require.Equal(t, "POST /v1/accounts/sms:release", stuck(operator)["do"])
	require.Empty(t, b.acme("GET", "/v1/stuck?for=2h", "").json(http.StatusOK)["groups"], "it waits an hour only")

	for _, query := range []string{"for=soon", "for=-1m", "tenant=other", "by=x"} {
		require.Equal(t, http.StatusBadRequest, b.acme("GET", "/v1/stuck?"+query, "").Code, query)
	}
	x.err = index.ErrUnavailable
	require.Equal(t, http.StatusServiceUnavailable, b.acme("GET", "/v1/stuck", "").Code)
	require.Equal(t, http.StatusNotImplemented, newEnv(t, nil).acme("GET", "/v1/stuck", "").Code)
}

// What asks up to 200 batches counts as many reads, or as all that a tenant has at once.
func TestAskingWhatIsStuckCountsAsManyReads(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		o.Index = &fakeIndex{}
		o.Tenants[0].ReadRate = 5
	})
	require.Equal(t, http.StatusOK, b.acme("GET", "/v1/stuck", "").Code)
	require.Equal(t, http.StatusTooManyRequests, b.acme("GET", "/v1/batches", "").Code)
}
