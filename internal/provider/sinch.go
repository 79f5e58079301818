package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"volley/internal/message"
)

func sinchFields(a Account) []field {
	return []field{
		address("base_url", a.BaseURL), address("token_url", a.TokenURL), text("project", a.Project),
		text("app", a.App), text("key_id", a.KeyID), secret("key_secret", a.KeySecret),
	}
}

// sinch sends through Sinch's Conversation API, messages:send.
type sinch struct {
	*client
	account Account
	tokens  *tokens
}

var _ interface {
	Sender
	Reconciler
} = (*sinch)(nil)

// sinchRules: the Conversation API's page on errors tells clients to repeat 501
// as it does 500, so 501 is no proof that nothing was accepted.
func sinchRules() Overrides {
	return Overrides{http.StatusNotImplemented: {
		Kind:   Ambiguous,
		Source: "Sinch, Conversation API reference, response codes: 500, 501 and 503 are to be retried",
	}}
}

func newSinch(a Account, c *client) (Sender, error) {
	c.rules = sinchRules()
	return &sinch{client: c, account: a, tokens: newTokens(a, c)}, nil
}

// Keys in message_metadata. sinchBatch is Sinch's own key, which a batch always
// overwrites; sinchID holds our message id, for delivery reports and Reconcile.
const (
	sinchBatch = "_batch_id"
	sinchID    = "_volley_id"
)

// Sinch's bounds (Conversation API, messages:send).
const (
	sinchMetadata     = 1024
	sinchConversation = 2048
	sinchMinTTL       = 3
)

// Send makes one request, and a second one only after a token that Sinch refused.
func (s *sinch) Send(ctx context.Context, m message.Outgoing) (message.Receipt, error) {
	body, err := s.body(m)
	if err != nil {
		return message.Receipt{}, s.clean(err, nil)
	}
	url := join(s.account.BaseURL, "v1", "projects", s.account.Project, "messages:send")
	reply, token, e := s.authorized(ctx, call{method: http.MethodPost, url: url, body: body})
	if e != nil {
		return message.Receipt{}, e
	}
	receipt, fault := readSinch(reply)
	if e := s.classify(reply, fault, []string{token}); e != nil {
		return message.Receipt{}, e
	}
	receipt.ProviderID = message.Clip(receipt.ProviderID, maxProviderID)
	return receipt, nil
}

// authorized makes a request with a token. A 401 for a token from before this
// attempt refreshes it and makes the request once more: a request without
// permission was not carried out.
func (s *sinch) authorized(ctx context.Context, q call) (Reply, string, error) {
	for again := false; ; again = true {
		token, fresh, err := s.tokens.get(ctx)
		if err != nil {
			return Reply{}, "", err
		}
		q.header = http.Header{"Authorization": {"Bearer " + token}}
		q.secrets = []string{token}
		reply, err := s.roundTrip(ctx, q)
		if err != nil || reply.Status != http.StatusUnauthorized {
			return reply, token, err
		}
		s.tokens.drop(token)
		if fresh || again {
			return reply, token, nil
		}
	}
}

// body is the messages:send request of a message. A caller's own goes out as it
// is, but for what belongs to the account and to the moment of sending.
func (s *sinch) body(m message.Outgoing) ([]byte, *Error) {
	o, err := s.content(m)
	if err != nil {
		return nil, err
	}
	o.set("app_id", s.account.App)
	if o.has("ttl") {
		o.set("ttl", fmt.Sprintf("%ds", max(int64(m.ExpiresAt.Sub(s.now())/time.Second), sinchMinTTL)))
	}
	if len(m.Channels) > 0 {
		o.set("channel_priority_order", sinchChannels(m.Channels))
	}
	metadata, err := sinchObject(o, "message_metadata")
	if err != nil {
		return nil, err
	}
	metadata.set(sinchBatch, m.Batch)
	metadata.set(sinchID, m.ID)
	encoded := metadata.bytes()
	if characters(encoded) > sinchMetadata {
		return nil, tooLong("message_metadata", sinchMetadata)
	}
	o.set("message_metadata", string(encoded))
	// Only a conversation's metadata that the caller gave: an unasked for one would
	// replace what the conversation has.
	if o.has("conversation_metadata") {
		conversation, err := sinchObject(o, "conversation_metadata")
		if err != nil {
			return nil, err
		}
		conversation.set(sinchBatch, m.Batch)
		if characters(conversation.bytes()) > sinchConversation {
			return nil, tooLong("conversation_metadata", sinchConversation)
		}
		o.set("conversation_metadata", conversation)
	}
	return o.bytes(), nil
}

// content is the caller's, or a text message for another dialect's.
func (s *sinch) content(m message.Outgoing) (object, *Error) {
	if m.Dialect == "sinch" {
		o, err := contentOf(m)
		if err != nil {
			return nil, err
		}
		delete(o, "send_after")
		if err := sinchNumbers(m, o); err != nil {
			return nil, err
		}
		return o, sinchOwn(m, o)
	}
	if m.Text == "" {
		return nil, unsupportedContent(m)
	}
	channels := sinchChannels(m.Channels)
	if len(channels) == 0 {
		channels = []string{"SMS"}
	}
	recipient, err := sinchIdentities(m, channels)
	if err != nil {
		return nil, err
	}
	o := object{}
	o.set("recipient", recipient)
	o.set("message", map[string]any{"text_message": map[string]string{"text": m.Text}})
	return o, nil
}

