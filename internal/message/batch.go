package message

import (
	"encoding/json"
	"slices"
	"time"
)

// Version is the shape of everything that is written to a history.
const Version = 1

// MaxTTL caps a time to live, so that no due time plus validity overflows and no
// timer is longer than the server allows. A longer one is legal and is cut.
const MaxTTL = 10 * 365 * 24 * time.Hour

// DefaultTTL is the validity of a message that gives none.
const DefaultTTL = 36 * time.Hour

// TwoFactorTTL is DefaultTTL for an account marked as two_factor (Bird, batch
// messages: 600 s for a 2FA channel).
const TwoFactorTTL = 10 * time.Minute

// DefaultPriority is that of a batch that gives none, which is also Temporal's.
const DefaultPriority = 3

// Batch is one request: what a dialect decodes and what SendBatch runs. What all
// messages share stands once in Template and in the batch's own fields.
type Batch struct {
	V int `json:"v"`
	// ID, Tenant and CreatedAt are set by the starter.
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant"`
	CreatedAt time.Time `json:"createdAt"`
	// Dialect names the request's format and so the shape of every content.
	Dialect string `json:"dialect"`
	// Account is the one that the request asked for, or empty.
	Account string `json:"account,omitempty"`
	// Dispatch is "message" or, for large batches, "group". Before the batch starts it may be
	// empty or "auto", see DispatchFor.
	Dispatch string `json:"dispatch,omitempty"`
	// Priority is 1 (first) to 5; 0 is DefaultPriority.
	Priority int `json:"priority,omitempty"`
	// SendAfter is the batch's own due time (Unix ms), the final one where the
	// dialect rounds; 0 is none, due at once.
	SendAfter int64 `json:"sendAfter,omitempty"`
	// TTL is the validity in ms of messages without their own; 0 is the default.
	TTL int64 `json:"ttl,omitempty"`
	// Horizon is how far ahead of now, in ms, the dialect lets a message be
	// scheduled, which reschedule keeps to; 0 is one year.
	Horizon int64 `json:"horizon,omitempty"`
	// AwaitReports is how long, in ms, an accepted message waits for its delivery
	// report before it counts as sent. A report of failure sends it on to its next hop.
	// 0 is no waiting.
	AwaitReports int64 `json:"awaitReports,omitempty"`
	// Callbacks is where the batch's events go; nil is nowhere.
	Callbacks *Callbacks `json:"callbacks,omitempty"`
	// Region is where phone numbers without a country code are written, an ISO 3166
	// code; empty is nowhere in particular.
	Region string `json:"region,omitempty"`
	// Sensitive means that what the messages say is not shown again.
	Sensitive bool `json:"sensitive,omitempty"`
	// Metadata is the caller's own object, echoed in the status.
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// StartedBy is the person who started it over HTTP; empty is a tenant's key, or a
	// command. A redrive keeps it.
	StartedBy string `json:"startedBy,omitempty"`
	// RedriveOf is the batch that this one repeats a part of.
	RedriveOf string `json:"redriveOf,omitempty"`
	// InFlight is how many attempts may be under way at once; 0 is 48.
	InFlight int `json:"inFlight,omitempty"`
	// Summaries puts a line without personal data on every activity in the Web UI.
	Summaries bool `json:"summaries,omitempty"`
	// Guard lets the batch pause itself when too much of it is refused alike.
	Guard bool `json:"guard,omitempty"`
	// ShowFailed keeps the search attribute VolleyFailed current while the batch runs. A
	// batch of an earlier version sets it at its end.
	ShowFailed bool `json:"showFailed,omitempty"`

	Template Template  `json:"template"`
	Messages []Message `json:"messages"`

	// Hops are the distinct ways that messages take; Message.Route is an index.
	Hops [][]Hop `json:"hops,omitempty"`
	// Policies holds, for each account in Hops, what held at acceptance.
	Policies map[string]Policy `json:"policies,omitempty"`

	// Warnings are things the caller should know that stop nothing. They are part of
	// the answer and of no history.
	Warnings Problems `json:"-"`
}

