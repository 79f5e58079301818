package contract

import (
	"encoding/json"

	"volley/internal/message"
)

// SendInput is one attempt at one message. It stands in histories, once for each
// attempt, so it holds nothing that the workflow's id tells: the batch, its
// tenant and the message's id.
type SendInput struct {
	V       int    `json:"v"`
	Dialect string `json:"dialect"`
	// Index is the message's in its batch.
	Index int `json:"index"`
	// Account and Channels are the hop's.
	Account  string   `json:"account"`
	Channels []string `json:"channels,omitempty"`
	// Attempt counts from 1 over all hops.
	Attempt int `json:"attempt"`
	// Due and Expires are Unix ms.
	Due     int64 `json:"due"`
	Expires int64 `json:"expires"`

	// Template and Message are empty where Stored is given.
	Template message.Template `json:"template,omitzero"`
	Message  message.Message  `json:"message,omitzero"`
	Stored   *Stored          `json:"stored,omitempty"`
	// Region is the batch's.
	Region string `json:"region,omitempty"`
	// Metadata is the batch's, for a message without its own, and for holds.
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// Sensitive means that what the message says is not shown again.
	Sensitive bool `json:"sensitive,omitempty"`
	// Probe means that the attempt shall find out whether an account still holds itself.
	Probe bool `json:"probe,omitempty"`
	// Breaker means that the batch's breaker of the account is open, and that the attempt
	// shall find out whether the account is available again.
	Breaker bool `json:"breaker,omitempty"`
}

// Kinds of a SendResult beside those of provider.Error, whose kinds are used as
// they are.
const (
	// KindSent: the provider took it.
	KindSent = string(message.EventSent)
	// KindExpired: its validity had run out, so no request was made.
	KindExpired = string(message.EventExpired)
	// KindNotStarted: too little time was left, so no request was made.
	KindNotStarted = message.NotStarted
)

// SendResult is what became of one attempt.
type SendResult = message.Outcome

// ReconcileInput asks what became of the attempt that Send describes. It stands
// in histories.
type ReconcileInput struct {
	V    int       `json:"v"`
	Send SendInput `json:"send"`
	// Since and Until bound when its request may have left, in Unix ms.
	Since int64 `json:"since"`
	Until int64 `json:"until"`
	// Taken are provider ids of other messages to the same recipient.
	Taken []string `json:"taken,omitempty"`
}

// Verdicts of a ReconcileResult.
const (
	// VerdictFound: the provider has it.
	VerdictFound = "found"
	// VerdictAbsent: the provider provably does not have it.
	VerdictAbsent = "absent"
	// VerdictCannotTell: the provider answered and cannot tell.
	VerdictCannotTell = "cannot_tell"
	// VerdictLater: the question was not answered; it may be asked again.
	VerdictLater = "later"
)

// ReconcileResult is the provider's answer to a question. It stands in histories.
type ReconcileResult struct {
	V          int    `json:"v"`
	Verdict    string `json:"verdict"`
	ProviderID string `json:"providerId,omitempty"`
	Code       string `json:"code,omitempty"`
	Detail     string `json:"detail,omitempty"`
	RetryAfter int64  `json:"retryAfter,omitempty"`
	At         int64  `json:"at"`
}
