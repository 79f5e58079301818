package gateway_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

const reportKey = "report-secret"

// reporter keeps what it is given. With gather set it answers that long after the first
// of them came, to all who have come meanwhile, as a signal does.
type reporter struct {
	err error
	// closed is why the gateway takes nothing.
	closed error
	gather time.Duration
	// foreign is how many of the reports are of no batch that is known.
	foreign int
	// counted are the reports that came to nothing, by account and outcome.
	counted map[string]int

	mu      sync.Mutex
	got     []message.Report
	signals int
	left    chan struct{} // closed when what is gathered leaves
}

func (r *reporter) Add(_ context.Context, reports []message.Report) (starter.ReportOutcome, error) {
	if r.err != nil {
		return starter.ReportOutcome{}, r.err
	}
	if left := r.take(reports); left != nil {
		<-left
	}
	return starter.ReportOutcome{Accepted: len(reports) - r.foreign, Foreign: r.foreign}, nil
}

func (r *reporter) take(reports []message.Report) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, reports...)
	if r.left == nil && r.gather > 0 {
		left := make(chan struct{})
		r.left = left
		r.signals++
		time.AfterFunc(r.gather, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.left = nil
			close(left)
		})
	}
	return r.left
}

// reportEnv takes reports at a Sinch account, and a Bird account behind a proxy.
func reportEnv(t *testing.T, public string) (*testEnv, *reporter) {
	t.Helper()
	readers, err := provider.Open([]provider.Account{
		{
			Name: "sinch-eu", Provider: "sinch", BaseURL: "https://sinch.example.com", TokenURL: "https://sinch.example.com/token",
			Project: project, App: app, KeyID: "k", KeySecret: "s", ReportSecret: reportKey,
		},
		{
			Name: "bird-main", Provider: "bird", BaseURL: "https://bird.example.com", Workspace: workspace, Channel: channel, AccessKey: "k",
			ReportSecret: reportKey,
		},
		{Name: "hook", Provider: "webhook", URL: "https://hook.example.com", Secret: "s3cret", ReportSecret: reportKey},
		{Name: "silent", Provider: "bird", BaseURL: "https://bird.example.com", Workspace: workspace, Channel: channel, AccessKey: "k"},
	}, provider.Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(readers.Close)
	rep := &reporter{counted: map[string]int{}}
	return newEnv(t, func(o *gateway.Options) {
		o.Readers, o.Reporter, o.PublicURL = readers, rep, public
		o.Closed = func() error { return rep.closed }
		o.CountReports = func(account, outcome string, n int) {
			rep.mu.Lock()
			defer rep.mu.Unlock()
			rep.counted[account+" "+outcome] += n
		}
	}), rep
}

// sinch signs a body as Sinch does.
func sinchSigned(body, nonce string) []string {
	at := fmt.Sprint(now.Unix())
	mac := hmac.New(sha256.New, []byte(reportKey))
	mac.Write([]byte(body + "." + nonce + "." + at))
	return []string{
		"x-sinch-webhook-signature: " + base64.StdEncoding.EncodeToString(mac.Sum(nil)), "x-sinch-webhook-signature-nonce: " + nonce,
		"x-sinch-webhook-signature-timestamp: " + at, "x-sinch-webhook-signature-algorithm: HmacSHA256",
	}
}

func delivered(id string) string {
	return `{"message_delivery_report":{"message_id":"p-1","status":"DELIVERED","metadata":"{\"_volley_id\":\"` + id + `\"}"}}`
}

func TestADeliveryReportIsTakenOnceItIsDurable(t *testing.T) {
	t.Parallel()
	b, rep := reportEnv(t, "")
	id := message.KeyOf("batch-a").MessageID(3)
	body := delivered(id)
	rep.err = fmt.Errorf("away: %w", starter.ErrUnreachable)
	r := b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, "n1")...)
	r.json(http.StatusServiceUnavailable)
	require.NotEmpty(t, r.Header().Get("Retry-After"))
	rep.err = fmt.Errorf("full: %w", starter.ErrReportAgain)
	r = b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, "n1")...)
	r.json(http.StatusServiceUnavailable)
	require.Equal(t, "5", r.Header().Get("Retry-After"))
	rep.err = nil
	require.Equal(t, http.StatusOK, b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, "n1")...).Code, "the same callback may come again after that")
	require.Len(t, rep.got, 1)
	require.Equal(t, id, rep.got[0].ID)
	require.Equal(t, message.Delivered, rep.got[0].State)
	require.Equal(t, "sinch-eu", rep.got[0].Account)
	require.Equal(t, http.StatusUnauthorized, b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, "n1")...).Code, "a nonce is good once")
}

