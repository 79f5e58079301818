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
	Embed  json.RawMessage `json:"embed,omitempty"`
	Sender BlueskySender   `json:"sender"`
	SentAt string          `json:"sentAt"`
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
// as Bluesky's does. An embed is shown as it was given, since what Bluesky shows in its
// place is not kept either; the union of embeds is an open one.
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
		Text: m.Text, Facets: m.Facets, Embed: m.Embed,
		Sender: BlueskySender{DID: did}, SentAt: sent.Format("2006-01-02T15:04:05.000Z"),
	}, nil
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

// EncodeBlueskyProblem says what is wrong with the input of a call in the words of the
// reference server's validator (AT Protocol, lexicon validators) where it has some for
// it. at is the path of the input within the document that was decoded.
func EncodeBlueskyProblem(p message.Problem, at string) string {
	path, ok := strings.CutPrefix(p.Path, at)
	if !ok {
		path = p.Path
	}
	path = strings.TrimPrefix(path, ".")
	place := "Input"
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		place += "/" + part
	}
	switch {
	case p.Code == message.CodeRequired:
		cut := strings.LastIndexByte(place, '/')
		if cut < 0 {
			break
		}
		return fmt.Sprintf("%s must have the property %q", place[:cut], place[cut+1:])
	case p.Code == message.CodeType:
		expected, _, _ := strings.Cut(strings.TrimPrefix(p.Detail, "expected "), ",")
		return place + " must be " + expected
	case p.Code == message.CodeTooMany && p.Path == "items":
		return fmt.Sprintf("%s must not have more than %d elements", place, blueskyItems)
	case p.Code == message.CodeTooLong:
		most, _, _ := strings.Cut(strings.TrimPrefix(p.Detail, "at most "), ",")
		// The validator says characters and counts bytes.
		return place + " must not be longer than " + strings.Replace(most, "bytes of UTF-8", "characters", 1)
	case p.Path == "":
		return "Input cannot be read: " + p.Detail
	}
	return place + ": " + p.Detail
}
