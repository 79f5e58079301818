package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// refusing is an account of a provider that hands out tokens and knows no recipient.
func refusing(t *testing.T, a provider.Account) provider.Account {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"t","expires_in":3600}`))
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(srv.Close)
	a.Name += "-refusing"
	a.BaseURL, a.TokenURL = srv.URL, srv.URL+"/token"
	return a
}

// Another provider's hop takes the address on its channel, with its kind, or none.
func TestAFailoverReachesTheSamePerson(t *testing.T) {
	t.Parallel()
	const text = `"body":{"type":"text","text":{"text":"Hi"}}`
	for name, tt := range map[string]struct {
		dialect, body, channel string
		first, second          int // accounts of vendors()
	}{
		"from Sinch to Bird": {"sinch", `{"app_id":"` + sinchApp + `","message":{"text_message":{"text":"Your code is 4711"}},"channel_priority_order":["TELEGRAM","SMS"],"recipient_and_params":[
			{"recipient":{"identified_by":{"channel_identities":[{"channel":"TELEGRAM","identity":"123456789"},{"channel":"SMS","identity":"+15550008001"}]}}},
			{"recipient":{"identified_by":{"channel_identities":[{"channel":"TELEGRAM","identity":"123456780"}]}}}]}`, "SMS", 1, 0},
		"from Bird to Sinch": {"bird", `{"messageRequests":[
			{"receiver":{"contacts":[{"identifierKey":"crmid","identifierValue":"404"},{"identifierKey":"phonenumber","identifierValue":"+15550008001"}]},` + text + `},
			{"receiver":{"contacts":[{"identifierKey":"crmid","identifierValue":"404"}]},` + text + `}]}`, "", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothWays(t, 0, func(t *testing.T, l *lab) {
				vendors := l.vendors()
				for i := range vendors {
					vendors[i].Name = queueOf(t) + "-" + vendors[i].Provider
				}
				l.served = []provider.Account{refusing(t, vendors[tt.first]), vendors[tt.second]}
				l.serve(t)
				d, err := dialect.Named(tt.dialect)
				require.NoError(t, err)
				b, problems := d.Decode([]byte(tt.body), dialect.Options{Now: time.Now()})
				require.Empty(t, problems)
				router := l.router()
				router.Routes = []message.Route{{Channel: tt.channel, Hops: []string{l.served[0].Name, l.served[1].Name}}}
				router.Accept(b, d.Recipient)
				if b.Dispatch = message.DispatchMessage; l.mode == groups {
					b.Dispatch = message.DispatchGroup
				}
				ref := starter.Ref{ID: strings.ReplaceAll(strings.ReplaceAll(t.Name(), "/", "."), " ", "-")}
				_, err = l.starter.Start(t.Context(), starter.Request{Ref: ref, Body: []byte(tt.body), Batch: b})
				require.NoError(t, err)
				_, rows := l.wait(t, ref)
				require.Equal(t, message.Sent, rows[0].State, "%+v", rows[0])
				require.Equal(t, message.Failed, rows[1].State)
				require.Equal(t, "unsupported_recipient", rows[1].Code)
				got := l.sandbox.Received()
				require.Len(t, got, 1)
				require.Equal(t, "+15550008001", got[0].To)
				row, err := l.starter.Message(t.Context(), ref, "0")
				require.NoError(t, err)
				require.Len(t, row.Addresses, 2)
				require.Contains(t, row.Addresses, message.AddressRow{Kind: message.KindPhone, Channel: tt.channel, Value: "+15550008001"})
			})
		})
	}
}
