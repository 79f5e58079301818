package sandbox

import (
	"encoding/json"
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
	// Times is how often this message is among the kept records.
	Times int `json:"times"`

	// Scope is where a provider's reads look for it.
	Scope string `json:"scope"`
	// Sender is who sent it, where the provider says so.
	Sender string `json:"sender,omitempty"`
}

// key tells messages apart: by the sender's id, else by recipient and content.
func (r *Record) key() string {
	if r.ID != "" {
		return r.Provider + "\x00" + r.ID
	}
	return r.Provider + "\x00" + r.To + "\x00" + string(r.Content)
}

// Counts says how much was received.
type Counts struct {
	// Total is every acceptance, Kept those that can still be read.
	Total int64 `json:"total"`
	Kept  int   `json:"kept"`
	// Distinct is how many different messages are among the kept records, and
	// Doubles how many kept records repeat an earlier one. Messages without an id
	// count as the same when recipient and content are.
	Distinct int `json:"distinct"`
	Doubles  int `json:"doubles"`
	// Refused is how many requests to send got another answer or none.
	Refused int64 `json:"refused"`
	// Sunk is how many requests /sink answered; they are in no other count.
	Sunk int64 `json:"sunk"`
	// Logins is how many sessions and tokens were handed out by password.
	Logins int64 `json:"logins"`
}
