package suppression_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/index"
	"volley/internal/suppression"
)

// database answers with its changes as long as it is not away.
type database struct {
	changes []index.SuppressionChange
	away    atomic.Bool
	reads   atomic.Int64
}

var errAway = errors.New("away")

func (d *database) SuppressedSince(_ context.Context, seq int64, limit int) ([]index.SuppressionChange, int64, error) {
	d.reads.Add(1)
	if d.away.Load() {
		return nil, 0, errAway
	}
	to := min(int(seq)+limit, len(d.changes))
	return d.changes[seq:to], int64(to), nil
}

func (d *database) HashSuppressed(recipient, _ string) index.SuppressionHash { return hash(recipient) }

func hash(s string) (h index.SuppressionHash) {
	copy(h[:], s)
	return h
}

func newList(d *database, change func(*suppression.Options)) *suppression.List {
	o := suppression.Options{Open: func(context.Context) (suppression.Source, error) {
		if d.away.Load() {
			return nil, errAway
		}
		return d, nil
	}}
	if change != nil {
		change(&o)
	}
	return suppression.New(o)
}

func TestAListHoldsForItsTenantAndForEverybody(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	d := &database{changes: []index.SuppressionChange{
		{Tenant: "acme", Hash: hash("ann")},
		{Hash: hash("all")},
		{Tenant: "acme", Hash: hash("gone")},
		{Tenant: "acme", Hash: hash("gone"), Removed: true},
		{Tenant: "acme", Hash: hash("until"), Until: now.Add(time.Minute).UnixMilli()},
	}}
	l := newList(d, func(o *suppression.Options) { o.Now = func() time.Time { return now } })
	_, unknown := l.Unknown("acme")
	require.True(t, unknown, "it was not read yet")
	require.NoError(t, l.Load(t.Context()))
	require.Equal(t, 3, l.Len())
	on := func(tenant string, addresses ...string) bool { return l.Suppressed(tenant, "", addresses) }
	require.True(t, on("acme", "other", "ann"))
	require.False(t, on("globex", "ann"))
	require.True(t, on("globex", "all"))
	require.False(t, on("acme", "gone"))
	require.True(t, on("acme", "until"))
	now = now.Add(time.Minute)
	require.False(t, on("acme", "until"))
}

func TestMessagesWaitWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		var told atomic.Bool
		d := &database{changes: []index.SuppressionChange{{Tenant: "acme", Hash: hash("ann")}, {Tenant: "free", Hash: hash("ann")}}}
		l := newList(d, func(o *suppression.Options) {
			o.Log = zap.New(core)
			o.SendsUnknown = func(tenant string) bool { return tenant == "free" }
			o.Observe = func(_ int, unknown bool) { told.Store(unknown) }
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx) }()
		unknown := func(tenant string) bool { _, is := l.Unknown(tenant); return is }
		synctest.Wait()
		require.False(t, unknown("acme"))
		d.away.Store(true)
		time.Sleep(time.Second)
		require.False(t, unknown("acme"), "within the bound")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.True(t, unknown("acme"))
		require.False(t, unknown("globex"), "it had no list")
		require.False(t, unknown("free"), "its configuration says so")
		require.True(t, l.Suppressed("free", "", []string{"ann"}), "by what is known")
		require.True(t, told.Load())
		d.away.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		require.False(t, unknown("acme"))
		require.False(t, told.Load())
		require.Equal(t, 2, logs.Len(), "once when it begins, and once when it ends")
		cancel()
		<-done
	})
}

func TestAListThatWasNeverReadHoldsEverybody(t *testing.T) {
	t.Parallel()
	d := &database{}
	d.away.Store(true)
	l := newList(d, nil)
	require.Error(t, l.Load(t.Context()))
	_, unknown := l.Unknown("globex")
	require.True(t, unknown)
	require.False(t, l.Suppressed("globex", "", []string{"ann"}))
	d.away.Store(false)
	require.NoError(t, l.Load(t.Context()))
	_, unknown = l.Unknown("globex")
	require.False(t, unknown)
}

// BenchmarkMillion loads a list from a file, and checks as many recipients: a million with
// VOLLEY_BENCH_MILLION.
func BenchmarkMillion(b *testing.B) {
	n := 20_000
	if _, all := os.LookupEnv("VOLLEY_BENCH_MILLION"); all {
		n = 1_000_000
	}
	x, err := index.Open(b.Context(), index.Options{URL: "sqlite://" + filepath.Join(b.TempDir(), "index.db")})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, x.Close()) })
	recipient := func(i int) string { return fmt.Sprintf("+4915%09d", i) }
	some := make([]index.Suppression, 10_000)
	for from := 0; from < n; from += len(some) {
		for i := range some {
			some[i] = index.Suppression{Tenant: "acme", Recipient: recipient(from + i)}
		}
		_, err := x.Suppress(b.Context(), some)
		require.NoError(b, err)
	}
	for b.Loop() {
		before := heap()
		began := time.Now()
		l := suppression.New(suppression.Options{Open: func(context.Context) (suppression.Source, error) { return x, nil }})
		require.NoError(b, l.Load(b.Context()))
		require.Equal(b, n, l.Len())
		loaded := time.Now()
		one := make([]string, 1)
		for i := range n {
			one[0] = recipient(i * 2)
			require.Equal(b, i*2 < n, l.Suppressed("acme", "", one))
		}
		b.ReportMetric(loaded.Sub(began).Seconds(), "s/load")
		b.ReportMetric(time.Since(loaded).Seconds(), "s/check")
		b.ReportMetric(float64(heap()-before)/1e6, "MB/list")
		runtime.KeepAlive(l)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
