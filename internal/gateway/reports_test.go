package gateway_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

const reportKey = "report-secret"

// reporter keeps what it is given.
type reporter struct {
	got []message.Report
	err error
}

func (r *reporter) Add(_ context.Context, reports []message.Report) (starter.ReportOutcome, error) {
	if r.err != nil {
		return starter.ReportOutcome{}, r.err
	}
	r.got = append(r.got, reports...)
	return starter.ReportOutcome{Accepted: len(reports)}, nil
}

// reportBed takes reports at a Sinch account, and a Bird account behind a proxy.
func reportBed(t *testing.T, public string) (*bed, *reporter) {
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
		{Name: "silent", Provider: "bird", BaseURL: "https://bird.example.com", Workspace: workspace, Channel: channel, AccessKey: "k"},
	}, provider.Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(readers.Close)
	rep := &reporter{}
	return newBed(t, func(o *gateway.Options) { o.Readers, o.Reporter, o.PublicURL = readers, rep, public }), rep
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
	b, rep := reportBed(t, "")
	id := message.KeyOf("batch-a").MessageID(3)
	body := delivered(id)
	rep.err = fmt.Errorf("away: %w", starter.ErrUnreachable)
	r := b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, "n1")...)
	r.json(http.StatusServiceUnavailable)
	require.NotEmpty(t, r.Header().Get("Retry-After"))
	rep.err = nil
	require.Equal(t, http.StatusOK, b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, "n1")...).Code, "the same callback may come again after that")
	require.Len(t, rep.got, 1)
	require.Equal(t, id, rep.got[0].ID)
	require.Equal(t, message.Delivered, rep.got[0].State)
	require.Equal(t, "sinch-eu", rep.got[0].Account)
	require.Equal(t, http.StatusUnauthorized, b.call("POST", "/reports/sinch-eu", body, sinchSigned(body, "n1")...).Code, "a nonce is good once")
}

func TestAReportThatNobodySignedIsRefused(t *testing.T) {
	t.Parallel()
	b, rep := reportBed(t, "")
	body := delivered(message.KeyOf("batch-a").MessageID(3))
	b.call("POST", "/reports/sinch-eu", body).json(http.StatusUnauthorized)
	b.call("POST", "/reports/sinch-eu", body, sinchSigned(body+" ", "n1")...).json(http.StatusUnauthorized)
	b.call("POST", "/reports/sinch-eu", "{", sinchSigned("{", "n2")...).json(http.StatusBadRequest)
	require.Empty(t, rep.got)
}

func TestAccountsThatTakeNoReportsAreNotThere(t *testing.T) {
	t.Parallel()
	b, _ := reportBed(t, "")
	for _, account := range []string{"silent", "nobody"} {
		b.call("POST", "/reports/"+account, "{}").json(http.StatusNotFound)
	}
}

func TestWithoutAStoreALateReportIsToBeRepeated(t *testing.T) {
	t.Parallel()
	b, rep := reportBed(t, "")
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
			b, rep := reportBed(t, c.public)
			r := b.call("POST", "/reports/bird-main?a=1", body, append(sign(c.signed), c.headers...)...)
			require.Equal(t, http.StatusOK, r.Code, r.Body.String())
			require.Len(t, rep.got, 1)
			b.call("POST", "/reports/bird-main", body, sign("https://elsewhere.example.com/reports/bird-main")...).json(http.StatusUnauthorized)
		})
	}
}
