package provider_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"volley/internal/provider"
)

func TestWebhookPostsTheDocumentedEvent(t *testing.T) {
	t.Parallel()
	srv := record(t, answer(204, ``))
	m := outgoing("volley", "+15550001111", `{"text":"Hi <Ann>","n":1.50}`)
	m.Text, m.Reference, m.Channels, m.Metadata = "Hi <Ann>", "c-1", []string{"SMS", "RCS"}, []byte(`{"k":"v"}`)
	receipt, err := openAt(t, webhookAccount(srv.URL)).Send(t.Context(), m)
	require.NoError(t, err)
	require.Empty(t, receipt)
	r := srv.got()[0]
	require.Equal(t, "POST /hook?key=url-secret-1", r.Method+" "+r.URL.RequestURI())
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.Equal(t, `{"type":"message","timestamp":"2026-03-01T12:00:00Z","data":{"batch":"b-1","id":"`+messageID+
		`","index":3,"to":"+15550001111","channel":"SMS","text":"Hi <Ann>","reference":"c-1","metadata":{"k":"v"},"content":{"text":"Hi <Ann>","n":1.50}}}`, string(r.body))
}

func TestWebhookLeavesNoFieldOut(t *testing.T) {
	t.Parallel()
	srv := record(t, answer(200, `{}`))
	_, err := openAt(t, webhookAccount(srv.URL)).Send(t.Context(), outgoing("volley", "room", ``))
	require.NoError(t, err)
	require.Equal(t, `{"type":"message","timestamp":"2026-03-01T12:00:00Z","data":{"batch":"b-1","id":"`+messageID+
		`","index":3,"to":"room","channel":"","text":"","reference":"","metadata":{},"content":{}}}`, string(srv.got()[0].body))
}

func TestWebhookSignsWhatItSends(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef01234567")
	encoded := base64.StdEncoding.EncodeToString(key)
	for name, secret := range map[string]string{"a whsec_ secret": "whsec_" + encoded, "a key as it is": string(key)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := record(t, answer(200, `{"id":7}`))
			a := webhookAccount(srv.URL)
			a.Secret, a.Reconcile = secret, true
			sender := open(t, a)
			receipt, err := sender.Send(t.Context(), outgoing("volley", "room", `{}`))
			require.NoError(t, err)
			require.Equal(t, "7", receipt.ProviderID)
			_, err = reconciler(t, sender).Reconcile(t.Context(), provider.Query{Message: outgoing("volley", "room", `{}`)})
			require.NoError(t, err)

			verifier, err := standardwebhooks.NewWebhook(encoded)
			require.NoError(t, err)
			for _, r := range srv.got() {
				require.NoError(t, verifier.Verify(r.body, r.Header))
				require.Equal(t, messageID, r.Header.Get("webhook-id"))
			}
		})
	}
}

func TestAWebhookSignsWithBothSecretsDuringAChange(t *testing.T) {
	t.Parallel()
	srv := record(t, answer(400, `{"message":"neither next-secret nor last-secret"}`))
	a := webhookAccount(srv.URL)
	a.Secret, a.PreviousSecret = "next-secret", "last-secret"
	_, err := open(t, a).Send(t.Context(), outgoing("volley", "room", `{}`))
	require.ErrorContains(t, err, "neither *** nor ***")
	r := srv.got()[0]
	for secret, known := range map[string]bool{a.Secret: true, a.PreviousSecret: true, "other-secret": false} {
		verifier, err := standardwebhooks.NewWebhookRaw([]byte(secret))
		require.NoError(t, err)
		require.Equal(t, known, verifier.Verify(r.body, r.Header) == nil, secret)
	}
	a.Name, a.PreviousSecret = "hook", "whsec_?"
	_, err = provider.Open([]provider.Account{a}, provider.Options{})
	require.ErrorContains(t, err, "previous_secret begins with whsec_")
}

func TestWebhookReconciles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer  http.HandlerFunc
		verdict provider.Verdict
		id      string
		kind    provider.Kind
	}{
		"200 is found":            {answer: answer(200, `{"id":"hook-1"}`), verdict: provider.Found, id: "hook-1"},
		"200 without an id":       {answer: answer(200, ``), verdict: provider.Found},
		"404 is absent":           {answer: answer(404, ``), verdict: provider.Absent},
		"204 is no answer":        {answer: answer(204, ``), kind: provider.Unavailable},
		"410 is no answer":        {answer: answer(410, ``), kind: provider.Rejected},
		"500 is no answer":        {answer: answer(500, ``), kind: provider.Ambiguous},
		"401 is no answer":        {answer: answer(401, ``), kind: provider.Unauthorized},
		"a redirect is no answer": {answer: redirected, kind: provider.Rejected},
		"silence is no answer":    {answer: hangUp, kind: provider.Ambiguous},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := record(t, tc.answer)
			a := webhookAccount(srv.URL)
			a.Reconcile = true
			got, err := reconciler(t, open(t, a)).Reconcile(t.Context(), provider.Query{Message: outgoing("volley", "room", `{}`)})
			require.Equal(t, fmt.Sprintf("GET /hook?id=%s&key=url-secret-1", messageID), srv.got()[0].Method+" "+srv.got()[0].URL.RequestURI())
			if tc.kind != "" {
				require.Equal(t, tc.kind, kindOf(t, err))
				require.NotContains(t, err.Error(), "url-secret-1")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.verdict, got.Verdict)
			require.Equal(t, tc.id, got.Receipt.ProviderID)
		})
	}
}

func TestAWebhookThatCannotBeAskedIsNoReconciler(t *testing.T) {
	t.Parallel()
	_, ok := open(t, webhookAccount("http://host")).(provider.Reconciler)
	require.False(t, ok)
}

func TestWebhookShowsNoPartOfItsURLThatIsASecret(t *testing.T) {
	t.Parallel()
	const path, password = "T0123456789ABCDEF", "url-password-1"
	srv := record(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"code":3,"detail":%q}`, r.URL.RequestURI()+" "+r.Header.Get("Authorization")+" "+password)
	})
	a := webhookAccount(strings.Replace(srv.URL, "http://", "http://user:"+password+"@", 1))
	a.URL = strings.Replace(a.URL, "/hook", "/hook/"+path, 1)
	_, err := open(t, a).Send(t.Context(), outgoing("volley", "room", `{}`))
	require.Equal(t, provider.Error{Kind: provider.Invalid, Code: "3", Detail: "/hook/***?key=*** Basic *** ***"}, *failure(t, err))
	login, secret, _ := srv.got()[0].BasicAuth()
	require.Equal(t, "user "+password, login+" "+secret)
}

func TestWebhookSendsNoContentThatIsNotJSON(t *testing.T) {
	t.Parallel()
	srv := record(t, answer(200, ``))
	m := outgoing("volley", "room", `{"half":`)
	m.ExpiresAt = time.Now().Add(time.Hour)
	_, err := open(t, webhookAccount(srv.URL)).Send(t.Context(), m)
	require.Equal(t, provider.Invalid, kindOf(t, err))
	require.Empty(t, srv.got())
}
