package message

import (
	"cmp"
	"encoding/json"
	"time"
)

// BatchState is where a whole batch stands.
type BatchState string

// The states of a batch. BatchFailed is a workflow that Temporal itself ended.
const (
	BatchScheduled BatchState = "scheduled"
	BatchRunning   BatchState = "running"
	BatchPaused    BatchState = "paused"
	BatchCanceling BatchState = "canceling"
	BatchCanceled  BatchState = "canceled"
	BatchCompleted BatchState = "completed"
	BatchFailed    BatchState = "failed"
)

// Closed reports whether the batch has ended.
func (s BatchState) Closed() bool {
	return s == BatchCanceled || s == BatchCompleted || s == BatchFailed
}

// Status is what is known of a batch at one moment. Its counts add up to Total.
type Status struct {
	ID         string     `json:"id"`
	Dialect    string     `json:"dialect"`
	Tenant     string     `json:"tenant"`
	Account    string     `json:"account"`
	State      BatchState `json:"state"`
	Dispatch   string     `json:"dispatch"`
	CreatedAt  time.Time  `json:"createdAt"`
	SendAfter  *time.Time `json:"sendAfter"`
	StartedAt  *time.Time `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt"`
	NextDueAt  *time.Time `json:"nextDueAt"`
	Remaining
	Total  int     `json:"total"`
	Counts *Counts `json:"counts"` // null only in lists of open batches
	// Reasons say why messages failed, were rejected, expired, did not arrive, are tried
	// again, or are unknown: at most MaxReasons, which add up to their counts. They are null
	// where Counts are.
	Reasons   Reasons         `json:"reasons"`
	Metadata  json.RawMessage `json:"metadata"`
	RedriveOf *string         `json:"redriveOf"`
	AsOf      time.Time       `json:"asOf"`
	Rev       int64           `json:"rev"`
	// Rate is how many messages a second have had their last attempt lately, and
	// EstimatedEnd when the last one will; both only while the batch runs and as far as
	// they are known.
	Rate         float64    `json:"rate,omitempty"`
	EstimatedEnd *time.Time `json:"estimatedEnd,omitempty"`
	// Held is why messages wait that could be sent; nil where nothing holds them.
	Held *HoldView `json:"held"`
	// Fault is what keeps a large batch from going on, or from being counted: its store is
	// away, or cannot be read or written. Empty is nothing.
	Fault string `json:"fault,omitempty"`
}

// Row is what is known of one message.
type Row struct {
	Index     int     `json:"index"`
	ID        string  `json:"id"`
	Reference *string `json:"reference"`
	To        string  `json:"to"`
	// Given is the recipient as the caller wrote it, where To is its normal form.
	Given      string     `json:"given,omitempty"`
	Channel    string     `json:"channel"`
	Account    string     `json:"account"`
	State      State      `json:"state"`
	DueAt      *time.Time `json:"dueAt"`
	ExpiresAt  *time.Time `json:"expiresAt"`
	SentAt     *time.Time `json:"sentAt"`
	FinishedAt *time.Time `json:"finishedAt"`
	ProviderID string     `json:"providerId"`
	Attempts   int        `json:"attempts"`
	Code       string     `json:"code"`
	Detail     string     `json:"detail"`
	Rev        int64      `json:"rev"`
	// Text is what the message said, rendered again from the batch. It is there only where
	// one message was asked for, its text can be read and is not sensitive.
	Text *string `json:"text,omitempty"`
	// Addresses and Trail are there only where one message was asked for.
	Addresses []AddressRow `json:"addresses,omitempty"`
	Trail     []TrailRow   `json:"trail,omitempty"`
}

// TrailRow is one Entry as it is shown.
type TrailRow struct {
	At      time.Time `json:"at"`
	Hop     int       `json:"hop"`
	Account string    `json:"account"`
	Attempt int       `json:"attempt"`
	Event   Event     `json:"event"`
	Code    string    `json:"code"`
	Detail  string    `json:"detail"`
}

// Page is some rows of a batch; Next is empty on the last page.
type Page struct {
	Messages []Row  `json:"messages"`
	Next     string `json:"next"`
}

// PageQuery asks for a page. The zero value asks for the first 100 messages.
type PageQuery struct {
	// State keeps only messages in these states (ParseStates); empty keeps all.
	State string `json:"state,omitempty"`
	// Code keeps only messages with this code; empty keeps all.
	Code string `json:"code,omitempty"`
	// Limit is at most 500; 0 is 100.
	Limit int `json:"limit,omitempty"`
	// Cursor is Next of the page before.
	Cursor string `json:"cursor,omitempty"`
	// Since keeps only messages whose rev is above it.
	Since int64 `json:"since,omitempty"`
	// Room is how many bytes of JSON the rows have at most, of which there is always one; 0 is
	// 1.9 MB. It is for workflows, whose answers the server bounds.
	Room int `json:"-"`
	// Selector is for the starter; workflows do not know it.
	Selector
}

