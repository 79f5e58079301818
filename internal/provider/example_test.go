package provider_test

import (
	"fmt"
	"net/http"
	"time"

	"volley/internal/provider"
)

// Whatever a provider answers means one of six things, or that the message was accepted.
// Only a message that certainly did not arrive is simply tried again.
func ExampleClassify() {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, reply := range []provider.Reply{
		{Status: http.StatusAccepted},
		{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}}},
		{Status: http.StatusBadGateway},
		{Status: http.StatusUnprocessableEntity},
	} {
		e := provider.Classify(reply, provider.Fault{}, nil, now)
		if e == nil {
			fmt.Println(reply.Status, "accepted")
			continue
		}
		switch e.Kind {
		case provider.Throttled, provider.Unavailable:
			fmt.Println(reply.Status, e.Kind, "- again after", e.RetryAfter)
		case provider.Ambiguous:
			fmt.Println(reply.Status, e.Kind, "- ask before it is sent again")
		case provider.Invalid, provider.Rejected, provider.Unauthorized:
			fmt.Println(reply.Status, e.Kind, "- never again through this account:", e.Code)
		}
	}
	// Output:
	// 202 accepted
	// 429 throttled - again after 30s
	// 502 ambiguous - ask before it is sent again
	// 422 invalid - never again through this account: http_422
}
