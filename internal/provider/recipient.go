package provider

import (
	"encoding/json"
	"slices"
	"strings"

	"volley/internal/message"
	"volley/internal/phone"
)

// numberOf is a message's recipient as a phone number in E.164: as it was found when
// the message was accepted, or read now, for a batch that is older than that.
func numberOf(m message.Outgoing) (string, error) {
	if m.Phone != "" {
		return m.Phone, nil
	}
	return phone.Parse(m.To, m.Region)
}

// addressFor is the address of a message's recipient that a provider takes on a channel
// (message.KindsOf). One whose kind the request does not say is read as a phone number, or
// taken as it is where the provider takes none.
func addressFor(m message.Outgoing, channel, provider, expected string) (message.Address, *Error) {
	kinds := message.KindsOf(provider, channel)
	a, ok := message.AddressOn(addresses(m), channel, kinds...)
	if !ok {
		return a, unsupportedRecipient(provider, expected, nil)
	}
	number := slices.Contains(kinds, message.KindPhone)
	if a.Kind != message.KindPhone && (a.Kind != "" || !number) {
		return a, nil
	}
	e164, err := numberIn(m, a.Value)
	if err != nil {
		return a, unsupportedRecipient(provider, expected, err)
	}
	a.Kind, a.Value = message.KindPhone, e164
	return a, nil
}

// addresses are all ways to reach a message's recipient.
func addresses(m message.Outgoing) []message.Address {
	if len(m.Addresses) > 0 {
		return m.Addresses
	}
	return (&message.Message{To: m.To, Phone: m.Phone}).AddressesIn(m.Dialect)
}

// hopChannel is the first channel of a message's hop; empty is any.
func hopChannel(m message.Outgoing) string {
	if len(m.Channels) > 0 {
		return m.Channels[0]
	}
	return ""
}

// numberIn is a phone number that stands in a message's own body, in E.164.
func numberIn(m message.Outgoing, value string) (string, error) {
	if value == m.To {
		return numberOf(m)
	}
	return phone.Parse(value, m.Region)
}

// badNumber is the error of a body with a recipient that is no phone number.
func badNumber(provider string, why error) *Error {
	return &Error{Kind: Invalid, Code: CodeRecipient, Detail: provider + " needs a phone number here; the recipient " + why.Error()}
}

// setNumber puts a number at a key in its normal form, and reports whether something
// else stood there.
func setNumber(m message.Outgoing, o object, key string) (changed bool, err error) {
	given := o.text(key)
	if given == "" {
		return false, nil
	}
	e164, err := numberIn(m, given)
	if err != nil || e164 == given {
		return false, err
	}
	o.set(key, e164)
	return true, nil
}

// objects reads a list of objects; none where it is anything else.
func objects(raw json.RawMessage) []object {
	var list []object
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

// recipientMatch is what can be said of two ways to write a recipient.
type recipientMatch int

const (
	// unclearRecipient is the zero value: they may or may not be the same.
	unclearRecipient recipientMatch = iota
	theRecipient
	otherRecipient
)

// compareRecipients compares what a provider shows with a recipient of ours: numbers
// in their normal form and all others without regard to case. Two are certainly
// different only when both are email addresses, or numbers that say their country.
func compareRecipients(theirs, ours string) recipientMatch {
	theirs, ours = strings.TrimSpace(theirs), strings.TrimSpace(ours)
	switch {
	case strings.EqualFold(theirs, ours):
		return theRecipient
	case strings.Contains(theirs, "@") && strings.Contains(ours, "@"):
		return otherRecipient
	}
	a, errA := phone.Parse(theirs, "")
	b, errB := phone.Parse(ours, "")
	switch {
	case errA != nil || errB != nil:
		return unclearRecipient
	case a == b:
		return theRecipient
	case strings.HasSuffix(b, strings.TrimPrefix(a, "+")) && !strings.HasPrefix(theirs, "+"):
		return unclearRecipient // what they show may lack its country
	}
	return otherRecipient
}
