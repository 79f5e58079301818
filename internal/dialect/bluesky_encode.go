package dialect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"volley/internal/message"
)

// BlueskyView is a chat.bsky.convo.defs#messageView. Reactions and replyTo, which
// only the chat service knows, are left out.
type BlueskyView struct {
	Type   string          `json:"$type"`
	ID     string          `json:"id"`
	Rev    string          `json:"rev"`
	Text   json.RawMessage `json:"text"`
	Facets json.RawMessage `json:"facets,omitempty"`
	// Embed is nil where the message has none that can be shown.
	Embed  *BlueskyEmbed `json:"embed,omitempty"`
	Sender BlueskySender `json:"sender"`
	SentAt string        `json:"sentAt"`
}

// BlueskyEmbed is an app.bsky.embed.record#view.
type BlueskyEmbed struct {
	Type   string          `json:"$type"`
	Record BlueskyNotFound `json:"record"`
}

// BlueskyNotFound is an app.bsky.embed.record#viewNotFound: a record of which only the
// address is known.
type BlueskyNotFound struct {
	Type     string `json:"$type"`
	URI      string `json:"uri"`
	NotFound bool   `json:"notFound"`
}

// BlueskySender is a chat.bsky.convo.defs#messageViewSender.
type BlueskySender struct {
	DID string `json:"did"`
}

// EncodeBlueskyView shows a message that was sent, with the content it had as an item
// of sendMessageBatch and the DID that sent it.
//
// The id is Bluesky's own, or Volley's where no provider gave one. Bluesky's rev is not
// kept: it is a TID of the time of sending and the message's index, so that it grows
// as Bluesky's does. What an embedded record holds is not kept either: its view is that
// of a record that was not found. An embed of another kind is left out, since a view has
// types of its own for embeds, and a program does not know the input's there.
func EncodeBlueskyView(row message.Row, content json.RawMessage, did string) (BlueskyView, error) {
	var item struct {
		Message struct {
			Text   json.RawMessage `json:"text"`
			Facets json.RawMessage `json:"facets"`
			Embed  json.RawMessage `json:"embed"`
		} `json:"message"`
	}
	if err := json.Unmarshal(content, &item); err != nil {
		return BlueskyView{}, fmt.Errorf("content of message %d: %w", row.Index, err)
	}
	var sent time.Time
	for _, t := range []*time.Time{row.SentAt, row.FinishedAt, row.DueAt} {
		if t != nil {
			sent = t.UTC()
			break
		}
	}
	m := item.Message
	return BlueskyView{
		Type: "chat.bsky.convo.defs#messageView", ID: cmp.Or(row.ProviderID, row.ID), Rev: tid(sent, row.Index),
		Text: m.Text, Facets: m.Facets, Embed: recordView(m.Embed),
		Sender: BlueskySender{DID: did}, SentAt: sent.Format("2006-01-02T15:04:05.000Z"),
	}, nil
}

// recordView is the view of an embed that is a record, nil for any other.
func recordView(raw json.RawMessage) *BlueskyEmbed {
	var embed struct {
		Type   string `json:"$type"`
		Record struct {
			URI string `json:"uri"`
		} `json:"record"`
	}
	// The record of an embed of another type may be anything.
	if json.Unmarshal(raw, &embed) != nil || !isRecordEmbed(embed.Type) {
		return nil
	}
	return &BlueskyEmbed{"app.bsky.embed.record#view", BlueskyNotFound{"app.bsky.embed.record#viewNotFound", embed.Record.URI, true}}
}

// tidAlphabet is base32 in an order that sorts (AT Protocol, TID).
const tidAlphabet = "234567abcdefghijklmnopqrstuvwxyz"

// tid is a TID: 53 bits of microseconds and 10 of a clock's id, in 13 characters.
func tid(t time.Time, clock int) string {
	v := uint64(max(t.UnixMicro(), 0))<<10 | uint64(clock)&0x3ff
	var b [13]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = tidAlphabet[v&0x1f]
		v >>= 5
	}
	return string(b[:])
}

// BlueskyDID is the DID of an account: its identifier where that is one, else one of
// a method of our own, did:volley, that nobody resolves.
func BlueskyDID(account, identifier string) string {
	if blueskyDID.MatchString(identifier) {
		return identifier
	}
	return "did:volley:" + account
}

// EncodeBlueskyProblem describes a problem of a call's input in the words of the
// reference server's validator (AT Protocol, lexicon validators), as far as that
// refuses it too. at is the path of the input within the decoded document.
func EncodeBlueskyProblem(p message.Problem, at string) string {
	path, ok := strings.CutPrefix(p.Path, at)
	if !ok {
		path = p.Path
	}
	parts := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) })
	place := strings.Join(append([]string{"Input"}, parts...), "/")
	last, within := "", ""
	if n := len(parts); n > 0 {
		last, within = parts[n-1], strings.TrimSuffix(place, "/"+parts[n-1])
	}
	const untyped = ` must be an object which includes the "$type" property`
	switch p.Code {
	case message.CodeRequired, message.CodeType:
		switch {
		case last == "$type":
			return within + untyped
		case p.Code == message.CodeRequired && last != "":
			return fmt.Sprintf("%s must have the property %q", within, last)
		case last == "embed", strings.HasSuffix(within, "/features"):
			return place + untyped
		case p.Code == message.CodeType:
			expected, _, _ := strings.Cut(strings.TrimPrefix(p.Detail, "expected "), ",")
			return place + " must be " + expected
		}
	case message.CodeTooMany:
		if p.Path == "items" {
			return fmt.Sprintf("%s must not have more than %d elements", place, blueskyItems)
		}
	case message.CodeTooLong:
		most, _, _ := strings.Cut(strings.TrimPrefix(p.Detail, "at most "), ",")
		// The validator says characters and counts bytes.
		return place + " must not be longer than " + strings.Replace(most, "bytes of UTF-8", "characters", 1)
	case message.CodeRange:
		return place + " can not be less than 0"
	case message.CodeFormat:
		if kind := blueskyFormat(last, within); kind != "" {
			return place + " must be " + kind
		}
	}
	if p.Path == "" {
		return "Input cannot be read: " + p.Detail
	}
	return place + ": " + p.Detail
}

// blueskyFormat is the validator's name of the format that a string at a key of an
// object has; empty for a key without one.
func blueskyFormat(key, within string) string {
	switch {
	case key == "did":
		return "a valid did"
	case key == "cid":
		return "a cid string"
	case key == "uri" && strings.HasSuffix(within, "/record"):
		return "a valid at-uri"
	case key == "uri":
		return "a uri"
	}
	return ""
}
