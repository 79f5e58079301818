package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// blueskyView is a messageView, deletedMessageView or systemMessageView.
type blueskyView struct {
	Type   string  `json:"$type"`
	ID     string  `json:"id"`
	Text   *string `json:"text"`
	SentAt string  `json:"sentAt"`
	Sender struct {
		DID string `json:"did"`
	} `json:"sender"`
}

// Reconcile reads the conversation back to before the time in question. Bluesky
// keeps no id of ours, so nothing is ever found. A message is absent when the conversation was
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
	maybe := 0
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
			if v.maybe(q, own.Message, did) {
				maybe++
				return "", true, f // more of them say no more
			}
		}
		return next, false, f
	})
	if err != nil {
		return Answer{}, err
	}
	return withoutID(maybe, complete), nil
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

// maybe reports whether a view may be the message.
func (v blueskyView) maybe(q Query, own object, did string) bool {
	system := strings.HasSuffix(v.Type, "#systemMessageView")
	if system || v.Sender.DID != did || q.isTaken(v.ID) || q.excludes(v.SentAt) {
		return false
	}
	return v.Text == nil || // deleted: it may have been ours
		strings.TrimSpace(*v.Text) == strings.TrimSpace(own.text("text"))
}
