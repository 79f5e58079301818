package index_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
)

func TestWhoIsForgottenIsInNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := open(t, func(o *index.Options) { o.URL = "sqlite://" + filepath.Join(dir, "index.db") })
	ctx := t.Context()
	const number, reference, provider = "+4915123456789", "customer-4001", "provider-77"
	b := batch("b1")
	b.Reasons = message.Reasons{{State: message.Failed, Code: "http_400", Count: 1, Detail: "no such number " + number}}
	rows := []index.Message{
		{Index: 0, To: number, Reference: reference, ProviderID: provider, State: message.Failed, Code: "http_400", Detail: "not " + number, FinishedAt: noon(), Rev: 1},
		{Index: 1, To: "+4915100000001", Others: []string{number}, State: message.Sent, FinishedAt: noon(), Rev: 1},
		{Index: 2, To: "+4915100000002", State: message.Sent, FinishedAt: noon(), Rev: 1},
	}
	require.NoError(t, x.Put(ctx, b, rows))
	other := batch("b1")
	other.Tenant = "acme"
	require.NoError(t, x.Put(ctx, other, rows[:1]))
	_, err := x.Suppress(ctx, []index.Suppression{{Tenant: "default", Recipient: number}})
	require.NoError(t, err)
	before, err := x.Stats(ctx, index.StatsQuery{Tenant: "default", By: "code", Now: noon()})
	require.NoError(t, err)

	forget := func(tenant string) {
		t.Helper()
		_, err := x.Forget(ctx, index.ForgetQuery{Tenant: tenant, Recipient: "0151 23456789", Region: "DE", Values: []string{number, number[1:]}})
		require.NoError(t, err)
	}
	forget("default")
	page, err := x.Find(ctx, index.FindQuery{To: number})
	require.NoError(t, err)
	require.Len(t, page.Messages, 1, "another tenant's")
	require.Equal(t, "acme", page.Messages[0].Tenant)
	after, err := x.Stats(ctx, index.StatsQuery{Tenant: "default", By: "code", Now: noon()})
	require.NoError(t, err)
	require.Equal(t, before, after)
	list, _, err := x.Suppressions(ctx, index.SuppressionQuery{Recipient: number})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Empty(t, list[0].Recipient)

	// What comes late of an old batch brings nothing back, and a new batch may.
	rows[0].Rev, rows[0].State = 2, message.Delivered
	require.NoError(t, x.Put(ctx, b, rows[:1]))
	page, err = x.Find(ctx, index.FindQuery{Tenant: "default", Text: number})
	require.NoError(t, err)
	require.Empty(t, page.Messages)
	forget("acme")
	require.NoError(t, x.Compact(ctx))
	for _, name := range []string{"index.db", "index.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if name == "index.db" {
			require.NoError(t, err)
		}
		for _, value := range []string{number[1:], reference, provider} {
			require.False(t, bytes.Contains(raw, []byte(value)), "%s has %s", name, value)
		}
		if name == "index.db" {
			require.Contains(t, string(raw), "4915100000002", "others are there")
		}
	}
	later := batch("b2")
	later.CreatedAt = noon().Add(time.Hour)
	require.NoError(t, x.Put(ctx, later, rows[:1]))
	page, err = x.Find(ctx, index.FindQuery{Tenant: "default", To: number})
	require.NoError(t, err)
	require.Len(t, page.Messages, 1)
}