func TestAReportThatCannotBeKeptIsToBeRepeated(t *testing.T) {
	t.Parallel()
	b, rep := reportEnv(t, "")
	rep.closed = errors.New("key 42 is missing")
	body := delivered(message.KeyOf("batch-a").MessageID(1))
	r := b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, "1")...)
	require.Equal(t, http.StatusServiceUnavailable, r.Code)
	require.Equal(t, "5", r.Header().Get("Retry-After"))
	require.Empty(t, rep.got)
}

func TestAReportThatNobodySignedIsRefused(t *testing.T) {
	t.Parallel()
	b, rep := reportEnv(t, "")
	body := delivered(message.KeyOf("batch-a").MessageID(3))
	b.call("POST", "/reports/sinch-eu", body).json(http.StatusUnauthorized)
	b.call("POST", "/reports/sinch-eu", body, sinchSigned(body+" ", "n1")...).json(http.StatusUnauthorized)
	b.call("POST", "/reports/sinch-eu", "{", sinchSigned("{", "n2")...).json(http.StatusBadRequest)
	require.Empty(t, rep.got)
}

func TestAccountsThatTakeNoReportsAreNotThere(t *testing.T) {
	t.Parallel()
	b, _ := reportEnv(t, "")
	for _, account := range []string{"silent", "nobody"} {
		b.call("POST", "/reports/"+account, "{}").json(http.StatusNotFound)
	}
}

func TestWithoutAStoreALateReportIsToBeRepeated(t *testing.T) {
	t.Parallel()
	b, rep := reportEnv(t, "")
	rep.err = fmt.Errorf("late: %w", starter.ErrNoStore)
	body := delivered(message.KeyOf("batch-a").MessageID(3))
	b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, "n1")...).json(http.StatusServiceUnavailable)
}

func TestBirdSignsTheAddressThatItKnows(t *testing.T) {
	t.Parallel()
	body := `{"service":"channels","event":"sms.outbound","payload":{"id":"p-1","status":"delivered","reference":"` + message.KeyOf("batch-a").MessageID(3) + `"}}`
	sum := sha256.Sum256([]byte(body))
	sign := func(address string) []string {
		at := fmt.Sprint(now.Unix())
		mac := hmac.New(sha256.New, []byte(reportKey))
		mac.Write([]byte(at + "\n" + address + "\n"))
		mac.Write(sum[:])
		return []string{
			"messagebird-signature: " + base64.StdEncoding.EncodeToString(mac.Sum(nil)), "messagebird-request-timestamp: " + at, "messagebird-request-id: r-" + address,
		}
	}
	for name, c := range map[string]struct {
		public, signed string
		headers        []string
	}{
		"directly":                       {"", "http://example.com/reports/bird-main?a=1", nil},
		"behind a proxy that says so":    {"", "https://gw.example.com/reports/bird-main?a=1", []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: gw.example.com"}},
		"under the address it was given": {"https://volley.example.com/", "https://volley.example.com/reports/bird-main?a=1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, rep := reportEnv(t, c.public)
			r := b.call("POST", "/reports/bird-main?a=1", body, append(sign(c.signed), c.headers...)...)
			require.Equal(t, http.StatusOK, r.Code, r.Body.String())
			require.Len(t, rep.got, 1)
			b.call("POST", "/reports/bird-main", body, sign("https://elsewhere.example.com/reports/bird-main")...).json(http.StatusUnauthorized)
		})
	}
}

// Providers post one report a request, and each waits until it is durable.
func TestReportsThatComeAtOnceAreGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, rep := reportEnv(t, "")
		rep.gather = time.Second
		began := time.Now()
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				body := delivered(message.KeyOf("batch-a").MessageID(i))
				require.Equal(t, http.StatusOK, b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, fmt.Sprint(i))...).Code)
			})
		}
		all.Wait()
		require.Len(t, rep.got, 200)
		require.Equal(t, 1, rep.signals)
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestCallbacksWhoseBodiesDoNotComeKeepNoOtherWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, rep := reportEnv(t, "")
		var slow sync.WaitGroup
		body, rest := io.Pipe()
		for range 200 {
			slow.Go(func() {
				b.g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "POST", "/reports/sinch-eu", body))
			})
		}
		synctest.Wait()
		report := delivered(message.KeyOf("batch-a").MessageID(3))
		began := time.Now()
		require.Equal(t, http.StatusOK, b.call("POST", "/reports/sinch-eu", report, sinchSigned(report, "n1")...).Code)
		require.Zero(t, time.Since(began))
		require.NoError(t, rest.Close())
		slow.Wait()
		require.Len(t, rep.got, 1)
	})
}