// CancelRequest cancels the messages named by id or index; nil is the whole
// batch, and a list that is there and empty is none of it.
type CancelRequest struct {
	Reason   string   `json:"reason,omitempty"`
	Messages []string `json:"messages,omitzero"`
	// Unclear is what CheckControl said of the JSON that the request was read from; empty
	// is nothing. Such a request must not be obeyed.
	Unclear string `json:"-"`
}

// UnmarshalJSON reads a request and sets Unclear. null is a request without members.
func (q *CancelRequest) UnmarshalJSON(raw []byte) error {
	type plain CancelRequest
	if string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, (*plain)(q)); err != nil {
		return err
	}
	if err := CheckControl(raw); err != nil {
		q.Unclear = err.Error()
	}
	return nil
}

// PauseResult names the messages whose attempt had left when the batch paused.
type PauseResult struct {
	Batch    string   `json:"batch"`
	InFlight []string `json:"inFlight"`
	// Confirmed is false where no worker answered: then the pause is recorded.
	Confirmed bool `json:"confirmed"`
}

// ResumeResult confirms a resume, or says that it is recorded.
type ResumeResult struct {
	Batch     string `json:"batch"`
	Confirmed bool   `json:"confirmed"`
}

// RescheduleRequest moves every message without an attempt to SendAfter, an
// RFC 3339 time or a duration from now (ParseTime).
type RescheduleRequest struct {
	SendAfter string `json:"sendAfter"`
}

// PauseRequest is what a pause or a resume brings as a signal, which may have none. Of
// those that come together the one of the latest time counts; without times a pause does.
type PauseRequest struct {
	// At is when it was asked for, in Unix ms.
	At int64 `json:"at,omitempty"`
}

// RescheduleResult counts what a reschedule moved.
type RescheduleResult struct {
	Batch       string `json:"batch"`
	Rescheduled int    `json:"rescheduled"`
	Unchanged   int    `json:"unchanged"`
	// Confirmed is false where no worker answered: then the reschedule is recorded, and
	// nothing is counted.
	Confirmed bool `json:"confirmed"`
}

// Result is what a batch's workflow returns: how it ended and every message.
//
// That of a large batch has Large instead of rows and trails.
type Result struct {
	V      int    `json:"v"`
	Status Status `json:"status"`
	Rows   Rows   `json:"rows"`
	Trails Trails `json:"trails"`
	Large  *Large `json:"large,omitempty"`
}

// Rows are all messages of a batch, by index. As JSON they leave out what is
// empty and, beside the key, the ids that follow from it: a thousand rows stand
// in one payload.
type Rows []Row

type packedRows struct {
	Key  string      `json:"key"`
	List []packedRow `json:"list"`
}

type packedRow struct {
	Reference  string `json:"reference,omitempty"`
	To         string `json:"to"`
	Given      string `json:"given,omitempty"`
	Channel    string `json:"channel,omitempty"`
	Account    string `json:"account,omitempty"`
	State      State  `json:"state"`
	Due        int64  `json:"due"`
	TTL        int64  `json:"ttl"`
	Sent       int64  `json:"sent,omitempty"`
	Finished   int64  `json:"finished,omitempty"`
	ProviderID string `json:"providerId,omitempty"`
	Attempts   int    `json:"attempts,omitempty"`
	Code       string `json:"code,omitempty"`
	Detail     string `json:"detail,omitempty"`
	Rev        int64  `json:"rev"`
}