// sinchIdentities is the recipient of a request on channels: the identity on each of them
// that the recipient has. It is an error if there is none.
func sinchIdentities(m message.Outgoing, channels []string) (map[string]any, *Error) {
	var identities []map[string]string
	var why *Error
	for _, c := range channels {
		expected := "an identity on " + c
		if message.PhoneChannel(c) {
			expected = "a phone number on " + c
		}
		a, err := addressFor(m, c, "sinch", expected)
		if err != nil {
			why = err
			continue
		}
		identities = append(identities, map[string]string{"channel": c, "identity": a.Value})
	}
	if len(identities) == 0 {
		return nil, why
	}
	return map[string]any{"identified_by": map[string]any{"channel_identities": identities}}, nil
}

// sinchOwn checks that a message of Sinch's own dialect has an identity on one of the hop's
// channels. One that has only the number for them, on another channel, gets it.
func sinchOwn(m message.Outgoing, o object) *Error {
	channels := sinchChannels(m.Channels)
	recipient, ok := o.sub("recipient")
	by, ok2 := recipient.sub("identified_by")
	identities := objects(by["channel_identities"])
	if len(channels) == 0 || !ok || !ok2 || len(identities) == 0 {
		return nil // any channel, or a contact, of which Sinch knows the identities
	}
	m.Addresses = nil
	for _, identity := range identities {
		a := message.Address{Kind: message.KindOther, Channel: identity.text("channel"), Value: identity.text("identity")}
		if slices.Contains(channels, a.Channel) {
			return nil
		}
		if message.PhoneChannel(a.Channel) {
			a.Kind = message.KindPhone
		}
		m.Addresses = append(m.Addresses, a)
	}
	own, err := sinchIdentities(m, channels)
	if err == nil {
		o.set("recipient", own)
	}
	return err
}

// sinchNumbers writes the identities on channels that have phone numbers in their
// normal form.
func sinchNumbers(m message.Outgoing, o object) *Error {
	recipient, ok := o.sub("recipient")
	by, ok2 := recipient.sub("identified_by")
	if !ok || !ok2 {
		return nil
	}
	identities := objects(by["channel_identities"])
	changed := false
	for _, identity := range identities {
		if !message.PhoneChannel(identity.text("channel")) {
			continue
		}
		one, err := setNumber(m, identity, "identity")
		if err != nil {
			return badNumber("sinch", err)
		}
		changed = changed || one
	}
	if changed {
		by.set("channel_identities", identities)
		recipient.set("identified_by", by)
		o.set("recipient", recipient)
	}
	return nil
}

// sinchChannels writes channels as Sinch's enum does, whatever the dialect.
func sinchChannels(channels []string) []string {
	out := make([]string, len(channels))
	for i, c := range channels {
		out[i] = strings.ToUpper(c)
	}
	return out
}

// sinchObject reads metadata, an object or, as messages:send has it, a string
// that holds one.
func sinchObject(o object, key string) (object, *Error) {
	if s := o.text(key); s != "" {
		var v object
		if json.Unmarshal([]byte(s), &v) == nil && v != nil {
			return v, nil
		}
	} else if v, ok := o.sub(key); ok {
		return v, nil
	}
	return nil, &Error{Kind: Invalid, Code: CodeContent, Detail: key + " is not a JSON object"}
}

func tooLong(key string, limit int) *Error {
	return &Error{
		Kind: Invalid, Code: message.CodeTooLong,
		Detail: fmt.Sprintf("%s has more than %d characters with the ids that are added to it", key, limit),
	}
}

// sinchError is google.rpc.Status, which Sinch writes flat or below "error".
type sinchError struct {
	Code    json.RawMessage `json:"code"`
	Message string          `json:"message"`
	Status  string          `json:"status"`
	Details []struct {
		RetryDelay      string `json:"retryDelay"`
		FieldViolations []struct {
			Field       string `json:"field"`
			Description string `json:"description"`
		} `json:"field_violations"`
	} `json:"details"`
}

func (e sinchError) fault() Fault {
	f := Fault{Code: first(e.Status, scalar(e.Code)), Detail: e.Message}
	var parts []string
	for _, d := range e.Details {
		if wait, err := time.ParseDuration(d.RetryDelay); err == nil {
			f.RetryAfter = wait
		}
		for _, v := range d.FieldViolations {
			parts = append(parts, strings.TrimSpace(v.Field+" "+v.Description))
		}
	}
	if len(parts) > 0 {
		f.Detail = strings.Join(slices.Insert(parts, 0, first(f.Detail, "invalid")), ": ")
	}
	return f
}

func readSinch(r Reply) (message.Receipt, Fault) {
	var v struct {
		MessageID string      `json:"message_id"`
		Wrapped   *sinchError `json:"error"`
	}
	var flat sinchError
	errID := json.Unmarshal(r.Body, &v)
	_ = json.Unmarshal(r.Body, &flat) // an error that is not flat leaves it empty
	f := flat.fault()
	if v.Wrapped != nil {
		f = v.Wrapped.fault()
	}
	switch {
	case r.Status/100 != 2:
		return message.Receipt{}, f
	case errID == nil && v.MessageID != "":
		return message.Receipt{ProviderID: v.MessageID}, Fault{}
	case f.Code != "":
		f.RetryAfter = 0
		return message.Receipt{}, f
	}
	return message.Receipt{}, Unreadable("the answer has no message_id")
}
