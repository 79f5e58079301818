package dialect

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"volley/internal/message"
)

// BirdChannel is a place in Bird's paths. It is kept in the metadata of batches that
// came in over it, since the body of a request does not name it.
type BirdChannel struct {
	Workspace string `json:"workspaceId"`
	Channel   string `json:"channelId"`
}

// Metadata is what a batch's metadata says of the channel.
func (c BirdChannel) Metadata() json.RawMessage { return encoded(c) }

// BirdChannelIn reads the channel from a batch's metadata; it is the zero value where
// that names none.
func BirdChannelIn(metadata json.RawMessage) BirdChannel {
	var c BirdChannel
	if json.Unmarshal(metadata, &c) != nil {
		return BirdChannel{}
	}
	return c
}

// BirdBatch is the answer to an accepted batch (Bird's document, schema Batch).
func BirdBatch(id string, messages []string) json.RawMessage {
	type one struct {
		ID string `json:"id"`
	}
	list := make([]one, len(messages))
	for i, m := range messages {
		list[i].ID = m
	}
	return encoded(struct {
		ID       string `json:"id"`
		Messages []one  `json:"messages"`
	}{id, list})
}

// BirdStatus is Bird's word for where a message stands (Bird, message status;
// rejected: send batch messages).
func BirdStatus(s message.State) string {
	switch s {
	case message.Scheduled:
		return "scheduled"
	case message.Sent:
		return "sent"
	case message.Delivered:
		return "delivered"
	case message.Undelivered:
		return "delivery_failed"
	case message.Rejected:
		return "rejected"
	case message.Failed, message.Expired, message.Canceled, message.Unknown:
		return "sending_failed"
	default:
		return "accepted"
	}
}

// BirdStates returns the states that one of Bird's statuses stands for, none for an
// unknown word. Messages under way are accepted; processing means the same.
func BirdStates(status string) []message.State {
	if status == "processing" {
		status = "accepted"
	}
	return slices.DeleteFunc(message.States(), func(s message.State) bool { return BirdStatus(s) != status })
}

// birdTail is what Bird adds to a message that it has accepted.
type birdTail struct {
	Parts        []birdPart   `json:"parts"`
	Status       string       `json:"status"`
	Reason       string       `json:"reason"`
	Direction    string       `json:"direction"`
	Details      string       `json:"details,omitempty"`
	Failure      *birdFailure `json:"failure,omitempty"`
	LastStatusAt time.Time    `json:"lastStatusAt"`
	CreatedAt    time.Time    `json:"createdAt"`
	UpdatedAt    time.Time    `json:"updatedAt"`
}

type birdPart struct {
	PlatformReference string `json:"platformReference"`
}

type birdFailure struct {
	Code   int        `json:"code"`
	Source birdSource `json:"source"`
}

type birdSource struct {
	Name string `json:"name"`
	Code string `json:"code,omitempty"`
}

// BirdMessage returns the Channels API's message object for a row: the caller's own
// fields as accepted, and what became of the message. Where the content is not at hand
// (a rejected message, one of a large batch) it has the recipient and the reference
// only.
func BirdMessage(b *message.Batch, row *message.Row) json.RawMessage {
	var out builder
	out.addText("id", row.ID)
	out.addText("channelId", BirdChannelIn(b.Metadata).Channel)
	birdContents(&out, b, row)
	changed := birdChanged(b, row)
	tail := birdTail{
		Parts: []birdPart{}, Status: BirdStatus(row.State), Direction: "outgoing", LastStatusAt: changed,
		CreatedAt: b.CreatedAt.UTC().Truncate(time.Millisecond), UpdatedAt: changed,
	}
	if row.ProviderID != "" {
		tail.Parts = append(tail.Parts, birdPart{row.ProviderID})
	}
	if row.State.Final() && row.State != message.Sent && row.State != message.Delivered {
		tail.Reason, tail.Details, tail.Failure = row.Detail, row.Code, birdFailureOf(row)
	}
	out.addAll(encoded(tail))
	return out.object()
}

// birdContents adds what the caller gave.
func birdContents(out *builder, b *message.Batch, row *message.Row) {
	if row.DueAt != nil && row.DueAt.UnixMilli() > b.CreatedAt.UnixMilli() {
		out.add("scheduledFor", encoded(row.DueAt))
	}
	if row.Index < len(b.Messages) && b.Messages[row.Index].Body != nil {
		out.addAll(b.Messages[row.Index].Body)
		return
	}
	type contact struct {
		IdentifierValue string `json:"identifierValue"`
	}
	contacts := []contact{}
	if to := row.Written(); to != "" {
		contacts = append(contacts, contact{to})
	}
	out.add("receiver", encoded(map[string]any{"contacts": contacts}))
	if row.Reference != nil {
		out.addText("reference", *row.Reference)
	}
}

// birdChanged is when a message last changed, as far as its row tells: its end, its
// last attempt, its due time where that has come, or its acceptance.
func birdChanged(b *message.Batch, row *message.Row) time.Time {
	at := b.CreatedAt
	later := func(t *time.Time) {
		if t != nil && t.After(at) {
			at = *t
		}
	}
	if !row.State.Final() && row.State != message.Scheduled {
		later(row.DueAt)
	}
	later(row.SentAt)
	later(row.FinishedAt)
	if n := len(row.Trail); n > 0 {
		later(&row.Trail[n-1].At)
	}
	return at.UTC().Truncate(time.Millisecond)
}

// Codes of failures (Bird, message failure codes). Those with three zeros name no
// more than a class: Bird's numbers for these cases are not known.
const (
	birdInvalidChannel         = 11001
	birdInvalidInput           = 11002
	birdDependency             = 12001
	birdUnsupportedType        = 12002
	birdUnsupportedDestination = 12003
	birdCustomer               = 14000
	birdPlatform               = 15000
)

// birdFailureOf says why a message failed. A code of Bird's own, which an account at
// Bird has told us, is passed on.
func birdFailureOf(row *message.Row) *birdFailure {
	f := &birdFailure{Code: birdDependency, Source: birdSource{Name: row.Account, Code: row.Code}}
	if row.Attempts == 0 || row.Account == "" {
		f.Source.Name = "pre-processing"
	}
	given, err := strconv.Atoi(row.Code)
	switch {
	case row.State == message.Rejected && row.Code == message.CodeUnroutable:
		f.Code = birdInvalidChannel
	case row.State == message.Rejected:
		f.Code = birdInvalidInput
	case row.State == message.Canceled:
		f.Code = birdCustomer
	case err == nil && given > 11000 && given < 16000:
		f.Code = given
	case row.State == message.Undelivered:
		f.Code = birdPlatform
	case row.Code == "unsupported_content":
		f.Code = birdUnsupportedType
	case row.Code == "unsupported_recipient":
		f.Code = birdUnsupportedDestination
	}
	return f
}

// BirdPage is a page of messages. next is empty on the last page; total is left out
// where it is below 0, which is not known.
func BirdPage(results []json.RawMessage, next string, total int) json.RawMessage {
	page := struct {
		Results       []json.RawMessage `json:"results"`
		NextPageToken string            `json:"nextPageToken,omitempty"`
		Total         *int              `json:"total,omitempty"`
	}{Results: results, NextPageToken: next}
	if page.Results == nil {
		page.Results = []json.RawMessage{}
	}
	if total >= 0 {
		page.Total = &total
	}
	return encoded(page)
}