// MarshalJSON packs the rows. Trails are not part of them.
func (rows Rows) MarshalJSON() ([]byte, error) {
	p := packedRows{List: make([]packedRow, len(rows))}
	for i, r := range rows {
		if i == 0 {
			k, _, _ := ParseID(r.ID)
			p.Key = k.String()
		}
		p.List[i] = packedRow{
			To: r.To, Given: r.Given, Channel: r.Channel, Account: r.Account, State: r.State,
			Due: millis(r.DueAt), TTL: millis(r.ExpiresAt) - millis(r.DueAt), Sent: millis(r.SentAt), Finished: millis(r.FinishedAt),
			ProviderID: r.ProviderID, Attempts: r.Attempts, Code: r.Code, Detail: r.Detail, Rev: r.Rev,
		}
		if r.Reference != nil {
			p.List[i].Reference = *r.Reference
		}
	}
	return json.Marshal(p)
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (rows *Rows) UnmarshalJSON(b []byte) error {
	var p packedRows
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	key, err := ParseKey(p.Key)
	if err != nil && len(p.List) > 0 {
		return err
	}
	*rows = make(Rows, len(p.List))
	for i := range p.List {
		r := &p.List[i]
		(*rows)[i] = Row{
			Index: i, ID: key.MessageID(i), To: r.To, Given: r.Given, Channel: r.Channel, Account: r.Account, State: r.State,
			DueAt: At(r.Due), ExpiresAt: At(r.Due + r.TTL), SentAt: At(r.Sent), FinishedAt: At(r.Finished),
			ProviderID: r.ProviderID, Attempts: r.Attempts, Code: r.Code, Detail: r.Detail, Rev: r.Rev,
		}
		if r.Reference != "" {
			(*rows)[i].Reference = &r.Reference
		}
	}
	return nil
}

// millis is a time in Unix ms; nil is 0.
func millis(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixMilli()
}

// At turns Unix ms into a time in UTC; 0 is nil.
func At(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}

// Status is what is known of the batch at a time, apart from when it started and ended.
// accounts are the names in Policies.
func (b *Batch) Status(state BatchState, accounts []string, counts Counts, reasons Reasons, now time.Time, rev int64) Status {
	s := Status{
		ID: b.ID, Dialect: b.Dialect, Tenant: b.Tenant, Account: b.Account,
		State: state, Dispatch: cmp.Or(b.Dispatch, DispatchMessage), CreatedAt: b.CreatedAt, SendAfter: At(b.SendAfter),
		Total: counts.Total(), Counts: &counts, Reasons: reasons.Of(counts), Metadata: b.Metadata, AsOf: now.UTC(), Rev: rev,
	}
	if s.Account == "" && len(accounts) == 1 {
		s.Account = accounts[0]
	}
	if len(s.Metadata) == 0 {
		s.Metadata = json.RawMessage("{}")
	}
	if b.RedriveOf != "" {
		s.RedriveOf = &b.RedriveOf
	}
	return s
}

// RowOf shows a message of the batch, which has the index i, as its record has it.
func (b *Batch) RowOf(key Key, i int, m *Message, r *Record) Row {
	row := Row{
		Index: i, ID: key.MessageID(i), State: r.State,
		DueAt: At(r.Due), ExpiresAt: At(r.Expires), SentAt: At(r.Sent), FinishedAt: At(r.Finished),
		ProviderID: r.ProviderID, Attempts: r.Attempts, Code: r.Code, Detail: r.Detail, Rev: r.Rev,
	}
	row.Address(m)
	if m.Reference != "" {
		row.Reference = &m.Reference
	}
	if len(m.Channels) > 0 {
		row.Channel = m.Channels[0]
	}
	if way := b.HopsOf(m); r.Hop < len(way) {
		row.Account = way[r.Hop].Account
		if len(way[r.Hop].Channels) > 0 {
			row.Channel = way[r.Hop].Channels[0]
		}
	}
	return row
}

// Address fills in whom the message is for.
func (r *Row) Address(m *Message) {
	r.To, r.Given = m.Recipient(), ""
	if m.Phone != "" {
		r.Given = m.To
	}
}

// Written is the recipient as the caller wrote it, for answers in the caller's own
// format.
func (r *Row) Written() string {
	if r.Given != "" {
		return r.Given
	}
	return r.To
}

// TrailOf shows a message's trail with the accounts that its hops took.
func (b *Batch) TrailOf(m *Message, trail []Entry) []TrailRow {
	way := b.HopsOf(m)
	rows := make([]TrailRow, len(trail))
	for j, e := range trail {
		rows[j] = TrailRow{At: *At(max(e.At, 1)), Hop: e.Hop, Attempt: e.Attempt, Event: e.Event, Code: e.Code, Detail: e.Detail}
		if e.Hop < len(way) {
			rows[j].Account = way[e.Hop].Account
		}
	}
	return rows
}

// TextOf is what a message of the batch says, rendered again. It is nil where that is not
// to be shown or cannot be told.
func (b *Batch) TextOf(m *Message) *string {
	if len(m.Problems) > 0 || m.To == "" || b.IsSensitive(m) {
		return nil
	}
	_, text, err := b.Template.Render(m)
	if err != nil || text == "" {
		return nil
	}
	return &text
}
