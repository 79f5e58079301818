package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/index"
	"volley/internal/person"
)

// listed is a suppression list in memory.
type listed struct {
	all []index.Suppression
	err error
}

func (l *listed) Suppress(_ context.Context, all []index.Suppression) (person.Suppressed, error) {
	l.all = append(l.all, all...)
	return person.Suppressed{Added: len(all), Canceled: &person.Canceled{Batches: 1, Messages: 1}}, l.err
}

func (l *listed) Unsuppress(_ context.Context, tenant string, recipients []string) (int, error) {
	before := len(l.all)
	l.all = slices.DeleteFunc(l.all, func(s index.Suppression) bool {
		return s.Tenant == tenant && slices.Contains(recipients, s.Recipient)
	})
	return before - len(l.all), l.err
}

func (l *listed) Suppressions(_ context.Context, q index.SuppressionQuery) (page []index.Suppression, next string, err error) {
	for _, s := range l.all {
		if slices.Contains(q.Tenants, s.Tenant) && (q.Recipient == "" || q.Recipient == s.Recipient) {
			page = append(page, s)
		}
	}
	return page, "", l.err
}

func (l *listed) suppressed(tenant, _ string, addresses []string) bool {
	return slices.ContainsFunc(l.all, func(s index.Suppression) bool {
		return (s.Tenant == "" || s.Tenant == tenant) && slices.Contains(addresses, s.Recipient)
	})
}

// withList gives a gateway a suppression list, and makes the second tenant an operator.
func withList(l *listed) func(o *gateway.Options) {
	return func(o *gateway.Options) {
		o.Suppressions, o.Suppressed = l, l.suppressed
		o.Tenants[1].Operator = true
	}
}

func TestATenantKeepsItsSuppressionList(t *testing.T) {
	t.Parallel()
	l := &listed{all: []index.Suppression{{Recipient: "+15550007777", Reason: "court order", By: "ann"}}}
	b := newEnv(t, withList(l))
	b.acme("POST", "/v1/suppressions", `{"recipients":["+1 555 000 1111","Bob@Example.com"],"reason":"asked","until":"30d"}`).json(http.StatusOK)
	require.Len(t, l.all, 3)
	require.Equal(t, index.Suppression{Tenant: "acme", Recipient: "bob@example.com", Reason: "asked", Until: l.all[2].Until, By: "acme/acme-main"}, l.all[2])
	require.False(t, l.all[2].Until.IsZero())

	page := b.acme("GET", "/v1/suppressions", "").json(http.StatusOK)
	require.Len(t, page["suppressions"], 2, "everybody's list is the operator's")
	one := b.acme("GET", "/v1/suppressions?recipient=%2B15550007777", "").json(http.StatusOK)
	require.Len(t, one["suppressions"], 1)
	require.NotContains(t, fmt.Sprint(one), "court")
	require.NotContains(t, fmt.Sprint(one), "ann")

	b.acme("POST", "/v1/suppressions", `{"recipient":"+15550001111","everybody":true}`).json(http.StatusForbidden)
	require.Equal(t, http.StatusBadRequest, b.acme("GET", "/v1/suppressions?recipient=", "").Code, "that is not all of the list")
	b.acme("DELETE", "/v1/suppressions?recipient=%2B15550001111", "").json(http.StatusOK)
	require.Len(t, l.all, 2)
	for _, body := range []string{`{}`, `{"recipient":"+15550001111","until":"yesterday"}`, `{"recipient":"1 555 000 1111 2222 3333"}`} {
		r := b.acme("POST", "/v1/suppressions", body)
		require.Equal(t, http.StatusUnprocessableEntity, r.Code, body)
		require.NotContains(t, r.Body.String(), "555")
	}
	l.err = index.ErrUnavailable
	b.acme("POST", "/v1/suppressions", `{"recipient":"+15550001111"}`).json(http.StatusServiceUnavailable)
}

func TestASubmitCountsWhoIsSuppressed(t *testing.T) {
	t.Parallel()
	l := &listed{all: []index.Suppression{{Tenant: "acme", Recipient: "+15550001111"}}}
	b := newEnv(t, withList(l))
	out := b.acme("POST", "/v1/batches?id=b1", `{"text":"hi","messages":[{"to":"+15550001111"},{"to":"+15550002222"}]}`).json(http.StatusAccepted)
	require.EqualValues(t, 1, out["suppressed"])
	require.EqualValues(t, 1, out["rejected"])
	require.Empty(t, out["problems"])
	out = b.acme("POST", "/v1/batches?id=b2", `{"text":"hi","messages":[{"to":"+15550001111"}]}`).json(http.StatusAccepted)
	require.EqualValues(t, 1, out["suppressed"], "a batch of nobody else has its row")
	for kind, body := range map[string]string{
		"application/json":     `{"text":"hi","messages":[{"to":"+15550001111"},{"to":"+15550002222"}]}`,
		"application/x-ndjson": "{\"text\":\"hi\"}\n{\"to\":\"+15550001111\"}\n{\"to\":\"+15550002222\"}\n",
	} {
		out = b.acme("POST", "/v1/batches:validate", body, "Content-Type: "+kind).json(http.StatusOK)
		require.EqualValues(t, 1, out["suppressed"], kind)
		require.EqualValues(t, 1, out["excluded"], kind)
		require.EqualValues(t, 1, out["valid"], kind)
	}
}

func TestWithoutAnIndexThereIsNoSuppressionList(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	require.Contains(t, strings.ToLower(b.acme("GET", "/v1/suppressions", "").Body.String()), "index")
	require.Equal(t, http.StatusNotImplemented, b.acme("POST", "/v1/suppressions", `{"recipient":"+15550001111"}`).Code)
}
