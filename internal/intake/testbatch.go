package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"volley/internal/message"
	"volley/internal/phone"
)

// TestBatch is a batch that sends samples of a checked request to one address in place of
// their recipients, as the request's own batch would send them: with the same contents,
// accounts and validities. It is due at once, and has no references, no callbacks and no
// awaited reports, so that nobody takes what becomes of it for what became of the
// request; its metadata says that it is a test. The recipient in the content of a
// provider's own format is replaced, along with what the provider would tell the caller's
// systems about.
//
// An address that the first account of a sample cannot reach is an error: a test must not
// seem to fail for what the request does right.
func (c *Check) TestBatch(to string) (*message.Batch, error) {
	switch {
	case c.Header == nil || len(c.Samples) == 0:
		return nil, errors.New("no message of the request can be sent")
	case strings.TrimSpace(to) == "":
		return nil, errors.New("the address of the test is empty")
	}
	from := c.Header
	b := &message.Batch{
		Dialect: from.Dialect, CreatedAt: from.CreatedAt, Account: from.Account, Dispatch: message.DispatchMessage, Priority: from.Priority, TTL: from.TTL,
		Region: from.Region, Sensitive: from.Sensitive, Template: message.Template{TextPaths: from.Template.TextPaths}, Hops: from.Hops, Policies: from.Policies,
		Metadata: metadataOf(map[string]string{"test": "true", "of": strconv.Itoa(c.Total)}),
	}
	address := newTestAddress(to, from.Region)
	for _, s := range c.Samples {
		content, _, err := from.Template.Render(&s.Message)
		if err != nil {
			return nil, err // it was chosen because it can be filled in
		}
		way := from.HopsOf(&s.Message)
		if len(way) == 0 {
			return nil, errors.New("no account is known that a test could leave through")
		}
		provider := from.Policies[way[0].Account].Provider
		if err := address.fits(provider, from.Dialect, way[0].Channels); err != nil {
			return nil, fmt.Errorf("account %s: %w", way[0].Account, err)
		}
		body, err := address.redirect(content, from.Dialect, s.Message.Channels)
		if err != nil {
			return nil, err
		}
		b.Messages = append(b.Messages, message.Message{
			To: address.value, Channels: s.Message.Channels, Body: body, TTL: s.Message.TTL, Route: s.Message.Route,
			Metadata: metadataOf(map[string]string{"test": "true", "index": strconv.Itoa(s.Index), "why": s.Why}),
		})
	}
	return b, nil
}

func metadataOf(m map[string]string) json.RawMessage {
	raw, _ := json.Marshal(m) // texts always encode
	return raw
}

// testAddress is where a test goes.
type testAddress struct {
	value string
	kind  message.AddressKind // empty is none that can be told by its form
}

func newTestAddress(to, region string) testAddress {
	to = strings.TrimSpace(to)
	if e164, err := phone.Parse(to, region); err == nil {
		return testAddress{e164, message.KindPhone}
	}
	if local, domain, ok := strings.Cut(to, "@"); ok && local != "" && domain != "" {
		return testAddress{to, message.KindEmail}
	}
	return testAddress{value: to}
}

// fits says why a provider cannot reach the address.
func (a testAddress) fits(provider, dialect string, channels []string) error {
	did := strings.HasPrefix(a.value, "did:")
	switch {
	case provider == "bird" && a.kind == "":
		return errors.New("a test needs a phone number or an email address")
	case provider == "sinch" && (len(channels) == 0 || slices.ContainsFunc(channels, message.PhoneChannel)) && a.kind != message.KindPhone:
		return errors.New("a test needs a phone number")
	case provider == "sinch" && len(channels) > 0 && !slices.ContainsFunc(channels, message.PhoneChannel) && a.kind != "":
		return fmt.Errorf("a test needs an identity on %s", strings.Join(channels, ", "))
	case provider == "imkit" && a.kind == message.KindPhone:
		return errors.New("a test needs a receiver of the app")
	case provider == "bluesky" && dialect == "bluesky" && (a.kind != "" || did):
		return errors.New("a test needs the id of a conversation")
	case provider == "bluesky" && dialect != "bluesky" && !did:
		return errors.New("a test needs a DID, as did:plc:…")
	}
	return nil
}

// redirect replaces the recipient in a content. What only means something to the caller's
// own systems is taken out.
func (a testAddress) redirect(content json.RawMessage, dialect string, channels []string) (json.RawMessage, error) {
	var o map[string]json.RawMessage
	if err := json.Unmarshal(content, &o); err != nil {
		return nil, fmt.Errorf("the content is no object: %w", err)
	}
	set := func(name string, v any) {
		o[name], _ = json.Marshal(v) // of texts and lists, which always encode
	}
	drop := func(names ...string) {
		for _, name := range names {
			delete(o, name)
		}
	}
	switch dialect {
	case "bird":
		key := "emailaddress"
		if a.kind == message.KindPhone {
			key = "phonenumber"
		}
		set("receiver", map[string]any{"contacts": []any{map[string]string{"identifierKey": key, "identifierValue": a.value}}})
		drop("reference", "scheduledFor", "notifications")
		if err := dropWithin(o, "meta", "extraInformation"); err != nil {
			return nil, err
		}
	case "sinch":
		set("recipient", map[string]any{"identified_by": map[string]any{"channel_identities": a.identities(channels)}})
		drop("message_metadata", "conversation_metadata", "correlation_id", "callback_url", "send_after")
	case "imkit":
		set("receiver", a.value)
		drop("room")
	case "bluesky":
		set("convoId", a.value)
	}
	return json.Marshal(o)
}

// identities are the address on each channel of a message of Sinch's that has such ones.
func (a testAddress) identities(channels []string) []map[string]string {
	var all []map[string]string
	for _, c := range channels {
		if message.PhoneChannel(c) == (a.kind == message.KindPhone) {
			all = append(all, map[string]string{"channel": c, "identity": a.value})
		}
	}
	if len(all) == 0 {
		all = append(all, map[string]string{"channel": "SMS", "identity": a.value})
	}
	return all
}

// dropWithin takes a key out of an object that stands under another key, if it is there.
func dropWithin(o map[string]json.RawMessage, under, name string) error {
	var in map[string]json.RawMessage
	if len(o[under]) == 0 || json.Unmarshal(o[under], &in) != nil {
		return nil // it is not there, or no object
	}
	delete(in, name)
	raw, err := json.Marshal(in)
	o[under] = raw
	return err
}
