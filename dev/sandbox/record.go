package sandbox

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Record is one accepted message. A message that was accepted twice is two
// records.
type Record struct {
	// Seq counts acceptances from 1.
	Seq int64 `json:"seq"`
	// Provider is bird, sinch, imkit, bluesky or webhook.
	Provider string `json:"provider"`
	// Account is what the request authenticated as or addressed: Bird's workspace,
	// Sinch's project, Bluesky's identifier, the webhook's path below /webhook, and
	// "imkit".
	Account string `json:"account"`
	// To is the recipient; several are joined by commas.
	To string `json:"to"`
	// ID is the sender's id of the message, from wherever the provider keeps it for
	// the caller. It is empty on Bluesky, which keeps none.
	ID string `json:"id"`
	// ProviderID is the id that the answer carried.
	ProviderID string `json:"providerId"`
	// Text is the content's plain text, as far as there is one.
	Text string `json:"text"`
	// Content is the whole request body.
	Content json.RawMessage `json:"content"`
	// At is when it was accepted, in UTC.
	At time.Time `json:"at"`
	// Times is how often this message is among the kept records, by its ID: 1 without
	// one.
	Times int `json:"times"`

	// Scope is where a provider's reads look for it.
	Scope string `json:"scope"`
	// Sender is who sent it, where the provider says so.
	Sender string `json:"sender,omitempty"`
}

// key tells messages apart, by the sender's id. One without an id is another message
// than all others: that somebody else got, or the same one gets, the same words again
// says nothing.
func (r *Record) key() string {
	if r.ID != "" {
		return r.Provider + "\x00" + r.ID
	}
	return strconv.FormatInt(r.Seq, 10)
}

// matches reports whether a text, in lower case, stands in the record's provider,
// account, recipient, text or ids, in whatever case.
func (r *Record) matches(text string) bool {
	return slices.ContainsFunc([]string{r.Provider, r.Account, r.To, r.Text, r.ID, r.ProviderID}, func(s string) bool {
		return strings.Contains(strings.ToLower(s), text)
	})
}

// Counts says how much was received.
type Counts struct {
	// Total is every acceptance, Kept those that can still be read.
	Total int64 `json:"total"`
	Kept  int   `json:"kept"`
	// Distinct is how many different messages are among the kept records, and
	// Doubles how many kept records repeat the sender's id of an earlier one.
	Distinct int `json:"distinct"`
	Doubles  int `json:"doubles"`
	// Refused is how many requests to send got another answer or none.
	Refused int64 `json:"refused"`
	// Sunk is how many requests /sink answered; they are in no other count.
	Sunk int64 `json:"sunk"`
	// Logins is how many sessions and tokens were handed out by password.
	Logins int64 `json:"logins"`
}
