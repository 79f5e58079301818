package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/starter"
)

// list is JSON of n items; item gets the number of each.
func list(n int, item func(i int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(item(i))
	}
	return b.String()
}

func same(s string) func(int) string { return func(int) string { return s } }

// long is a text of n bytes.
func long(n int) string { return strings.Repeat("x", n) }

// forgetful keeps nothing of what is read bit by bit, as a starter does.
type forgetful struct{ *fake }

func (f forgetful) StartLarge(_ context.Context, _ starter.Request, in starter.Incoming) (starter.Started, error) {
	out := starter.Started{ID: "new", Problems: message.Problems{}}
	for m := (message.Message{}); in.Next(&m); m = (message.Message{}) {
		if out.Total++; len(m.Problems) > 0 {
			out.Rejected++
		}
	}
	_, err := in.End()
	if err == nil && out.Total == out.Rejected {
		err = &starter.NoneValidError{Started: out}
	}
	return out, err
}

// measured is how many bytes of memory are in use at most, more than before, while f
// runs, as far as is seen.
func measured(t *testing.T, f func()) int {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	inUse := func() int {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		return int(s[0].Value.Uint64())
	}
	before := inUse()
	most := before
	ended, seen := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(seen)
		for {
			select {
			case <-ended:
				return
			default:
				most = max(most, inUse())
				runtime.Gosched()
			}
		}
	}()
	f()
	close(ended)
	<-seen
	return most - before
}

