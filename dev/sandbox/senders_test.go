package sandbox_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/sandbox"
	"volley/internal/message"
	"volley/internal/provider"
)

const hookSecret = "whsec_c2FuZGJveC1zYW5kYm94LXNhbmRib3gtc2FuZGJveCE="

// senders opens an account of every provider at the sandbox.
func senders(t *testing.T, b *box) *provider.Registry {
	t.Helper()
	r, err := provider.Open([]provider.Account{
		{Name: "bird", Provider: "bird", BaseURL: b.url + "/bird", Workspace: "ws", Channel: "ch", AccessKey: "k"},
		{Name: "sinch", Provider: "sinch", BaseURL: b.url + "/sinch", TokenURL: b.url + "/sinch/oauth2/token", Project: "p", App: "app", KeyID: "kid", KeySecret: "ks", StoresMessages: true},
		{Name: "imkit", Provider: "imkit", BaseURL: b.url + "/imkit", APIKey: "k", Sender: "support"},
		{Name: "bluesky", Provider: "bluesky", BaseURL: b.url + "/bluesky", Identifier: "me.example", Password: "bluesky-password"},
		{Name: "webhook", Provider: "webhook", URL: b.url + "/webhook", Secret: hookSecret, Reconcile: true, AllowPrivate: true},
	}, provider.Options{})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

// identifierKey and channel are those of a phone number, or of anything else.
func identifierKey(to string) string {
	if strings.HasPrefix(to, "+") {
		return "phonenumber"
	}
	return "externalid"
}

func channel(to string) string {
	if strings.HasPrefix(to, "+") {
		return "SMS"
	}
	return "MESSENGER"
}

// contents are a message in each provider's own dialect.
func contents() map[string]func(to string) (dialect, content string) {
	return map[string]func(string) (string, string){
		"bird": func(to string) (string, string) {
			return "bird", `{"receiver":{"contacts":[{"identifierKey":"` + identifierKey(to) + `","identifierValue":` + quoted(to) + `}]},"body":{"type":"text","text":{"text":"hi"}}}`
		},
		"sinch": func(to string) (string, string) {
			return "sinch", `{"app_id":"app","recipient":{"identified_by":{"channel_identities":[{"channel":"` + channel(to) + `","identity":` + quoted(to) + `}]}},"message":{"text_message":{"text":"hi"}}}`
		},
		"imkit": func(to string) (string, string) {
			return "imkit", `{"messageType":"text","message":"hi","receiver":` + quoted(to) + `}`
		},
		"bluesky": func(to string) (string, string) {
			return "bluesky", `{"convoId":` + quoted(to) + `,"message":{"text":"hi"}}`
		},
		"webhook": func(string) (string, string) { return "volley", `{"text":"hi"}` },
	}
}

func outgoing(dialect, content, to string) message.Outgoing {
	now := time.Now()
	return message.Outgoing{
		ID: idA, Batch: "b", Tenant: "default", Dialect: dialect, To: to, Text: "hi", Content: json.RawMessage(content),
		Due: now, ExpiresAt: now.Add(time.Hour),
	}
}

func TestTheRealSendersUnderstandEveryAnswer(t *testing.T) {
	t.Parallel()
	permanent := []provider.Kind{provider.Invalid, provider.Rejected}
	for name, content := range contents() {
		kinds := []func(steer string) string{word}
		if name == "bird" || name == "sinch" || name == "webhook" {
			kinds = append(kinds, number)
		}
		for _, x := range kinds {
			t.Run(name+" to "+x(""), func(t *testing.T) {
				t.Parallel()
				b := start(t, sandbox.Options{Slow: 10 * time.Millisecond, Secret: hookSecret})
				s, ok := senders(t, b).Sender(name)
				require.True(t, ok)
				send := func(to string) (message.Receipt, provider.Kind) {
					dialect, body := content(to)
					receipt, err := s.Send(t.Context(), outgoing(dialect, body, to))
					if err == nil {
						return receipt, ""
					}
					var e *provider.Error
					require.ErrorAs(t, err, &e)
					if to == x("limit") {
						require.Equal(t, time.Second, e.RetryAfter)
					}
					return receipt, e.Kind
				}
				ask := func(to string) provider.Answer {
					dialect, body := content(to)
					answer, err := s.(provider.Reconciler).Reconcile(t.Context(), provider.Query{
						Message: outgoing(dialect, body, to), Since: time.Now().Add(-5 * time.Second), Until: time.Now(),
					})
					require.NoError(t, err)
					return answer
				}

				_, kind := send(x("reject"))
				require.Contains(t, permanent, kind)
				for _, c := range []struct {
					to   string
					want provider.Kind
				}{
					{x("down"), provider.Unavailable},
					{x("flaky"), provider.Unavailable},
					{x("flaky"), provider.Unavailable},
					{x("limit"), provider.Throttled},
					{x("lost"), provider.Ambiguous},
				} {
					_, kind := send(c.to)
					require.Equal(t, c.want, kind, c.to)
				}
				require.Equal(t, provider.Absent, ask(x("lost")).Verdict, "a lost message is not there")

				_, kind = send(x("drop"))
				require.Equal(t, provider.Ambiguous, kind)
				dropped := ask(x("drop"))
				require.Len(t, b.Received(), 1)
				if name == "bluesky" { // keeps no id of ours
					require.Equal(t, provider.CannotTell, dropped.Verdict)
				} else {
					require.Equal(t, provider.Found, dropped.Verdict, dropped.Detail)
					require.Equal(t, b.Received()[0].ProviderID, dropped.Receipt.ProviderID)
				}

				for i, to := range []string{x("lost"), x("flaky"), x("limit"), x("slow"), x("")} {
					receipt, kind := send(to)
					require.Empty(t, kind, to)
					require.Equal(t, b.Received()[1+i].ProviderID, receipt.ProviderID)
					require.Equal(t, to, b.Received()[1+i].To)
					if name != "bluesky" {
						require.Equal(t, idA, b.Received()[1+i].ID, "our id is there to be counted")
					}
				}
			})
		}
	}
}

// word and number are recipients that steer the sandbox, or do not.
func word(steer string) string {
	if steer == "" {
		return "x"
	}
	return "x+" + steer
}

func number(steer string) string {
	return "+1555010" + map[string]string{
		"": "0001", "reject": "9901", "flaky": "9902", "limit": "9903", "slow": "9904", "drop": "9905", "lost": "9906", "down": "9907",
	}[steer]
}

func TestBlueskyTokensExpireBetweenMessages(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{AccessTTL: time.Nanosecond})
	s, _ := senders(t, b).Sender("bluesky")
	dialect, body := contents()["bluesky"]("x")
	_, err := s.Send(t.Context(), outgoing(dialect, body, "x"))
	var e *provider.Error
	require.ErrorAs(t, err, &e, "every token is expired before it is used")
	require.Equal(t, "ExpiredToken", e.Code)
	require.EqualValues(t, 3, b.Counts().Logins, "one of the sender, two of the set-up")
}

func TestBlueskyReachesADID(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{})
	s, _ := senders(t, b).Sender("bluesky")
	m := outgoing("volley", `{}`, "did:plc:abc+drop")
	_, err := s.Send(t.Context(), m)
	require.Error(t, err)
	answer, err := s.(provider.Reconciler).Reconcile(t.Context(), provider.Query{Message: m, Since: time.Now().Add(-5 * time.Second), Until: time.Now()})
	require.NoError(t, err)
	require.Equal(t, provider.CannotTell, answer.Verdict, "only our id finds a message, and Bluesky keeps none")
}
