package activities_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

// BenchmarkGroup sends groups of 500 messages to a sink on this machine, four at
// once as a worker does, beside a bare loop that posts as many bodies of the same
// size with as many connections. bare/group is how many times faster the loop is.
func BenchmarkGroup(b *testing.B) {
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"id":"0191d9e0-7b4e-7c3a-9f55-0242ac120002"}`)
	}))
	defer sink.Close()
	account := provider.Account{Name: "hook", Provider: "webhook", URL: sink.URL, Secret: "a secret of some length", AllowPrivate: true, Concurrency: 64}
	registry, err := provider.Open([]provider.Account{account}, provider.Options{})
	require.NoError(b, err)
	defer registry.Close()
	st, dir := stored(b, 1000, func(_ int, m *message.Message) { m.TTL = 24 * time.Hour.Milliseconds() })
	acts := activities.New(activities.Options{
		Senders: registry, Accounts: []provider.Account{account}, Store: st, Heartbeats: &sleepy{wait: 2 * time.Millisecond},
	})

	groups := func(ctx context.Context, groups int) error {
		var wg sync.WaitGroup
		for at := range 4 {
			wg.Go(func() {
				for n := at; n < groups; n += 4 {
					from := n % 2 * 500
					res, err := acts.SendGroup(ctx, contract.GroupInput{Dir: dir, Segment: 1, Account: "hook", Spans: [][2]int{{from, from + 500}}})
					if got := kinds(res.Outcomes)["sent"]; err != nil || got != 500 {
						b.Errorf("%d of a group were sent: %v %v", got, kinds(res.Outcomes), err)
					}
				}
			})
		}
		wg.Wait()
		return nil
	}
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	n := (b.N + 499) / 500
	_, err = within(nil, groups, n)
	require.NoError(b, err)
	took := time.Since(began)
	b.StopTimer()
	rate := float64(n*500) / took.Seconds()
	bare := float64(n*500) / loop(b, sink.URL, n*500).Seconds()
	b.ReportMetric(rate, "messages/s")
	b.ReportMetric(bare, "bare/s")
	b.ReportMetric(bare/rate, "bare/group")
}

// loop posts n bodies over 64 connections.
func loop(b *testing.B, url string, n int) time.Duration {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	body := fmt.Appendf(nil, `{"type":"message","timestamp":"2026-01-01T00:00:00Z","data":{"content":{"text":"Hi Ann 1"},"filler":%q}}`, bytes.Repeat([]byte{'x'}, 200))
	began := time.Now()
	var wg sync.WaitGroup
	for at := range 64 {
		wg.Go(func() {
			for i := at; i < n; i += 64 {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				req.Header.Set("Content-Type", "application/json")
				res, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// sleepy takes every heartbeat after a while.
type sleepy struct{ wait time.Duration }

func (s *sleepy) RecordActivityHeartbeat(context.Context, []byte, ...any) error {
	time.Sleep(s.wait)
	return nil
}
