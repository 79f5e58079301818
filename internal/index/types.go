package index

import (
	"encoding/json"
	"time"

	"volley/internal/message"
)

// Batch is what is kept of one batch.
type Batch struct {
	Tenant, ID string
	Dialect    string
	Account    string
	State      message.BatchState
	Dispatch   string
	Total      int
	Counts     message.Counts
	Reasons    message.Reasons
	// Metadata holds the keys that search_metadata names, and no others.
	Metadata  map[string]string
	RedriveOf string
	CreatedAt time.Time
	// SendAfter, StartedAt, FinishedAt, NextDueAt and EstimatedEnd are zero where they are not
	// known.
	SendAfter, StartedAt, FinishedAt, NextDueAt, EstimatedEnd time.Time
	// Held is why messages wait; nil is nothing.
	Held  *message.HoldView
	Fault string
	// Rev is the newest change that is in it, and AsOf when it was read.
	Rev  int64
	AsOf time.Time
}

// Message is what is kept of one message.
type Message struct {
	Index   int
	ID      string
	To      string
	Channel string
	Account string
	// Country is of a phone number, as two letters; empty is none or not known.
	Country   string
	Reference string
	// ProviderID is what the provider calls it.
	ProviderID string
	State      message.State
	Code       string
	Detail     string
	// DueAt, SentAt and FinishedAt are zero where they are not known.
	DueAt, SentAt, FinishedAt time.Time
	Attempts                  int
	Rev                       int64
	// Others are the recipient's other addresses, by which it is found too.
	Others []string
}

// FindQuery asks for messages. At least one of Text, To, Reference, ID and ProviderID is
// given; a message has all that are.
type FindQuery struct {
	// Tenant is whose; empty is everybody's.
	Tenant string
	// Text is any of an address, a reference, a message's id and a provider's id.
	Text string
	// To, Reference, ID and ProviderID are one of them each.
	To, Reference, ID, ProviderID string
	// Region is where phone numbers without a country code are written; empty is nowhere.
	Region string
	// States keeps only messages in these; empty keeps all.
	States []message.State
	// Since keeps only those that ended at or after it, and those that have not ended; zero
	// keeps all.
	Since time.Time
	// Limit is at most 500; 0 is 50. Cursor is Next of the page before.
	Limit  int
	Cursor string
}

// Found is a message that was found, newest first.
type Found struct {
	Batch  string `json:"batch"`
	Tenant string `json:"tenant"`
	Index  int    `json:"index"`
	ID     string `json:"id"`
	// To and Reference are empty where they cannot be opened with the keys at hand.
	To         string        `json:"to"`
	Reference  string        `json:"reference"`
	Channel    string        `json:"channel"`
	Account    string        `json:"account"`
	State      message.State `json:"state"`
	Code       string        `json:"code"`
	Detail     string        `json:"detail"`
	DueAt      *time.Time    `json:"dueAt"`
	SentAt     *time.Time    `json:"sentAt"`
	FinishedAt *time.Time    `json:"finishedAt"`
	ProviderID string        `json:"providerId"`
	Attempts   int           `json:"attempts"`

	row int64
}

// FindPage is some of them; Next is empty on the last page.
type FindPage struct {
	Messages []Found `json:"messages"`
	Next     string  `json:"next"`
}

// StatsQuery asks how well messages went.
type StatsQuery struct {
	// Tenant is whose; empty is everybody's.
	Tenant string
	// Since is 7 days before Now where it is zero. Messages belong to the hour in which they
	// ended.
	Since, Now time.Time
	// By is tenant, account, country, channel, code, hour, day, batch or meta.KEY with a key
	// of search_metadata; empty is one line in all.
	By string
	// Zone is that of hours and days; nil is UTC.
	Zone *time.Location
}

// Stat is one line of it.
type Stat struct {
	// Key is the value of what StatsQuery.By names; empty where a message has none.
	Key    string         `json:"key"`
	Total  int            `json:"total"`
	Counts message.Counts `json:"counts"`
	// Reasons are why messages did not go well, at most 10, the largest first, without details.
	Reasons message.Reasons `json:"reasons"`
	// Success is (sent + delivered) / total. DeliveryRate is delivered / (delivered +
	// undelivered), and null without either. NoReport counts those sent over 24 h ago of which
	// no report came.
	Success      float64  `json:"success"`
	DeliveryRate *float64 `json:"deliveryRate"`
	NoReport     int      `json:"noReport"`
	// P50 and P99 are the seconds from when messages were due to when they were sent, to
	// within a tenth; null where none was sent.
	P50 *float64 `json:"timeToSendP50"`
	P99 *float64 `json:"timeToSendP99"`
}

// BatchesQuery asks for batches, newest first.
type BatchesQuery struct {
	Tenant string
	// Open keeps only those that have not ended.
	Open  bool
	Since time.Time
	// Meta keeps only those with this metadata.
	Meta map[string]string
	// Only keeps only these, at most 500; nil is all.
	Only []BatchName
	// Limit is at most 500; 0 is 50. Cursor is Next of the page before.
	Limit  int
	Cursor string
}

// BatchName names a batch.
type BatchName struct{ Tenant, ID string }

// BatchPage is some of them; Next is empty on the last page.
type BatchPage struct {
	Batches []Batch
	Next    string
}

// AuditEntry is one line of the audit log. Line is the whole of it, as it was written.
type AuditEntry struct {
	Time                                                  time.Time
	Action, Result, Actor, Through, Tenant, Batch, Reason string
	Line                                                  json.RawMessage
}

// AuditQuery asks for lines of the audit log, newest first; zero values keep all.
type AuditQuery struct {
	Tenant, Batch, Action, Actor string
	Since                        time.Time
	Limit                        int
	Cursor                       string
}

// Position is how far a batch has been taken in. The zero value is not at all.
type Position struct {
	// Rev is that up to which all changes are in, and Walk the cursor of the next page of
	// those that are being read; empty is none.
	Rev  int64
	Walk string
	// Done means that nothing is to come, delivery reports aside.
	Done bool
}

// Status is how large an index is and how far it goes.
type Status struct {
	// Kind is sqlite or postgres, and Path its file, empty of PostgreSQL.
	Kind string `json:"kind"`
	Path string `json:"path,omitempty"`
	// Schema is how many of its migrations were made; Newest is how many this program has.
	Schema int64 `json:"schema"`
	Newest int64 `json:"newest"`
	// Encrypted means that what names people is sealed, Plain that some of it is not: all, or
	// what is there of before encryption was switched on.
	Encrypted bool  `json:"encrypted"`
	Plain     bool  `json:"plain"`
	Messages  int64 `json:"messages"`
	Batches   int64 `json:"batches"`
	Open      int64 `json:"open"`
	Audit     int64 `json:"audit"`
	Bytes     int64 `json:"bytes"`
	// Oldest is when the oldest batch was made, AsOf when the newest batch was read; null is
	// that there is none.
	Oldest *time.Time `json:"oldest"`
	AsOf   *time.Time `json:"asOf"`
}
