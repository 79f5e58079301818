package callback_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"volley/internal/callback"
	"volley/internal/message"
)

// Whoever receives events checks their signature with a library of the Standard Webhooks
// and the secret that stands in Volley's config.
func ExamplePoster_Post() {
	const secret = "whsec_dGhlLXNlY3JldC1vZi1hY21lLWlzLXRoaXM="
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		webhook, err := standardwebhooks.NewWebhook(secret)
		if err != nil || webhook.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()

	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	event := callback.BatchEvent(message.Status{ID: "sale", Tenant: "acme", CreatedAt: now, AsOf: now, Counts: &message.Counts{}}, callback.TypeStarted, 1)
	for _, signedWith := range []string{secret, "whsec_YW5vdGhlciBzZWNyZXQgdGhhdCBpcyB3cm9uZw=="} {
		poster := callback.New(callback.Options{
			Tenants:      map[string]callback.Tenant{"acme": {Secret: signedWith}},
			AllowPrivate: true, // the receiver is on this machine
		})
		failed := poster.Post(context.Background(), "acme", message.Callbacks{URL: receiver.URL, Format: "volley"}, event)
		if failed == nil {
			fmt.Println("accepted")
		} else {
			fmt.Println("refused:", failed.Code)
		}
		poster.Close()
	}
	// Output:
	// accepted
	// refused: http_401
}