// A request of about a megabyte takes memory in proportion to it, and no answer repeats
// it for each of its messages.
func TestARequestCostsWhatItsSizeSays(t *testing.T) {
	// Not parallel: it measures the memory of the process.
	const (
		mega = 1 << 20
		// An answer shows up to 100 problems.
		largestAnswer = 300 << 10
	)
	names := func(n int) string {
		return strings.ReplaceAll(list(n, func(i int) string { return fmt.Sprintf("${n%d}", i) }), ",", "")
	}
	volley := func(header, messages string) string { return `{` + header + `,"messages":[` + messages + `]}` }
	v1 := "/v1/batches"
	for name, c := range map[string]struct {
		target, body string
		status       int
	}{
		"metadata that every message repeats":                {v1, volley(`"account":"hook","text":"hi","metadata":{"k":"`+long(mega)+`"}`, list(5000, same(`{"to":"+15550001111","metadata":{}}`))), 422},
		"metadata that every line repeats":                   {v1, `{"account":"hook","text":"hi","metadata":{"k":"` + long(100_000) + `"}}` + strings.Repeat("\n"+`{"to":"+15550001111","metadata":{"a":"b"}}`, 10_000), 422},
		"an account that no configuration has":               {v1, volley(`"account":"`+long(mega)+`"`, list(5000, same(`{"to":"1"}`))), 422},
		"a channel that no route has":                        {v1, volley(`"text":"hi","channel":"`+long(mega)+`"`, list(5000, same(`{"to":"1"}`))), 422},
		"a channel that every message has":                   {v1, volley(`"account":"hook","text":"hi","channel":"`+long(mega)+`"`, list(5000, same(`{"to":"1"}`))), 422},
		"a channel for each message":                         {v1, volley(`"account":"hook","text":"hi"`, list(30_000, func(i int) string { return fmt.Sprintf(`{"to":"1","channel":"c%d"}`, i) })), 202},
		"a long parameter that every message lacks":          {v1, volley(`"account":"hook","text":"${`+long(mega)+`}"`, list(5000, same(`{"to":"1"}`))), 422},
		"very many parameters that every message lacks":      {v1, volley(`"account":"hook","text":"`+names(120_000)+`"`, list(5000, same(`{"to":"1"}`))), 422},
		"many parameters that every message lacks":           {v1, volley(`"account":"hook","text":"`+names(1000)+`"`, list(40_000, same(`{"to":"1"}`))), 422},
		"very many parameters of no message":                 {v1, volley(`"account":"hook","text":"`+names(120_000)+`"`, list(5000, same(`{"to":"1","text":"y"}`))), 422},
		"very many parameters of a message":                  {v1, volley(`"account":"hook"`, `{"to":"1","text":"`+names(120_000)+`"}`), 422},
		"a placeholder very many times":                      {v1, volley(`"account":"hook","text":"x`+strings.Repeat("${a}", 120_000)+`"`, list(20_000, same(`{"to":"1","params":{"a":""}}`))), 202},
		"a time that is none":                                {v1, volley(`"account":"hook","text":"x","sendAfter":"`+long(mega)+`"`, list(500, same(`{"to":"1"}`))), 422},
		"a wait and a region that are none":                  {v1, volley(`"account":"hook","text":"x","awaitReports":"`+long(mega/2)+`","defaultRegion":"`+long(mega/2)+`"`, list(500, same(`{"to":"1"}`))), 422},
		"fields that nobody knows":                           {v1, volley(`"account":"hook","text":"x","`+long(mega/2)+`":1`, `{"to":"1","`+long(mega/2)+`":1}`), 422},
		"small messages":                                     {v1, volley(`"account":"hook","text":"hi"`, list(90_000, same(`{"to":"1"}`))), 202},
		"small messages that are wrong":                      {v1, volley(`"account":"hook"`, list(90_000, same(`{"to":"1"}`))), 422},
		"messages that are none":                             {v1, volley(`"account":"hook","text":"hi"`, list(500_000, same("0"))), 422},
		"small rows":                                         {v1 + "?account=hook&text=hi", "to\n" + strings.Repeat("1\n", 400_000), 422},
		"columns that a text does not find":                  {v1 + "?account=hook&text=" + strings.ReplaceAll(strings.ReplaceAll(names(1000), "{", "%7B"), "}", "%7D"), list(900, func(i int) string { return "c" + long(900) + fmt.Sprint(i) }) + ",to" + strings.Repeat("\n"+strings.Repeat(",", 900)+"1", 200), 422},
		"a key of a control":                                 {v1 + "/b1:cancel", `{"` + long(mega) + `":1}`, 400},
		"texts of Sinch that each recipient leaves empty":    {sinchMessages, `{"app_id":"` + app + `","message":{"explicit_channel_message":{` + list(9000, func(i int) string { return fmt.Sprintf(`"c%d":"${a}"`, i) }) + `}},"recipient_and_params":[` + list(1000, same(`{"recipient":{"contact_id":"c"},"parameters":{"a":""}}`)) + `]}`, 400},
		"long parameters that each recipient of Sinch lacks": {sinchMessages, `{"app_id":"` + app + `","message":{"text_message":{"text":"` + strings.ReplaceAll(list(900, func(i int) string { return "${" + long(1000) + fmt.Sprint(i) + "}" }), ",", "") + `"}},"recipient_and_params":[` + list(1000, same(`{"recipient":{"contact_id":"c"}}`)) + `]}`, 200},
		"very many parameters of Sinch":                      {sinchMessages, `{"app_id":"` + app + `","message":{"text_message":{"text":"` + names(120_000) + `"}},"recipient_and_params":[` + list(1000, same(`{"recipient":{"contact_id":"c"}}`)) + `]}`, 400},
		"deep keys of Bird":                                  {birdChannel + "/batch/messages", `{"messageRequests":[{` + strings.Repeat(`"`+long(100)+`":{`, 90) + list(40_000, func(i int) string { return fmt.Sprintf(`"k%d":1`, i) }) + strings.Repeat("}", 90) + `}]}`, 202},
		"deep keys of Bird with wrong characters":            {birdChannel + "/batch/messages", `{"messageRequests":[{` + strings.Repeat(`"`+long(100)+`":{`, 90) + list(9000, func(i int) string { return fmt.Sprintf(`"k%d":"\u0000"`, i) }) + strings.Repeat("}", 90) + `}]}`, 202},
		"patterns of IMKIT": {"/messages/batch", `{"messageType":"text","message":"` + strings.ReplaceAll(list(1000, func(i int) string { return fmt.Sprintf("$p%d$", i) }), ",", "") + `","paras":[` + list(1000, func(int) string {
			return `{"receiver":"r",` + list(20, func(i int) string { return fmt.Sprintf(`"$p%d$":" "`, i) }) + `}`
		}) + `]}`, 200},
		"facets of Bluesky": {"/xrpc/chat.bsky.convo.sendMessageBatch", `{"items":[{"convoId":"c","message":{"text":"x","facets":[` + list(90_000, same(`{}`)) + `]}}]}`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			b := newEnv(t, func(o *gateway.Options) {
				o.Batches, o.Limits.BodyBytes = forgetful{o.Batches.(*fake)}, 64<<20
			})
			headers := []string{"IM-API-KEY: " + acmeKey, "Content-Type: application/json"}
			if strings.HasPrefix(c.target, "/workspaces") {
				headers = append(headers, "Authorization: AccessKey "+acmeKey)
			} else {
				headers = append(headers, "Authorization: Bearer "+acmeKey)
			}
			peak := measured(t, func() {
				r := b.call(http.MethodPost, c.target, c.body, headers...)
				t.Logf("%d to %d bytes: %d bytes, %.200s", r.Code, len(c.body), r.Body.Len(), r.Body.String())
				require.Equal(t, c.status, r.Code)
				largest := largestAnswer
				if c.target == sinchMessages { // it is told of more problems than others
					largest += mega
				}
				require.LessOrEqual(t, r.Body.Len(), largest)
			})
			t.Logf("at most %d MiB at once", peak>>20)
			require.LessOrEqual(t, peak, 8*len(c.body)+50*mega)
		})
	}
}

