package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// blueskySkew is how far sentAt may be outside of the time in question for a
// message to count as the one; up to clockSkew it is in doubt.
const blueskySkew = 5 * time.Second

// blueskyView is a messageView, deletedMessageView or systemMessageView.
type blueskyView struct {
	Type   string  `json:"$type"`
	ID     string  `json:"id"`
	Text   *string `json:"text"`
	SentAt string  `json:"sentAt"`
	Sender struct {
		DID string `json:"did"`
	} `json:"sender"`
	Facets  json.RawMessage `json:"facets"`
	Embed   json.RawMessage `json:"embed"`
	ReplyTo json.RawMessage `json:"replyTo"`
}

// Reconcile reads the conversation back to before the time in question. Bluesky
// keeps no id of ours, so a message is found by sender, text and time, and only
// if there is exactly one and no duplicate of the message. It is absent when the conversation was
// read far enough and holds none with our text, nor a deleted one of ours.
func (b *bluesky) Reconcile(ctx context.Context, q Query) (Answer, error) {
	body, err := b.body(ctx, q.Message)
	if err != nil {
		return Answer{}, err
	}
	var own struct {
		ConvoID string `json:"convoId"`
		Message object `json:"message"`
	}
	if json.Unmarshal(body, &own) != nil || own.ConvoID == "" {
		return Answer{}, b.clean(&Error{Kind: Invalid, Code: CodeContent, Detail: "the content has no conversation"}, nil)
	}
	var seen contentMatches
	var did string
	complete, err := b.pages(ctx, func(ctx context.Context, cursor string) (page, error) {
		query := url.Values{"convoId": {own.ConvoID}, "limit": {"100"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		reply, s, err := b.chat(ctx, http.MethodGet, "getMessages", query, nil)
		did = s.DID
		return page{reply, s.secrets()}, err
	}, func(r Reply) (string, bool, Fault) {
		views, next, f := readBlueskyPage(r, b.now())
		for _, v := range views {
			if v.before(q) {
				return "", false, f // the rest is older still
			}
			v.count(q, own.Message, did, &seen)
		}
		return next, false, f
	})
	if err != nil {
		return Answer{}, err
	}
	return seen.verdict(q.Message.Duplicate, complete), nil
}

// readBlueskyPage reads one page of a conversation, newest first.
func readBlueskyPage(r Reply, now time.Time) (views []blueskyView, cursor string, f Fault) {
	if r.Status/100 != 2 {
		return nil, "", readXRPC(r, now)
	}
	var v struct {
		Cursor   string         `json:"cursor"`
		Messages *[]blueskyView `json:"messages"`
	}
	if json.Unmarshal(r.Body, &v) != nil || v.Messages == nil {
		return nil, "", Unreadable("the answer is not a list of messages")
	}
	return *v.Messages, v.Cursor, Fault{}
}

// before reports whether a view is certainly older than the time in question.
func (v blueskyView) before(q Query) bool {
	at, err := time.Parse(time.RFC3339Nano, v.SentAt)
	from, _ := q.window()
	return err == nil && at.Before(from)
}

// count adds a view that is the message, or may be.
func (v blueskyView) count(q Query, own object, did string, s *contentMatches) {
	system := strings.HasSuffix(v.Type, "#systemMessageView")
	if system || v.Sender.DID != did || q.isTaken(v.ID) || q.excludes(v.SentAt) {
		return
	}
	if v.Text == nil {
		s.ambiguous++ // deleted: it may have been ours
		return
	}
	if strings.TrimSpace(*v.Text) != strings.TrimSpace(own.text("text")) {
		return
	}
	at, err := time.Parse(time.RFC3339Nano, v.SentAt)
	near := err == nil && !at.Before(q.Since.Add(-blueskySkew)) && !at.After(q.Until.Add(blueskySkew))
	if !near || v.ID == "" || !v.alike(own) {
		s.ambiguous++
		return
	}
	s.matches++
	s.found = v.ID
}

// alike compares what a view shows besides its text. A view shows embeds and
// replies in another shape, so only what they refer to is compared; an embed that
// refers to nothing known here cannot be compared and is alike to none.
func (v blueskyView) alike(own object) bool {
	shown := object{"embed": v.Embed, "facets": v.Facets}
	if own.filled("facets") != shown.filled("facets") || own.filled("facets") && !holds(v.Facets, own["facets"]) {
		return false
	}
	record, code := refers(own["embed"], "record", "uri"), refers(own["embed"], "code")
	if own.has("embed") != shown.has("embed") || own.has("embed") && record == "" && code == "" {
		return false
	}
	return refers(v.Embed, "record", "uri") == record && refers(v.Embed, "code") == code &&
		refers(v.ReplyTo, "id") == refers(own["replyTo"], "messageId")
}

// filled reports whether a key holds a list with something in it.
func (o object) filled(key string) bool {
	var list []json.RawMessage
	return json.Unmarshal(o[key], &list) == nil && len(list) > 0
}

// refers is the string at a path of keys; "" when there is none.
func refers(raw json.RawMessage, path ...string) string {
	for _, key := range path[:len(path)-1] {
		var o object
		if json.Unmarshal(raw, &o) != nil {
			return ""
		}
		raw = o[key]
	}
	var o object
	if json.Unmarshal(raw, &o) != nil {
		return ""
	}
	return o.text(path[len(path)-1])
}
