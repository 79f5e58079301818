package provider

import (
	"context"
	"fmt"
	"time"

	"volley/internal/message"
)

// Sender sends single messages through one account.
type Sender interface {
	// Send makes the request, within ctx's deadline, and returns the provider's
	// receipt. Every error is an *Error. It never repeats a request whose first
	// byte may have left, save once after refreshing an expired token.
	Send(ctx context.Context, m message.Outgoing) (message.Receipt, error)
}

// Reconciler is a Sender that can ask whether a message arrived.
type Reconciler interface {
	// Reconcile asks the provider for the message of q. An error is an *Error and
	// means that the question was not answered; it may be asked again.
	Reconcile(ctx context.Context, q Query) (Answer, error)
}

// Query asks what became of one doubtful message.
type Query struct {
	Message message.Outgoing
	// Since and Until bound when its request may have reached the provider, on
	// our clock.
	Since, Until time.Time
	// Taken are provider ids that other messages of ours are known to have.
	Taken []string
}

// Verdict is what the provider knows of a message.
type Verdict int

// The verdicts. CannotTell is the zero value.
const (
	CannotTell Verdict = iota
	// Found means that the provider has it.
	Found
	// Absent means that the provider provably does not have it now.
	Absent
)

// Answer is the provider's reply to a Query.
type Answer struct {
	Verdict Verdict
	// Receipt is set when Found.
	Receipt message.Receipt
	// Detail says why the provider cannot tell; at most message.MaxDetail bytes.
	Detail string
}

// Kind says what an answer means for the message. The set is closed.
type Kind string

// The kinds of an Error.
const (
	// Invalid, Rejected and Unauthorized are permanent on this account.
	Invalid      Kind = "invalid"
	Rejected     Kind = "rejected"
	Unauthorized Kind = "unauthorized"
	// Throttled and Unavailable mean that it was certainly not accepted and may be
	// tried again.
	Throttled   Kind = "throttled"
	Unavailable Kind = "unavailable"
	// Ambiguous means that it may or may not have been accepted.
	Ambiguous Kind = "ambiguous"
)

// Error is why a message was not accepted, or not known to be.
type Error struct {
	Kind Kind
	// Code is the provider's own code, or http_<status>, or one of ours such as
	// timeout, connection, unsupported_content; at most message.MaxCode bytes.
	Code string
	// Detail is the provider's explanation without any secret; at most
	// message.MaxDetail bytes.
	Detail string
	// RetryAfter is how long the provider asked to wait; 0 when it did not say.
	RetryAfter time.Duration
	// Account says what is wrong with the account itself, where every other message would
	// get the same answer; empty is nothing.
	Account string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.Kind, e.Code, e.Detail)
}