// Large requests of one tenant are refused beyond what it leaves to others; small ones
// never are.
func TestBytesOfRequestsUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newEnv(t, nil)
		begun := `{"account":"hook","text":"hi"}` + strings.Repeat("\n"+`{"to":"+15550001111"}`, 80_000)
		var all sync.WaitGroup
		upload := func(key string) (w *httptest.ResponseRecorder, end func()) {
			body, rest := io.Pipe()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/batches", body)
			r.Header.Set("Authorization", "Bearer "+key)
			w = httptest.NewRecorder()
			all.Go(func() { _, _ = io.WriteString(rest, begun) }) // a refused one is not read
			all.Go(func() {
				b.g.ServeHTTP(w, r)
				_ = body.Close()
			})
			synctest.Wait()
			return w, func() { _ = rest.Close() }
		}
		var ends []func()
		for range 16 { // of 8 MiB each, and as much is left
			w, end := upload(acmeKey)
			ends = append(ends, end)
			require.Empty(t, w.Body.String())
		}
		w, _ := upload(acmeKey)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body.String())
		require.Equal(t, "5", w.Header().Get("Retry-After"))
		require.Equal(t, "close", w.Header().Get("Connection"))
		require.Equal(t, http.StatusAccepted, b.acme("POST", "/v1/batches", one).Code, "a small one")
		w, end := upload(otherKey)
		require.Empty(t, w.Body.String(), "another tenant's")
		end()
		for _, end := range ends {
			end()
		}
		all.Wait()
		w, end = upload(acmeKey)
		end()
		all.Wait()
		require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
	})
}

func TestTheBytesOfAnyRequestCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, target := range []string{"/v1/batches", "/v1/batches:validate", "/v1/batches:test?to=%2B15550009999", "/v1/batches?dialect=sinch", sinchMessages, birdSubmit, "/messages/batch", "/xrpc/chat.bsky.convo.sendMessageBatch", "/v1/batches/b:cancel"} {
			b := newEnv(t, func(o *gateway.Options) { o.Limits.BodyBytes = 64 << 20 })
			b.acme("POST", "/v1/batches?id=b", one).json(http.StatusAccepted)
			b.g.HoldAtMost(8 << 20)
			var all sync.WaitGroup
			var refused atomic.Int32
			ctx, cancel := context.WithCancel(t.Context())
			for range 8 {
				body, rest := io.Pipe()
				all.Go(func() {
					_, _ = rest.Write([]byte("{" + strings.Repeat(" ", 1<<20))) // a refused one is not read
					<-ctx.Done()
					_ = rest.CloseWithError(io.ErrUnexpectedEOF)
				})
				all.Go(func() {
					r := httptest.NewRequestWithContext(ctx, http.MethodPost, target, body)
					r.Header.Set("IM-API-KEY", acmeKey)
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("Authorization", "Bearer "+acmeKey)
					if target == birdSubmit {
						r.Header.Set("Authorization", "AccessKey "+acmeKey)
					}
					w := httptest.NewRecorder()
					b.g.ServeHTTP(w, r)
					_ = body.Close()
					if w.Code == http.StatusServiceUnavailable {
						refused.Add(1)
					}
				})
				synctest.Wait()
			}
			require.EqualValues(t, 4, refused.Load(), target)
			cancel()
			all.Wait()
		}
	})
}

