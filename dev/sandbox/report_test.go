package sandbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"volley/dev/sandbox"
	"volley/internal/message"
	"volley/internal/provider"
)

const reportSecret = "whsec_cmVwb3J0LXJlcG9ydC1yZXBvcnQtcmVwb3J0LXJlcG8="

// What the sandbox reports is what our readers of reports take.
func TestDeliveriesAreReportedAsEachProviderDoes(t *testing.T) {
	t.Parallel()
	callbacks := make(chan provider.Callback, 10)
	gw := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		callbacks <- provider.Callback{URL: "http://" + r.Host + r.URL.RequestURI(), Header: r.Header, Body: body}
	}))
	t.Cleanup(gw.Close)
	b := start(t, sandbox.Options{ReportSecret: reportSecret, Accounts: map[string]string{"bird": "bird", "sinch": "sinch", "webhook": "webhook"}})
	b.ReportTo(gw.URL + "/reports")
	accounts := []provider.Account{
		{Name: "bird", Provider: "bird", BaseURL: b.url + "/bird", Workspace: "w", Channel: "c", AccessKey: "k", ReportSecret: reportSecret},
		{Name: "sinch", Provider: "sinch", BaseURL: b.url + "/sinch", TokenURL: b.url + "/sinch/oauth2/token", Project: "p", App: "a", KeyID: "kid", KeySecret: "ks", ReportSecret: reportSecret},
		{Name: "webhook", Provider: "webhook", URL: b.url + "/webhook", Secret: reportSecret, AllowPrivate: true, ReportSecret: reportSecret},
	}
	reg, err := provider.Open(accounts, provider.Options{})
	require.NoError(t, err)
	t.Cleanup(reg.Close)
	for _, a := range accounts {
		for to, state := range map[string]message.State{
			"fay+delivered@example.com": message.Delivered, "fay+undelivered@example.com": message.Undelivered,
			"+15550109908": message.Delivered, "+15550109909": message.Undelivered,
		} {
			channels, address := []string{"SMS"}, message.Address{Value: to}
			switch {
			case strings.Contains(to, "@") && a.Provider == "sinch": // which has no email
				channels, address = []string{"MESSENGER"}, message.Address{Kind: message.KindOther, Channel: "MESSENGER", Value: to}
			case strings.Contains(to, "@"):
				channels, address.Kind = nil, message.KindEmail
			}
			s, ok := reg.Sender(a.Name)
			require.True(t, ok)
			id := message.KeyOf("batch-a").MessageID(7)
			receipt, err := s.Send(t.Context(), message.Outgoing{Batch: "a", ID: id, To: to, Dialect: "other", Channels: channels, Addresses: []message.Address{address}, Text: "hi"})
			require.NoError(t, err)
			q := <-callbacks
			reader, ok := reg.Reports(a.Name)
			require.True(t, ok)
			got, err := reader.ReadReports(q)
			require.NoError(t, err, a.Name)
			require.Len(t, got.Ended, 1, "%s: %s", a.Name, q.Body)
			ended := got.Ended[0]
			require.Equal(t, id, ended.ID)
			require.Equal(t, state, ended.State)
			require.Equal(t, receipt.ProviderID, ended.ProviderID)
			require.NotZero(t, ended.At)
		}
	}
}

func TestAReportIsSignedByStandardWebhooks(t *testing.T) {
	t.Parallel()
	got := make(chan error, 1)
	signer, err := standardwebhooks.NewWebhook(reportSecret)
	require.NoError(t, err)
	gw := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- signer.Verify(body, r.Header)
	}))
	t.Cleanup(gw.Close)
	b := start(t, sandbox.Options{ReportSecret: reportSecret})
	b.ReportTo(gw.URL)
	res, err := b.client.Post(b.url+"/webhook", "application/json", http.NoBody)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	reg, err := provider.Open([]provider.Account{{Name: "hook", Provider: "webhook", URL: b.url + "/webhook", Secret: reportSecret, AllowPrivate: true}}, provider.Options{})
	require.NoError(t, err)
	t.Cleanup(reg.Close)
	s, _ := reg.Sender("hook")
	_, err = s.Send(t.Context(), message.Outgoing{Batch: "a", ID: message.KeyOf("batch-a").MessageID(1), To: "ann+delivered", Text: "hi", Dialect: "volley"})
	require.NoError(t, err)
	require.NoError(t, <-got)
}
