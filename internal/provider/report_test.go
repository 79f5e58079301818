package provider_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
)

const reported = "7c1f3a5e-2b4d-8f60-9a1b-2c3d4e5f6071"

// The vectors below were computed from the providers' descriptions with another
// language's HMAC, at 2026-11-20T12:00:00Z.
const signedAt = 1795176000

const (
	sinchCallback = `{"app_id":"app","project_id":"p","event_time":"2026-11-20T11:59:30.5Z","accepted_time":"2026-11-20T11:59:00Z","message_delivery_report":{"message_id":"01SINCH","conversation_id":"c","status":"FAILED","channel_identity":{"channel":"SMS","identity":"15550001111"},"contact_id":"k","reason":{"code":"RECIPIENT_NOT_REACHABLE","description":"The handset is off","sub_code":"UNSPECIFIED_SUB_CODE"},"metadata":"{\"_batch_id\": \"b\", \"_volley_id\": \"7c1f3a5e-2b4d-8f60-9a1b-2c3d4e5f6071\"}","processing_mode":"DISPATCH"}}`
	birdCallback  = `{"service":"channels","event":"sms.outbound","payload":{"id":"bird-1","channelId":"ch","reference":"7c1f3a5e-2b4d-8f60-9a1b-2c3d4e5f6071","status":"delivered","direction":"outgoing","lastStatusAt":"2026-11-20T11:59:30Z"}}`
	hookCallback  = `{"type":"report","data":[{"id":"7c1f3a5e-2b4d-8f60-9a1b-2c3d4e5f6071","state":"delivered","at":"2026-11-20T11:59:30Z"},{"id":"7c1f3a5e-2b4d-8f60-9a1b-2c3d4e5f6071","state":"undelivered","code":"off","detail":"it is off","providerId":"w-1"}]}`
	birdURL       = "https://volley.example/reports/bird-main?x=1"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func callbacks() map[string]provider.Callback {
	return map[string]provider.Callback{
		"sinch": {Body: []byte(sinchCallback), Header: headers(
			"x-sinch-webhook-signature", "wYYThFocqwhSsvI3TSqbY8WNfY1NhFoTx9Z4Xu6fLzY=",
			"x-sinch-webhook-signature-timestamp", "1795176000", "x-sinch-webhook-signature-nonce", "01NONCE",
			"x-sinch-webhook-signature-algorithm", "HmacSHA256")},
		"bird": {Body: []byte(birdCallback), URL: birdURL, Header: headers(
			"messagebird-signature", "PC9AbsC1DkVCZlLzHy7871QOC+A7njJ8YlD/AByh210=", "messagebird-request-timestamp", "1795176000")},
		"webhook": {Body: []byte(hookCallback), Header: headers(
			"webhook-id", "msg_1", "webhook-timestamp", "1795176000", "webhook-signature", "v1,bm9uZQ== v1,cnChtt+kflQcpFfF1cz5NMlUpykmDquWD5D8SL+zq+w=")},
	}
}

// reporting are accounts that take reports, at a time.
func reporting(t *testing.T, now *time.Time) *provider.Registry {
	t.Helper()
	var accounts []provider.Account
	accounts = append(accounts, []provider.Account{
		{
			Name: "sinch", Provider: "sinch", BaseURL: "https://s", TokenURL: "https://t", Project: "p", App: "app", KeyID: "k", KeySecret: "s",
			ReportSecret: "sinch-secret",
		},
		{Name: "bird", Provider: "bird", BaseURL: "https://b", Workspace: "w", Channel: "c", AccessKey: "k", ReportSecret: "bird-secret"},
		{Name: "webhook", Provider: "webhook", URL: "https://h", Secret: "s", ReportSecret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		{Name: "silent", Provider: "webhook", URL: "https://h", Secret: "s"},
		{Name: "imkit", Provider: "imkit", BaseURL: "https://i", APIKey: "k", ReportSecret: "s"},
		{Name: "bluesky", Provider: "bluesky", BaseURL: "https://i", Identifier: "i", Password: "p", ReportSecret: "s"},
	}...)
	r, err := provider.Open(accounts, provider.Options{Now: func() time.Time { return *now }})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

func TestReportsAreReadAsProvidersSendThem(t *testing.T) {
	t.Parallel()
	now := time.Unix(signedAt, 0)
	r := reporting(t, &now)
	at := time.Date(2026, 11, 20, 11, 59, 30, 0, time.UTC).UnixMilli()
	for name, want := range map[string][]message.Report{
		"sinch": {{
			ID: reported, State: message.Undelivered, At: at + 500, Account: "sinch", ProviderID: "01SINCH",
			Code: "RECIPIENT_NOT_REACHABLE", Detail: "The handset is off",
		}},
		"bird": {{ID: reported, State: message.Delivered, At: at, Account: "bird", ProviderID: "bird-1"}},
		"webhook": {
			{ID: reported, State: message.Delivered, At: at, Account: "webhook"},
			{ID: reported, State: message.Undelivered, Account: "webhook", Code: "off", Detail: "it is off", ProviderID: "w-1"},
		},
	} {
		reader, ok := r.Reports(name)
		require.True(t, ok)
		got, err := reader.ReadReports(callbacks()[name])
		require.NoError(t, err, name)
		require.Equal(t, want, got.Ended, name)
	}
}

func TestAChangedCallbackIsRefused(t *testing.T) {
	t.Parallel()
	now := time.Unix(signedAt, 0)
	r := reporting(t, &now)
	for name := range callbacks() {
		reader, _ := r.Reports(name)
		for change, do := range map[string]func(*provider.Callback){
			"body":         func(q *provider.Callback) { q.Body = append(q.Body, ' ') },
			"no signature": func(q *provider.Callback) { q.Header = http.Header{} },
			"time": func(q *provider.Callback) {
				for k := range q.Header {
					if q.Header.Get(k) == "1795176000" {
						q.Header.Set(k, "1795176001")
					}
				}
			},
			"no time": func(q *provider.Callback) {
				for k := range q.Header {
					if q.Header.Get(k) == "1795176000" {
						q.Header.Del(k)
					}
				}
			},
		} {
			q := callbacks()[name]
			do(&q)
			_, err := reader.ReadReports(q)
			require.ErrorIs(t, err, provider.ErrSignature, "%s %s", name, change)
		}
	}
	reader, _ := r.Reports("bird")
	q := callbacks()["bird"]
	q.URL = "https://volley.example/reports/bird-main"
	_, err := reader.ReadReports(q)
	require.ErrorIs(t, err, provider.ErrSignature)
}

func TestAnOldCallbackIsRefused(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-5*time.Minute - time.Second, 5*time.Minute + time.Second} {
		now := time.Unix(signedAt, 0).Add(off)
		r := reporting(t, &now)
		for name, q := range callbacks() {
			reader, _ := r.Reports(name)
			_, err := reader.ReadReports(q)
			require.ErrorIs(t, err, provider.ErrClock, name)
		}
	}
}

func TestANonceIsGoodOnceUnlessItsReportsWereNotKept(t *testing.T) {
	t.Parallel()
	now := time.Unix(signedAt, 0)
	reader, _ := reporting(t, &now).Reports("sinch")
	q := callbacks()["sinch"]
	_, err := reader.ReadReports(q)
	require.NoError(t, err)
	_, err = reader.ReadReports(q)
	require.ErrorIs(t, err, provider.ErrSignature)
	reader.Forget(q)
	_, err = reader.ReadReports(q)
	require.NoError(t, err)
	reader.Forget(provider.Callback{Header: http.Header{}})
}

func TestAccountsWithoutReports(t *testing.T) {
	t.Parallel()
	now := time.Unix(signedAt, 0)
	r := reporting(t, &now)
	for _, name := range []string{"silent", "imkit", "bluesky", "nobody"} {
		_, ok := r.Reports(name)
		require.False(t, ok, name)
	}
	for _, a := range r.Accounts() {
		_, ok := r.Reports(a.Name)
		require.Equal(t, ok, !a.Policy().NoReports, a.Name)
	}
}

func TestAReportSecretThatIsNoneIsNamed(t *testing.T) {
	t.Parallel()
	_, err := provider.Open([]provider.Account{{Name: "h", Provider: "webhook", URL: "https://h", Secret: "s", ReportSecret: "whsec_?"}}, provider.Options{})
	require.EqualError(t, err, `account "h": report_secret begins with whsec_ and does not go on in base64`)
}
