package index_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
)

func TestSuppressionsAreAddedChangedAndRemoved(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	ctx := t.Context()
	n, err := x.Suppress(ctx, []index.Suppression{
		{Tenant: "acme", Recipient: "+4915123456789", Reason: "asked", Source: "mail", By: "ann"},
		{Tenant: "acme", Recipient: "Bob@Example.com", Until: noon().Add(time.Hour)},
		{Tenant: "acme", Recipient: "bob@example.com", Reason: "twice", Until: noon().Add(2 * time.Hour)},
		{Recipient: "+4915123456789"},
		{Tenant: "acme", Recipient: "over", Until: noon().Add(-time.Second)},
	})
	require.NoError(t, err)
	require.Equal(t, 4, n)
	n, err = x.Suppress(ctx, []index.Suppression{{Tenant: "acme", Recipient: "+4915123456789", Reason: "asked again", By: "bob"}})
	require.NoError(t, err)
	require.Zero(t, n, "it is on the list")

	page, next, err := x.Suppressions(ctx, index.SuppressionQuery{Tenants: []string{"acme"}})
	require.NoError(t, err)
	require.Empty(t, next)
	require.Len(t, page, 2, "what is over is not on it")
	require.Equal(t, "+4915123456789", page[0].Recipient, "what changed last is first")
	require.Equal(t, "asked again", page[0].Reason)
	require.Equal(t, "bob@example.com", page[1].Recipient)
	require.Equal(t, "twice", page[1].Reason)
	require.Equal(t, noon().Add(2*time.Hour), page[1].Until)

	first, next, err := x.Suppressions(ctx, index.SuppressionQuery{Limit: 1})
	require.NoError(t, err)
	rest, _, err := x.Suppressions(ctx, index.SuppressionQuery{Cursor: next})
	require.NoError(t, err)
	require.Len(t, rest, 2)
	require.Equal(t, "acme", first[0].Tenant)
	require.Empty(t, rest[0].Tenant, "everybody's")

	removed, err := x.Unsuppress(ctx, "acme", []string{"+4915123456789", "nobody", page[1].Key})
	require.NoError(t, err)
	require.Equal(t, 2, removed)
	page, _, err = x.Suppressions(ctx, index.SuppressionQuery{Recipient: "+4915123456789"})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Empty(t, page[0].Tenant)
}

func TestReadersOfSuppressionsMissNoChange(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	ctx := t.Context()
	_, err := x.Suppress(ctx, []index.Suppression{{Tenant: "acme", Recipient: "+4915100000001"}, {Tenant: "acme", Recipient: "+4915100000002"}})
	require.NoError(t, err)
	changes, last, err := x.SuppressedSince(ctx, 0, 1)
	require.NoError(t, err)
	require.Len(t, changes, 1)
	changes, last, err = x.SuppressedSince(ctx, last, 10)
	require.NoError(t, err)
	require.Equal(t, []index.SuppressionChange{{Tenant: "acme", Hash: x.HashSuppressed("0151 00000002", "DE")}}, changes)
	_, err = x.Unsuppress(ctx, "acme", []string{"+4915100000001"})
	require.NoError(t, err)
	changes, last, err = x.SuppressedSince(ctx, last, 10)
	require.NoError(t, err)
	require.Equal(t, []index.SuppressionChange{{Tenant: "acme", Hash: x.HashSuppressed("+4915100000001", ""), Removed: true}}, changes)
	changes, again, err := x.SuppressedSince(ctx, last, 10)
	require.NoError(t, err)
	require.Empty(t, changes)
	require.Equal(t, last, again)
}

func TestWhatWasRemovedLongAgoIsDeleted(t *testing.T) {
	t.Parallel()
	now := noon()
	x := open(t, func(o *index.Options) { o.Now = func() time.Time { return now } })
	ctx := t.Context()
	_, err := x.Suppress(ctx, []index.Suppression{{Recipient: "a"}, {Recipient: "b"}, {Recipient: "c", Until: now.Add(time.Hour)}})
	require.NoError(t, err)
	_, err = x.Unsuppress(ctx, "", []string{"a"})
	require.NoError(t, err)
	now = now.Add(8 * 24 * time.Hour)
	require.NoError(t, x.Expire(ctx))
	changes, _, err := x.SuppressedSince(ctx, 0, 10)
	require.NoError(t, err)
	require.Equal(t, []index.SuppressionChange{{Hash: x.HashSuppressed("b", "")}}, changes)
}

// BenchmarkSuppress imports recipients into a file, a million with VOLLEY_BENCH_MILLION.
func BenchmarkSuppress(b *testing.B) {
	n := 20_000
	if _, all := os.LookupEnv("VOLLEY_BENCH_MILLION"); all {
		n = 1_000_000
	}
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "index.db")
		x := open(b, func(o *index.Options) { o.URL = "sqlite://" + path })
		some := make([]index.Suppression, 10_000)
		for from := 0; from < n; from += len(some) {
			for i := range some {
				some[i] = index.Suppression{Tenant: "acme", Recipient: fmt.Sprintf("+4915%09d", from+i), Reason: "import"}
			}
			_, err := x.Suppress(b.Context(), some)
			require.NoError(b, err)
		}
		info, err := os.Stat(path)
		require.NoError(b, err)
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	}
}