// deadlines notes until when a request's body may be read.
type deadlines struct {
	*httptest.ResponseRecorder
	last time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.last = at
	return nil
}

// steady is a body of parts that come without a pause.
type steady struct {
	parts   int
	longest time.Duration
	until   *deadlines
}

func (s *steady) Read(p []byte) (int, error) {
	s.longest = max(s.longest, time.Until(s.until.last))
	if s.parts--; s.parts < 0 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// What came fast gives nobody the right to be slow afterwards.
func TestABodyMayNotStopForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newEnv(t, nil)
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		body := &steady{parts: 100, until: w}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/batches/b:cancel", body)
		r.Header.Set("Authorization", "Bearer "+acmeKey)
		b.g.ServeHTTP(w, r)
		require.Equal(t, 30*time.Second, body.longest)
	})
}

// Nobody works for a client that has left.
func TestADecodingEndsWithItsClient(t *testing.T) {
	t.Parallel()
	messages := list(1000, same(`{"to":"+15550001111"}`))
	for name, body := range map[string]string{
		"as a whole":     `{"account":"hook","text":"hi","messages":[` + messages + `]}`,
		"line by line":   `{"account":"hook","text":"hi"}` + strings.Repeat("\n"+`{"to":"+15550001111"}`, 1000),
		"one by one":     `{"account":"hook","text":"hi","messages":[` + list(60_000, same(`{"to":"+15550001111"}`)) + `]}`,
		"bit by bit":     `{"account":"hook","text":"hi"}` + strings.Repeat("\n"+`{"to":"+15550001111"}`, 300_000),
		"when it is bad": `{"account":"hook","messages":[` + list(60_000, same(`{"to":"+15550001111"}`)) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newEnv(t, func(o *gateway.Options) { o.Limits.BodyBytes, o.Limits.Messages = 64<<20, 1_000_000 })
			ctx, leave := context.WithCancel(t.Context())
			leave()
			r := b.callWith(ctx, http.MethodPost, "/v1/batches?id=soon", body, "Authorization: Bearer "+acmeKey)
			if b.g.GiveUpAfter(0); r.Code == http.StatusAccepted { // what takes no time is taken all the same
				require.Len(t, b.batches, 1)
				clear(b.batches)
			}
			r = b.callWith(ctx, http.MethodPost, "/v1/batches", body, "Authorization: Bearer "+acmeKey)
			require.Equal(t, "the request was given up", r.json(http.StatusServiceUnavailable)["detail"])
			require.Empty(t, b.batches)
		})
	}
}

// Large requests of one tenant are decoded on a part of the processors, so that others need
// not wait for theirs.
func TestLargeRequestsOfATenantTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newEnv(t, nil)
		large := strings.Replace(one, "{", "{"+strings.Repeat(" ", 100<<10), 1)
		done := b.g.Decode("acme")
		answered := make(chan int, 1)
		go func() { answered <- b.acme("POST", "/v1/batches?id=late", large).Code }()
		synctest.Wait()
		require.Empty(t, answered)
		require.Equal(t, http.StatusAccepted, b.acme("POST", "/v1/batches?id=small", one).Code)
		require.Equal(t, http.StatusAccepted, b.call("POST", "/v1/batches?id=others", large, "Authorization: Bearer "+otherKey).Code)
		done()
		require.Equal(t, http.StatusAccepted, <-answered)
	})
}