// Ways in which a batch's messages leave: one by one, in groups, or as DispatchFor decides.
const (
	DispatchMessage = "message"
	DispatchGroup   = "group"
	DispatchAuto    = "auto"
)

// DispatchFor decides how the n messages of the batch leave, as the batch asks or else in
// groups where that leaves nobody without an answer: in the store, through accounts that
// can be asked what became of a message or may send it again. above is from how many
// messages on all others leave in groups; 0 is that it is decided so.
func (b *Batch) DispatchFor(n int, stored bool, above int) string {
	switch {
	case b.Dispatch != "" && b.Dispatch != DispatchAuto:
		return b.Dispatch
	case above > 0 && n > above, above == 0 && stored && b.resolvesDoubts():
		return DispatchGroup
	}
	return DispatchMessage
}

// resolvesDoubts reports whether every account that a message goes through first can be
// asked what became of one, or may send it again.
func (b *Batch) resolvesDoubts() bool {
	return !slices.ContainsFunc(b.Hops, func(way []Hop) bool {
		return len(way) > 0 && !b.Policies[way[0].Account].Reconciles && b.Policies[way[0].Account].OnUnknown != Resend
	})
}

// Syntax is how a placeholder for a parameter is written.
type Syntax string

// The syntaxes of placeholders. None leaves every string as it is.
const (
	SyntaxNone   Syntax = ""
	SyntaxBraces Syntax = "${}" // ${name}; sinch, volley
	SyntaxKeys   Syntax = "$$"  // each parameter's whole key, as $pattern$; imkit
)

// Template is what the messages of a batch share.
type Template struct {
	// Body is an object in the shape of the dialect's provider request for one
	// message. A message's own Body is laid over it, key by key at the top.
	Body json.RawMessage `json:"body,omitempty"`
	// Syntax is how placeholders are written.
	Syntax Syntax `json:"syntax,omitempty"`
	// Scope lists the top-level keys in which placeholders are filled in; empty
	// means all.
	Scope []string `json:"scope,omitempty"`
	// TextPaths are the places where the content's plain text stands, tried in
	// order; they are what another dialect's provider can send.
	TextPaths [][]string `json:"textPaths,omitempty"`
}

// Message is one recipient of a batch.
type Message struct {
	// To is the recipient for people: a phone number, an address, a conversation, a room.
	To string `json:"to"`
	// Phone is To in E.164. It is set where an account of the message needs a number
	// and the caller wrote it in another form. Providers get it, and it is what is
	// compared and shown; empty is To.
	Phone string `json:"phone,omitempty"`
	// Addresses are all the ways to reach the recipient, the one in To first. They are
	// empty where To says it all, see AddressesIn.
	Addresses []Address `json:"addresses,omitempty"`
	// Numbers are the phone numbers in the message's own body, as its decoder found
	// them. They are checked when the message is accepted and not kept.
	Numbers []PhoneNumber `json:"-"`
	// Line is the message's line in the caller's file, from 1, for problems found at
	// acceptance; 0 where the path already says it. It is not kept.
	Line int `json:"-"`
	// Reference is the caller's own id, or empty.
	Reference string `json:"reference,omitempty"`
	// Channels is the order of channels wanted; empty is any.
	Channels []string `json:"channels,omitempty"`
	// Params fill in the placeholders.
	Params map[string]string `json:"params,omitempty"`
	// Body is laid over the template's body.
	Body json.RawMessage `json:"body,omitempty"`
	// Metadata is the message's own, instead of the batch's.
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// Due is the due time in Unix ms; 0 is the batch's.
	Due int64 `json:"due,omitempty"`
	// TTL is the validity in ms, counted from the due time; 0 is the batch's.
	TTL int64 `json:"ttl,omitempty"`
	// Route is an index in Batch.Hops; -1 is none.
	Route int `json:"route,omitempty"`
	// Problems are why the message is rejected; none means that it may go out.
	Problems Problems `json:"problems,omitempty"`
}

// PhoneNumber is a phone number in the body of a message.
type PhoneNumber struct {
	// Path is its place in the caller's document, Value what stands there.
	Path, Value string
}

