package provider

import (
	"time"

	"volley/internal/message"
)

// Account is one set of credentials at a provider and how to use it.
type Account struct {
	Name string
	// Provider is bird, sinch, imkit, bluesky or webhook.
	Provider string
	// BaseURL is the provider's address; webhook uses URL instead.
	BaseURL string

	// Workspace, Channel and AccessKey are Bird's.
	Workspace, Channel, AccessKey string
	// Project, App, KeyID, KeySecret and TokenURL are Sinch's.
	Project, App, KeyID, KeySecret, TokenURL string
	// APIKey and Sender are IMKIT's.
	APIKey, Sender string
	// Identifier and Password are Bluesky's.
	Identifier, Password string
	// URL, Secret and Reconcile are the webhook's.
	URL, Secret string
	Reconcile   bool

	// Rate is the most messages a second over all workers; 0 is no limit.
	Rate float64
	// Concurrency is the most requests at once in one worker process; 0 is 64.
	Concurrency int
	// AllowPrivate lets the webhook reach private and loopback addresses.
	AllowPrivate bool
	// OnUnknown, TwoFactor, Settle and the retry bounds make up Policy. Settle 0
	// is 5 s; negative is none.
	OnUnknown    message.OnUnknown
	TwoFactor    bool
	Settle       time.Duration
	RetryInitial time.Duration
	RetryMax     time.Duration
	Attempts     int
}

// Policy is what of an account is fixed when a batch is accepted.
func (a Account) Policy() message.Policy {
	settle := a.Settle
	if settle == 0 {
		settle = 5 * time.Second
	}
	return message.Policy{
		Provider:     a.Provider,
		OnUnknown:    a.OnUnknown,
		Settle:       max(settle, 0).Milliseconds(),
		Reconciles:   a.Provider != "webhook" || a.Reconcile,
		RetryInitial: a.RetryInitial.Milliseconds(),
		RetryMax:     a.RetryMax.Milliseconds(),
		Attempts:     a.Attempts,
		TwoFactor:    a.TwoFactor,
	}
}