// Bytes of large callbacks are held only so many, and those of small ones always.
func TestCallbacksOfOneAddressHoldOnlySoManyBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, rep := reportEnv(t, "")
		var slow sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		var refused atomic.Int32
		for range 40 {
			body, rest := io.Pipe()
			slow.Go(func() {
				_, _ = rest.Write(make([]byte, 1<<20)) // it may not be read to its end
				<-ctx.Done()
				_ = rest.Close()
			})
			slow.Go(func() {
				w := httptest.NewRecorder()
				b.g.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/reports/sinch-eu", body))
				_ = body.Close()
				if w.Code == http.StatusServiceUnavailable {
					refused.Add(1)
					require.NotEmpty(t, w.Header().Get("Retry-After"))
				}
			})
			synctest.Wait()
		}
		require.EqualValues(t, 6, refused.Load())
		report := delivered(message.KeyOf("batch-a").MessageID(3))
		require.Equal(t, http.StatusOK, b.call("POST", "/reports/sinch-eu", report, sinchSigned(report, "n1")...).Code)
		cancel()
		slow.Wait()
		require.Len(t, rep.got, 1)
	})
}

func TestOnlySoManyReportsWaitAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, rep := reportEnv(t, "")
		rep.gather = time.Minute
		id := message.KeyOf("batch-a").MessageID(3)
		large := delivered(id) + strings.Repeat(" ", 2<<20-len(delivered(id)))
		var all sync.WaitGroup
		for i := range 19 {
			all.Go(func() {
				require.Equal(t, http.StatusOK, b.call("POST", "/reports/sinch-eu", large, sinchSigned(large, fmt.Sprint(i))...).Code)
			})
			synctest.Wait()
		}
		r := b.call("POST", "/reports/sinch-eu", large, sinchSigned(large, "again")...)
		r.json(http.StatusServiceUnavailable)
		require.NotEmpty(t, r.Header().Get("Retry-After"))
		all.Wait()
		require.Equal(t, http.StatusOK, b.call("POST", "/reports/sinch-eu", large, sinchSigned(large, "again")...).Code, "the same callback may come again after that")
		require.Len(t, rep.got, 20)
	})
}

// webhookSigned signs a body as a webhook's receiver does.
func webhookSigned(t *testing.T, body string) []string {
	t.Helper()
	signer, err := provider.NewWebhookSigner(reportKey, "")
	require.NoError(t, err)
	h, err := signer.Header("r-1", now, []byte(body))
	require.NoError(t, err)
	var all []string
	for name := range h {
		all = append(all, name+": "+h.Get(name))
	}
	return all
}

func TestForeignReportsAreTakenAndCounted(t *testing.T) {
	t.Parallel()
	b, rep := reportEnv(t, "")
	body := `{"type":"report","data":[{"id":12345,"state":"undelivered","code":30008},{"id":"x","state":"delivered"}]}`
	rep.foreign = 2
	r := b.call("POST", "/reports/hook", body, webhookSigned(t, body)...)
	require.Equal(t, http.StatusOK, r.Code)
	require.Empty(t, r.Body.String())
	require.Equal(t, map[string]int{"hook foreign": 2}, rep.counted)

	rep.err = fmt.Errorf("not listed: %w", starter.ErrReportAgain)
	b.call("POST", "/reports/hook", body, webhookSigned(t, body)...).json(http.StatusServiceUnavailable)
	require.Equal(t, map[string]int{"hook foreign": 2}, rep.counted, "it comes again")
}

func TestAReportThatMakesNoSenseKeepsNoOtherFromCounting(t *testing.T) {
	t.Parallel()
	b, rep := reportEnv(t, "")
	key := message.KeyOf("batch-a")
	body := fmt.Sprintf(`{"type":"report","data":[{"id":%q,"state":"delivered"},{"id":%q,"state":"sent"},{"id":%q,"state":"undelivered","code":30008},{"id":"x","state":7}]}`,
		key.MessageID(0), key.MessageID(1), key.MessageID(2))
	r := b.call("POST", "/reports/hook", body, webhookSigned(t, body)...)
	require.Equal(t, map[string]any{"unreadable": 1.0, "first": "data[3].state must be a string"}, r.json(http.StatusOK))
	require.Len(t, rep.got, 2)
	require.Equal(t, message.Report{ID: key.MessageID(2), State: message.Undelivered, Account: "hook", Code: "30008"}, rep.got[1])
	require.Equal(t, map[string]int{"hook ignored": 1, "hook unreadable": 1}, rep.counted)

	require.Equal(t, message.Report{ID: key.MessageID(0), State: message.Delivered, Account: "hook"}, rep.got[0])

	body = `{"type":"report","data":{"id":"x","state":"read"}}`
	r = b.call("POST", "/reports/hook", body, webhookSigned(t, body)...)
	require.Equal(t, http.StatusOK, r.Code)
	require.Empty(t, r.Body.String())
	require.Equal(t, 2, rep.counted["hook ignored"])
	body = `{"type":"report","data":[{"id":"x","state":"delivered","code":{}}]}`
	r = b.call("POST", "/reports/hook", body, webhookSigned(t, body)...)
	require.Contains(t, r.json(http.StatusBadRequest)["detail"], "data[0].code must be a string or a number")
	require.Len(t, rep.got, 2)
}
