package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// sinchEntry is a message in a listing (Conversation API, list messages).
type sinchEntry struct {
	ID       string `json:"id"`
	Metadata string `json:"metadata"`
}

// Reconcile lists the app's messages of the time in question, from both of
// Sinch's stores, because a message may have gone out in either processing mode.
// Our id in the metadata decides. An empty listing proves nothing unless the
// account says that Sinch stores its messages: in DISPATCH mode the retention may
// be 0 days.
func (s *sinch) Reconcile(ctx context.Context, q Query) (Answer, error) {
	all := true
	for _, source := range []string{"DISPATCH_SOURCE", "CONVERSATION_SOURCE"} {
		var exact string
		complete, err := s.pages(ctx, func(ctx context.Context, token string) (page, error) {
			return s.list(ctx, q, source, token)
		},
			func(r Reply) (string, bool, Fault) {
				entries, next, f := readSinchPage(r)
				for _, e := range entries {
					if e.id() == q.Message.ID {
						exact = e.ID
						return "", true, f
					}
				}
				return next, false, f
			})
		if err != nil {
			return Answer{}, err
		}
		if exact != "" {
			return found(exact), nil
		}
		all = all && complete
	}
	switch {
	case !s.account.StoresMessages:
		return Answer{Detail: "not in the listing, and the account does not say that Sinch stores its messages"}, nil
	case !all:
		return Answer{Detail: "the listing does not cover the time of the attempt"}, nil
	}
	return Answer{Verdict: Absent}, nil
}

func (s *sinch) list(ctx context.Context, q Query, source, token string) (page, error) {
	from, to := q.window()
	v := url.Values{
		"app_id": {s.account.App}, "messages_source": {source}, "page_size": {"500"},
		"start_time": {from.Format(time.RFC3339)}, "end_time": {to.Format(time.RFC3339)},
	}
	if token != "" {
		v.Set("page_token", token)
	}
	address := join(s.account.BaseURL, "v1", "projects", s.account.Project, "messages") + "?" + v.Encode()
	reply, access, err := s.authorized(ctx, call{method: http.MethodGet, url: address, limit: maxPageBytes})
	return page{reply: reply, secrets: []string{access}}, err
}

func readSinchPage(r Reply) ([]sinchEntry, string, Fault) {
	if r.Status/100 != 2 {
		_, f := readSinch(r)
		return nil, "", f
	}
	// An empty list may be left out, as proto3 JSON does with empty fields; then
	// the object is still one.
	var v *struct {
		Messages []sinchEntry `json:"messages"`
		Next     string       `json:"next_page_token"`
		Wrapped  *sinchError  `json:"error"`
	}
	if err := json.Unmarshal(r.Body, &v); err != nil || v == nil {
		return nil, "", Unreadable("the answer is not a list of messages")
	}
	if v.Wrapped != nil {
		return nil, "", v.Wrapped.fault()
	}
	return v.Messages, v.Next, Fault{}
}

// id is ours that an entry's metadata holds; "" for none.
func (e sinchEntry) id() string {
	var o object
	_ = json.Unmarshal([]byte(e.Metadata), &o) // metadata of another making holds no id of ours
	return o.text(sinchID)
}
