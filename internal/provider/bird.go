package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"volley/internal/message"
)

func birdFields(a Account) []field {
	return []field{
		address("base_url", a.BaseURL), text("workspace", a.Workspace), text("channel", a.Channel),
		secret("access_key", a.AccessKey),
	}
}

// bird sends through Bird's Channels API (docs.bird.com, "Sending messages").
type bird struct {
	*client
	account Account
}

var _ interface {
	Sender
	Reconciler
} = (*bird)(nil)

func newBird(a Account, c *client) (Sender, error) { return &bird{client: c, account: a}, nil }

// birdID is the key in meta.extraInformation that holds our id of a message whose
// reference the caller set.
const birdID = "volleyMessageId"

// Send creates one message.
func (b *bird) Send(ctx context.Context, m message.Outgoing) (message.Receipt, error) {
	body, err := b.body(m)
	if err != nil {
		return message.Receipt{}, b.clean(err, nil)
	}
	return b.send(ctx, b.call(http.MethodPost, b.url(), body), readBird)
}

func (b *bird) url() string {
	return join(b.account.BaseURL, "workspaces", b.account.Workspace, "channels", b.account.Channel, "messages")
}

func (b *bird) call(method, url string, body []byte) call {
	return call{
		method: method, url: url, body: body,
		header: http.Header{"Authorization": {"AccessKey " + b.account.AccessKey}},
	}
}

// body is the CreateMessage of a message. A caller's own goes out as it is, but
// for what only the moment of sending decides: the time has come, so there is no
// scheduledFor, and what is left of the validity.
func (b *bird) body(m message.Outgoing) ([]byte, *Error) {
	if m.Dialect != "bird" {
		return birdText(m)
	}
	o, err := contentOf(m)
	if err != nil {
		return nil, err
	}
	if err := birdNumbers(m, o); err != nil {
		return nil, err
	}
	delete(o, "scheduledFor")
	if o.has("validity") {
		o.set("validity", max(int64(m.ExpiresAt.Sub(b.now())/time.Second), 1))
	}
	if o.text("reference") == "" {
		o.set("reference", m.ID)
		return o.bytes(), nil
	}
	meta, ok := o.sub("meta")
	extra, ok2 := meta.sub("extraInformation")
	if ok && ok2 {
		if !extra.has(birdID) {
			extra.set(birdID, m.ID)
		}
		meta.set("extraInformation", extra)
		o.set("meta", meta)
	}
	return o.bytes(), nil
}

// birdText is a plain text for a message of another dialect.
func birdText(m message.Outgoing) ([]byte, *Error) {
	if m.Text == "" {
		return nil, unsupportedContent(m)
	}
	a, err := addressFor(m, hopChannel(m), "bird", "a phone number or an email address")
	if err != nil {
		return nil, err
	}
	contact := map[string]string{"identifierKey": "emailaddress", "identifierValue": a.Value}
	if a.Kind == message.KindPhone {
		contact["identifierKey"] = birdPhone
	}
	return encode(map[string]any{
		"receiver":  map[string]any{"contacts": []any{contact}},
		"body":      map[string]any{"type": "text", "text": map[string]string{"text": m.Text}},
		"reference": m.ID,
	}), nil
}

// birdPhone is the identifierKey of phone numbers (Bird, contacts and identifiers).
const birdPhone = "phonenumber"

// birdNumbers writes the phone numbers among the receiver's contacts in their normal
// form. The rest of the receiver stays as it is.
func birdNumbers(m message.Outgoing, o object) *Error {
	receiver, ok := o.sub("receiver")
	if !ok {
		return nil
	}
	contacts := objects(receiver["contacts"])
	changed := false
	number := func(identifier object) (bool, error) {
		if identifier.text("identifierKey") != birdPhone {
			return false, nil
		}
		return setNumber(m, identifier, "identifierValue")
	}
	for _, contact := range contacts {
		own, err := number(contact)
		if err != nil {
			return badNumber("bird", err)
		}
		others := objects(contact["identifiers"])
		within := false
		for _, identifier := range others {
			one, err := number(identifier)
			if err != nil {
				return badNumber("bird", err)
			}
			within = within || one
		}
		if within {
			contact.set("identifiers", others)
		}
		changed = changed || own || within
	}
	if changed {
		receiver.set("contacts", contacts)
		o.set("receiver", receiver)
	}
	return nil
}

func unsupportedContent(m message.Outgoing) *Error {
	return &Error{Kind: Invalid, Code: CodeContent, Detail: "the content is " + m.Dialect + "'s and has no plain text that this account could send"}
}

// unsupportedRecipient says what a provider reaches; why is what is wrong with the
// recipient, or nil.
func unsupportedRecipient(provider, expected string, why error) *Error {
	e := &Error{Kind: Invalid, Code: CodeRecipient, Detail: provider + " reaches " + expected + ", which the recipient is not"}
	if why != nil {
		e.Detail += ": it " + why.Error()
	}
	return e
}

// birdFault is RequestError and ValidationError (Bird, batch messages), and the
// part of a message object that says what became of it.
type birdFault struct {
	ID      string          `json:"id"`
	Status  string          `json:"status"`
	Reason  string          `json:"reason"`
	Code    json.RawMessage `json:"code"`
	Message string          `json:"message"`
	Details json.RawMessage `json:"details"`
	Failure struct {
		Code json.RawMessage `json:"code"`
	} `json:"failure"`
}

func readBird(r Reply) (message.Receipt, Fault) {
	var v birdFault
	err := json.Unmarshal(r.Body, &v)
	f := Fault{Code: scalar(v.Code), Detail: v.Message}
	if details := details(v.Details); details != "" {
		f.Detail = strings.TrimPrefix(f.Detail+": "+details, ": ")
	}
	switch {
	case r.Status/100 != 2:
		return message.Receipt{}, f
	case err != nil:
		return message.Receipt{}, Unreadable("the answer is not a message object")
	case v.Status == "rejected" || v.Status == "sending_failed":
		return message.Receipt{}, Fault{Code: first(scalar(v.Failure.Code), v.Status), Detail: first(v.Reason, "the message is "+v.Status)}
	case v.ID != "":
		return message.Receipt{ProviderID: v.ID}, Fault{}
	case f.Code != "":
		return message.Receipt{}, f
	}
	return message.Receipt{}, Unreadable("the answer has no id")
}

// scalar is a code that is a string or a number.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// details is a value that explains an error, as text; "" for null and {}.
func details(raw json.RawMessage) string {
	switch s := strings.TrimSpace(string(raw)); s {
	case "null", "{}", "[]":
		return ""
	default:
		return s
	}
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
