package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"volley/internal/message"
)

// birdEntry is a message object in a listing (Bird, retrieving messages).
type birdEntry struct {
	ID        string `json:"id"`
	Reference string `json:"reference"`
	CreatedAt string `json:"createdAt"`
	Receiver  struct {
		Contacts []birdContact `json:"contacts"`
	} `json:"receiver"`
	Meta struct {
		ExtraInformation map[string]json.RawMessage `json:"extraInformation"`
	} `json:"meta"`
}

// birdContact is a recipient in a listing.
type birdContact struct {
	ID              string `json:"id"`
	IdentifierValue string `json:"identifierValue"`
	PlatformAddress string `json:"platformAddress"`
	Identifiers     []struct {
		IdentifierValue string `json:"identifierValue"`
	} `json:"identifiers"`
}

// Reconcile lists the channel's messages of the time in question. Where the
// caller set no reference ours is there, and it alone decides. With a caller's
// reference our id is in meta.extraInformation, which Bird does not promise to
// give back; without it an entry with that reference may be the message or not.
func (b *bird) Reconcile(ctx context.Context, q Query) (Answer, error) {
	m := q.Message
	own := object{}
	if m.Dialect == "bird" {
		o, err := contentOf(m)
		if err != nil {
			return Answer{}, err
		}
		own = o
	}
	var exact string
	maybe := 0
	complete, err := b.pages(ctx, func(ctx context.Context, token string) (page, error) {
		reply, err := b.roundTrip(ctx, b.list(q, token))
		return page{reply: reply}, err
	},
		func(r Reply) (string, bool, Fault) {
			entries, next, f := readBirdPage(r)
			for _, e := range entries {
				if e.ours(m, own) {
					exact = e.ID
					return "", true, f
				}
				if e.maybe(q, own) {
					maybe++
				}
			}
			return next, false, f
		})
	switch {
	case err != nil:
		return Answer{}, err
	case exact != "":
		return found(exact), nil
	}
	return withoutID(maybe, complete), nil
}

func found(id string) Answer {
	return Answer{Verdict: Found, Receipt: message.Receipt{ProviderID: message.Clip(id, maxProviderID)}}
}

func (b *bird) list(q Query, token string) call {
	from, to := q.window()
	v := url.Values{
		"direction": {"outgoing"}, "limit": {"100"},
		"startAt": {from.Format(time.RFC3339)}, "endAt": {to.Format(time.RFC3339)},
	}
	if token != "" {
		v.Set("pageToken", token)
	}
	c := b.call(http.MethodGet, b.url()+"?"+v.Encode(), nil)
	c.limit = maxPageBytes
	return c
}

func readBirdPage(r Reply) ([]birdEntry, string, Fault) {
	if r.Status/100 != 2 {
		_, f := readBird(r)
		return nil, "", f
	}
	var page struct {
		Results       *[]birdEntry `json:"results"`
		NextPageToken string       `json:"nextPageToken"`
	}
	if err := json.Unmarshal(r.Body, &page); err != nil || page.Results == nil {
		return nil, "", Unreadable("the answer is not a list of messages")
	}
	return *page.Results, page.NextPageToken, Fault{}
}

// id is the one that an entry carries in its meta; "" for none.
func (e birdEntry) id() string {
	var s string
	_ = json.Unmarshal(e.Meta.ExtraInformation[birdID], &s) // anything but a string is no id
	return s
}

// callersID is what the caller has put where our id would stand; "" for nothing.
func callersID(own object) string {
	meta, _ := own.sub("meta")
	extra, _ := meta.sub("extraInformation")
	return extra.text(birdID)
}

// ours reports whether an entry carries the message's id.
func (e birdEntry) ours(m message.Outgoing, own object) bool {
	return e.id() == m.ID || own.text("reference") == "" && e.Reference == m.ID
}

// maybe reports whether an entry may be the message although it does not carry its id.
func (e birdEntry) maybe(q Query, own object) bool {
	reference := own.text("reference")
	if reference == "" || e.Reference != reference || q.isTaken(e.ID) || q.excludes(e.CreatedAt) {
		return false
	}
	if id := e.id(); id != "" && id != callersID(own) {
		return false // it is another message of ours
	}
	if addresses(q.Message)[0].Kind == message.KindContact {
		return true // a listing may show a contact by any of its addresses
	}
	return e.reached(birdRecipient(q.Message)) != otherRecipient
}

// birdRecipient is whom a message is for, a phone number in its normal form.
func birdRecipient(m message.Outgoing) string {
	if strings.Contains(m.To, "@") {
		return m.To
	}
	if number, err := numberOf(m); err == nil {
		return number
	}
	return m.To
}

// reached says whether an entry went to a recipient: to it when one of the
// contacts is the same, to others when every one is certainly another.
func (e birdEntry) reached(to string) recipientMatch {
	others := 0
	for _, c := range e.Receiver.Contacts {
		switch c.like(to) {
		case theRecipient:
			return theRecipient
		case otherRecipient:
			others++
		}
	}
	if others > 0 && others == len(e.Receiver.Contacts) {
		return otherRecipient
	}
	return unclearRecipient
}

// like compares all that a listing shows of a contact. Bird may show another of a
// contact's addresses than the one it was given, so a contact is another one only
// by an address of the same kind.
func (c birdContact) like(to string) recipientMatch {
	addresses := []string{c.ID, c.IdentifierValue, c.PlatformAddress}
	for _, i := range c.Identifiers {
		addresses = append(addresses, i.IdentifierValue)
	}
	result := unclearRecipient
	for _, a := range addresses {
		switch l := compareRecipients(a, to); {
		case a == "":
		case l == theRecipient:
			return theRecipient
		case l == otherRecipient:
			result = otherRecipient
		}
	}
	return result
}
