package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/index"
	"volley/internal/message"
)

// fakeIndex is an index that keeps what it was asked, and answers with err or one line.
type fakeIndex struct {
	find  index.FindQuery
	stats index.StatsQuery
	audit index.AuditQuery
	open  index.BatchesQuery
	err   error
}

func (x *fakeIndex) Find(_ context.Context, q index.FindQuery) (index.FindPage, error) {
	x.find = q
	return index.FindPage{Messages: []index.Found{{Batch: "b1", Tenant: "acme", ID: "m", To: "+15550001111", State: message.Sent, SentAt: &now}}, Next: "more"}, x.err
}

func (x *fakeIndex) Stats(_ context.Context, q index.StatsQuery) ([]index.Stat, error) {
	x.stats = q
	rate := 0.5
	return []index.Stat{{Key: "spring", Total: 2, Success: 1, DeliveryRate: &rate, Reasons: message.Reasons{}}}, x.err
}

func (x *fakeIndex) Batches(_ context.Context, q index.BatchesQuery) (index.BatchPage, error) {
	x.open = q
	return index.BatchPage{Batches: []index.Batch{{Tenant: "acme", ID: "b1", State: message.BatchPaused, Total: 2, CreatedAt: now}}}, x.err
}

func (x *fakeIndex) Audit(_ context.Context, q index.AuditQuery) ([]index.AuditEntry, string, error) {
	x.audit = q
	return []index.AuditEntry{{Line: json.RawMessage(`{"action":"cancel"}`)}, {}}, "", x.err
}

func withIndex(t *testing.T, x *fakeIndex, operator bool) *testEnv {
	t.Helper()
	return newEnv(t, func(o *gateway.Options) {
		o.Index = x
		o.Tenants[0].Operator = operator
	})
}

func TestATenantAsksTheIndexForItsOwn(t *testing.T) {
	t.Parallel()
	x := &fakeIndex{}
	b := withIndex(t, x, false)
	page := b.acme("GET", "/v1/messages?to=%2B15550001111&reference=c-1&providerId=p&state=not-sent&since=2h&limit=7&cursor=c", "").json(http.StatusOK)
	require.Equal(t, "more", page["next"])
	require.Equal(t, index.FindQuery{
		Tenant: "acme", To: "+15550001111", Reference: "c-1", ProviderID: "p", Since: now.Add(-2 * time.Hour), Limit: 7, Cursor: "c",
		States: []message.State{message.Failed, message.Rejected, message.Expired, message.Canceled},
	}, sorted(x.find))
	b.acme("GET", "/v1/stats?by=meta.campaign&tz=Europe/Berlin", "").json(http.StatusOK)
	require.Equal(t, "acme", x.stats.Tenant)
	require.Equal(t, now.Add(-7*24*time.Hour), x.stats.Since)
	require.Equal(t, "Europe/Berlin", x.stats.Zone.String())
	lines := b.acme("GET", "/v1/audit?batch=b1&action=cancel", "").json(http.StatusOK)
	require.Len(t, lines["entries"], 1, "what cannot be opened is left out")
	require.Equal(t, index.AuditQuery{Tenant: "acme", Batch: "b1", Action: "cancel"}, x.audit)
	for _, action := range []string{"bogus", "cancel,hold"} {
		require.Equal(t, http.StatusBadRequest, b.acme("GET", "/v1/audit?action="+action, "").Code, "nobody is to think that nothing was done")
	}
	for _, path := range []string{"/v1/messages?q=a&tenant=other", "/v1/stats?tenant=other", "/v1/audit?tenant=other"} {
		b.acme("GET", path, "").json(http.StatusBadRequest)
	}
}

func sorted(q index.FindQuery) index.FindQuery {
	var in []message.State
	for _, s := range []message.State{message.Failed, message.Rejected, message.Expired, message.Canceled} {
		for _, have := range q.States {
			if have == s {
				in = append(in, s)
			}
		}
	}
	q.States = in
	return q
}

func TestAnOperatorAsksTheIndexForAllOrOne(t *testing.T) {
	t.Parallel()
	x := &fakeIndex{}
	b := withIndex(t, x, true)
	b.acme("GET", "/v1/messages?q=c-1", "").json(http.StatusOK)
	require.Equal(t, index.FindQuery{Text: "c-1"}, x.find)
	b.acme("GET", "/v1/audit?tenant=other", "").json(http.StatusOK)
	require.Equal(t, "other", x.audit.Tenant)
}

func TestWhatTheIndexIsNotAskedFor(t *testing.T) {
	t.Parallel()
	b := withIndex(t, &fakeIndex{}, false)
	for _, path := range []string{
		"/v1/messages", "/v1/messages?to=", "/v1/messages?q=a&state=gone", "/v1/messages?q=a&since=yesterday", "/v1/messages?q=a&limit=-1", "/v1/stats?tz=Mars", "/v1/audit?who=ann",
	} {
		b.acme("GET", path, "").json(http.StatusBadRequest)
	}
	b.acme("POST", "/v1/stats", "").json(http.StatusMethodNotAllowed)
	b.call("GET", "/v1/stats", "").json(http.StatusUnauthorized)
}

func TestAGatewayWithoutAnIndexSaysSo(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	for _, path := range []string{"/v1/messages?q=a", "/v1/stats", "/v1/audit"} {
		require.Equal(t, "no_index", b.acme("GET", path, "").json(http.StatusNotImplemented)["code"])
	}
}

func TestAnIndexThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	x := &fakeIndex{err: index.ErrUnavailable}
	b := withIndex(t, x, false)
	for _, path := range []string{"/v1/messages?q=a", "/v1/stats", "/v1/audit"} {
		r := b.acme("GET", path, "")
		require.Equal(t, "unavailable", r.json(http.StatusServiceUnavailable)["code"])
		require.NotEmpty(t, r.Header().Get("Retry-After"))
	}
	x.err = index.ErrInvalid
	b.acme("GET", "/v1/stats?by=colour", "").json(http.StatusUnprocessableEntity)
}