// Recipient is whom the message is for, in the form in which numbers are compared.
func (m *Message) Recipient() string {
	if m.Phone != "" {
		return m.Phone
	}
	return m.To
}

// Hop is one account to try, with the part of the channel order that the account
// carries in one request; Channels is empty where the caller named none.
type Hop struct {
	Account  string   `json:"account"`
	Channels []string `json:"channels,omitempty"`
}

// OnUnknown decides what happens to a message when its provider cannot tell whether it
// arrived.
type OnUnknown string

// Hold gives at most once, Resend at least once. The empty value is Hold.
const (
	Hold   OnUnknown = "hold"
	Resend OnUnknown = "resend"
)

// Policy is how an account's answers are dealt with. It is fixed at acceptance:
// a later change of the config alters rates and credentials only.
type Policy struct {
	Provider string `json:"provider"`
	// OnUnknown is Hold when empty.
	OnUnknown OnUnknown `json:"onUnknown,omitempty"`
	// Settle is how long, in ms, after an ambiguous attempt the provider's answer
	// "absent" starts to count.
	Settle int64 `json:"settle,omitempty"`
	// Reconciles is false when the provider can never tell.
	Reconciles bool `json:"reconciles,omitempty"`
	// RetryInitial and RetryMax bound the backoff, in ms; 0 is 1 s and 15 min.
	RetryInitial int64 `json:"retryInitial,omitempty"`
	RetryMax     int64 `json:"retryMax,omitempty"`
	// Attempts is the most attempts on this account; 0 is no limit but validity.
	Attempts int `json:"attempts,omitempty"`
	// Group is how many messages one group sends at most; 0 is 1,000.
	Group int `json:"group,omitempty"`
	// NoReports means that the account never gets delivery reports, so no message waits
	// for one.
	NoReports bool `json:"noReports,omitempty"`
	// TwoFactor shortens the default validity to TwoFactorTTL.
	TwoFactor bool `json:"twoFactor,omitempty"`
	// Sensitive means that what goes through the account is not shown again; so it is
	// with TwoFactor.
	Sensitive bool `json:"sensitive,omitempty"`
}

// Rejected is how many messages have problems.
func (b *Batch) Rejected() int {
	n := 0
	for i := range b.Messages {
		if len(b.Messages[i].Problems) > 0 {
			n++
		}
	}
	return n
}

// Problems lists the problems of all messages, in their order.
func (b *Batch) Problems() Problems {
	var out Problems
	for i := range b.Messages {
		out = append(out, b.Messages[i].Problems...)
	}
	return out
}

// HopsOf are the hops of a message of the batch, which need not be in it: they follow
// from the header, as do DueAt and Validity. There are none if it has no route.
func (b *Batch) HopsOf(m *Message) []Hop {
	if m.Route >= 0 && m.Route < len(b.Hops) {
		return b.Hops[m.Route]
	}
	return nil
}

// DueAt is when a message of the batch may go out, in Unix ms: its own time, the
// batch's, or the moment of acceptance.
func (b *Batch) DueAt(m *Message) int64 {
	if m.Due != 0 {
		return m.Due
	}
	if b.SendAfter != 0 {
		return b.SendAfter
	}
	return b.CreatedAt.UnixMilli()
}

// Validity is the time to live of a message of the batch in ms, counted from its due
// time and never above MaxTTL.
func (b *Batch) Validity(m *Message) int64 {
	ttl := m.TTL
	if ttl == 0 {
		ttl = b.TTL
	}
	if ttl == 0 {
		ttl = DefaultTTL.Milliseconds()
		if way := b.HopsOf(m); len(way) > 0 && b.Policies[way[0].Account].TwoFactor {
			ttl = TwoFactorTTL.Milliseconds()
		}
	}
	return min(ttl, MaxTTL.Milliseconds())
}

// IsSensitive reports whether what a message of the batch says is not to be shown again:
// the batch says so, or one of the accounts that the message may go through.
func (b *Batch) IsSensitive(m *Message) bool {
	return b.Sensitive || slices.ContainsFunc(b.HopsOf(m), func(h Hop) bool {
		p := b.Policies[h.Account]
		return p.Sensitive || p.TwoFactor
	})
}
