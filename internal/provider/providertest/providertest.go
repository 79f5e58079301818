// Package providertest holds every sender to one table of answers.
//
// Each sender's test calls Run with what only it knows: a good answer, a refusal
// in its own shape, a message in its own dialect. What an answer means stands in
// the table here; a sender departs from a row only by an Override that names the
// provider's document.
package providertest

import (
	"net/http"
	"testing"

	"volley/internal/message"
	"volley/internal/provider"
)

// New builds the sender under test, with every address of its account below
// baseURL.
type New func(t *testing.T, baseURL string) provider.Sender

// Hooks are what the suite must know of one sender.
type Hooks struct {
	// Message is in the sender's own dialect. Its content holds, somewhere, the
	// key "x_unknown" with any value: the suite looks for the same in the request.
	Message message.Outgoing
	// Status and Accepted are a good answer; Status 0 is 200. ProviderID is the
	// id that it gives.
	Status     int
	Accepted   string
	ProviderID string
	// Fault writes an error's body in the provider's shape that explains itself
	// with text.
	Fault func(text string) string
	// Refused is the body of a 200 that holds an error; empty where the provider
	// has no such answer.
	Refused string
	// Aside answers what is not the request of a message, such as a token's; it
	// reports whether it did. Nil answers nothing.
	Aside func(w http.ResponseWriter, r *http.Request) bool
	// Secrets must stand in no error, even when the provider echoes them.
	Secrets []string
	// CarriesID says that our message id is in the request, header or body.
	CarriesID bool
	// Overrides are the sender's exceptions, by the name of a row.
	Overrides map[string]Override
}

// Override is what a row of the table means for one provider.
type Override struct {
	// Kind is what is expected; empty is acceptance.
	Kind provider.Kind
	// Source is the document that says so.
	Source string
}
