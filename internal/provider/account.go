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
	// StoresMessages says that Sinch keeps the app's messages for a day or more.
	// Only then does an empty listing prove that a message never arrived; an app
	// in DISPATCH mode with a retention of 0 days keeps none.
	StoresMessages bool
	// APIKey and Sender are IMKIT's.
	APIKey, Sender string
	// Identifier and Password are Bluesky's.
	Identifier, Password string
	// URL, Secret and Reconcile are the webhook's. PreviousSecret signs too, so that the
	// receiver may change to Secret when it likes; empty is none.
	URL, Secret, PreviousSecret string
	Reconcile                   bool

	// ReportSecret is the key by which the provider signs its delivery reports; empty
	// means that the account takes none. IMKIT and Bluesky report nothing.
	ReportSecret string

	// Rate is the most messages a second over all workers; 0 is no limit.
	Rate float64
	// Concurrency is the most requests at once in one worker process; 0 is 64.
	Concurrency int
	// AllowPrivate lets the webhook reach private and loopback addresses. A URL
	// that the operator wrote may; one that a caller gave may not.
	AllowPrivate bool
	// OnUnknown, TwoFactor, Settle and the retry bounds make up Policy. Settle 0
	// is 5 s; negative is none.
	OnUnknown message.OnUnknown
	TwoFactor bool
	// Sensitive is that what goes through the account is not shown again.
	Sensitive    bool
	Settle       time.Duration
	RetryInitial time.Duration
	RetryMax     time.Duration
	Attempts     int
}

// String names the account without any of its credentials.
func (a Account) String() string { return a.Name + " (" + a.Provider + ")" }

// GoString is String, so that no way of printing an account shows a credential.
func (a Account) GoString() string { return a.String() }

func (a Account) concurrency() int {
	if a.Concurrency > 0 {
		return a.Concurrency
	}
	return defaultConcurrency
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
		Sensitive:    a.Sensitive,
		NoReports:    !a.TakesReports(),
		Group:        message.GroupSize(a.Rate),
	}
}
