package provider

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Options are what Open needs beyond the accounts. The zero value is usable.
type Options struct {
	// Log gets a line per answer at debug level, without content; nil is none.
	Log *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Registry holds one sender per account. It is safe for concurrent use.
type Registry struct {
	accounts   []Account
	senders    map[string]Sender
	reports    map[string]ReportReader
	transports []*http.Transport
}

// vendor is one provider: what its accounts must have and how a sender is made.
type vendor struct {
	name   string
	fields func(Account) []field
	open   func(Account, *client) (Sender, error)
}

// vendors lists every provider in the order in which they are documented.
func vendors() []vendor {
	return []vendor{
		{name: "bird", fields: birdFields, open: newBird},
		{name: "sinch", fields: sinchFields, open: newSinch},
		{name: "imkit", fields: imkitFields, open: newIMKIT},
		{name: "bluesky", fields: blueskyFields, open: newBluesky},
		{name: "webhook", fields: webhookFields, open: newWebhook},
	}
}

// Sender returns the sender of an account. It may also be a Reconciler.
func (r *Registry) Sender(account string) (Sender, bool) {
	s, ok := r.senders[account]
	return s, ok
}

// Accounts lists the accounts by name.
func (r *Registry) Accounts() []Account { return slices.Clone(r.accounts) }

// Close closes idle connections. Requests under way go on.
func (r *Registry) Close() {
	for _, t := range r.transports {
		t.CloseIdleConnections()
	}
}

func (r *Registry) add(a Account, v vendor, base client, guarded http.RoundTripper) error {
	c := base
	c.log = base.log.With(zap.String("account", a.Name), zap.String("provider", a.Provider))
	for _, f := range v.fields(a) {
		if f.secret {
			c.secrets = append(c.secrets, f.value)
		}
		if u, err := url.Parse(f.value); f.address && err == nil {
			c.secrets = append(c.secrets, loginSecrets(u)...)
		}
	}
	if a.Provider == "webhook" && !a.AllowPrivate {
		c.transport = guarded
	}
	s, err := v.open(a, &c)
	if err != nil {
		return err
	}
	r.senders[a.Name] = s
	reports, err := reportsOf(a, c.now)
	if err != nil {
		return err
	}
	if reports != nil {
		r.reports[a.Name] = reports
	}
	return nil
}

func names() []string {
	var out []string
	for _, v := range vendors() {
		out = append(out, v.name)
	}
	return out
}

func byName(a, b Account) int { return strings.Compare(a.Name, b.Name) }
