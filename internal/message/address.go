package message

import (
	"slices"
	"strings"
)

// AddressKind says what an address names. It is empty where the request does not say:
// then it is whatever the provider takes it for.
type AddressKind string

// The kinds of addresses.
const (
	KindPhone   AddressKind = "phone"
	KindEmail   AddressKind = "email"
	KindContact AddressKind = "contact" // a contact of one provider, by an id or a key of its own
	KindConvo   AddressKind = "convo"   // a conversation of Bluesky
	KindRoom    AddressKind = "room"    // a room of IMKIT
	KindOther   AddressKind = "other"   // an id on one channel or in one app
)

// Address is one way to reach a recipient. Its JSON has short names, since it stands in
// histories and in the store; AddressRow is for people.
type Address struct {
	Kind AddressKind `json:"k,omitempty"`
	// Channel is the one that the address is for, as the request names it; empty is any
	// that has addresses of this kind.
	Channel string `json:"c,omitempty"`
	// Value is a phone number in E.164 once the message was accepted, if it could be read;
	// others are as the caller wrote them.
	Value string `json:"v"`
}

// AddressRow is an Address as it is shown.
type AddressRow struct {
	Kind    AddressKind `json:"kind"`
	Channel string      `json:"channel"`
	Value   string      `json:"value"`
}

// Reach sets the ways to reach the recipient, the preferred one first, of which To is
// the value. A single phone number or email address needs no Addresses.
func (m *Message) Reach(all []Address) {
	m.Addresses = nil
	if len(all) == 0 {
		return
	}
	m.To = all[0].Value
	if k := all[0].Kind; len(all) > 1 || k != KindPhone && (k != KindEmail || !strings.Contains(m.To, "@")) {
		m.Addresses = all
	}
}

// OtherAddresses are the values of the recipient's addresses beside To; nil where it has
// one only.
func (m *Message) OtherAddresses() (values []string) {
	for _, a := range m.Addresses {
		if a.Value != m.To && a.Value != m.Recipient() && !slices.Contains(values, a.Value) {
			values = append(values, a.Value)
		}
	}
	return values
}

// AddressesOf lists the ways to reach a recipient of the batch, the preferred one first.
func (b *Batch) AddressesOf(m *Message) []AddressRow {
	all := m.AddressesIn(b.Dialect)
	rows := make([]AddressRow, len(all))
	for i, a := range all {
		rows[i] = AddressRow(a)
		switch {
		case a.Kind != "":
		case isE164(a.Value):
			rows[i].Kind = KindPhone
		default:
			rows[i].Kind = KindOther
		}
	}
	return rows
}

// isE164 reports whether a text is a plus sign and digits.
func isE164(s string) bool {
	return len(s) > 1 && s[0] == '+' && strings.Trim(s[1:], "0123456789") == ""
}

// HopAddress is the address that a hop of a message takes; false is that it is refused as
// unsupported_recipient. A provider gets messages of its own dialect as they are.
func (b *Batch) HopAddress(m *Message, hop Hop) (Address, bool) {
	all, provider := m.AddressesIn(b.Dialect), b.Policies[hop.Account].Provider
	if provider == b.Dialect && (provider != "sinch" || all[0].Kind == KindContact) {
		return all[0], true
	}
	if provider == "webhook" && len(hop.Channels) == 0 {
		return all[0], true // as its sender has it
	}
	channels := hop.Channels
	if len(channels) == 0 {
		channels = []string{""}
	}
	for _, c := range channels {
		if a, ok := AddressOn(all, c, KindsOf(provider, c)...); ok {
			return a, true
		}
	}
	if provider == "webhook" {
		return all[0], true
	}
	return Address{}, false
}

// KindsOf are the kinds of addresses that a provider takes on a channel from messages of
// other dialects, the preferred one first. The empty kind is a recipient of which the
// request does not say what it is.
func KindsOf(provider, channel string) []AddressKind {
	switch provider {
	case "bird":
		return []AddressKind{KindPhone, KindEmail, ""}
	case "sinch":
		if channel == "" || PhoneChannel(channel) {
			return []AddressKind{KindPhone, ""}
		}
		return []AddressKind{KindOther, ""}
	case "imkit":
		return []AddressKind{"", KindRoom}
	case "bluesky":
		return []AddressKind{"", KindConvo}
	}
	return []AddressKind{KindPhone, KindEmail, KindOther, KindContact, KindConvo, KindRoom, ""}
}

// AddressesIn lists the ways to reach the recipient of a message in a dialect: its
// Addresses, or To with the kind that it has in that dialect where it stands alone.
func (m *Message) AddressesIn(dialect string) []Address {
	if len(m.Addresses) > 0 {
		return m.Addresses
	}
	a := Address{Value: m.Recipient()}
	switch {
	case dialect == "bluesky":
		a.Kind = KindConvo
	case dialect == "imkit":
		a.Kind = KindOther
	case m.Phone != "":
		a.Kind = KindPhone
	case strings.Contains(m.To, "@"):
		a.Kind = KindEmail
	case dialect == "bird", dialect == "sinch":
		a.Kind = KindPhone
	}
	return []Address{a}
}

// PhoneChannel reports whether the addresses of a channel are phone numbers, the channel
// named as Sinch does, in either case (Conversation API, channel identities: an
// MSISDN on SMS, MMS, RCS, WhatsApp and Viber Business; KakaoTalk's AlimTalk is
// addressed by number, too).
func PhoneChannel(channel string) bool {
	switch strings.ToUpper(channel) {
	case "SMS", "MMS", "RCS", "WHATSAPP", "VIBER", "VIBERBM", "KAKAOTALK":
		return true
	}
	return false
}

// appChannel reports whether the addresses of a channel are ids of an app's own (the other
// channels of Sinch).
func appChannel(channel string) bool {
	switch strings.ToUpper(channel) {
	case "MESSENGER", "INSTAGRAM", "TELEGRAM", "LINE", "WECHAT", "APPLEBC", "KAKAOTALKCHAT", "SINCH_CHAT":
		return true
	}
	return false
}

// AddressOn is the address that a hop on a channel takes, of the kinds that its provider
// has, the preferred one first: the one for that channel, else one of the kind that the
// channel has. An empty channel, and one that is not known here, has any of the kinds. It
// is false where the recipient has none. KindOther and KindContact are good on their own
// channel only.
func AddressOn(all []Address, channel string, kinds ...AddressKind) (Address, bool) {
	if channel != "" {
		for _, a := range all {
			if strings.EqualFold(a.Channel, channel) && slices.Contains(kinds, a.Kind) {
				return a, true
			}
		}
	}
	allowed := func(k AddressKind) bool {
		switch {
		case k == KindOther || k == KindContact:
			return false
		case k == "":
			return true
		case PhoneChannel(channel):
			return k == KindPhone
		case strings.EqualFold(channel, "email"):
			return k == KindEmail
		}
		return !appChannel(channel)
	}
	for _, kind := range kinds {
		for _, a := range all {
			if a.Kind == kind && allowed(kind) {
				return a, true
			}
		}
	}
	return Address{}, false
}

// AddressBytes is about how many bytes the Addresses take in JSON.
func (m *Message) AddressBytes() (n int) {
	for _, a := range m.Addresses {
		n += len(`{"k":"","c":"","v":""},`) + len(a.Kind) + len(a.Channel) + len(a.Value)
	}
	return n
}

// Reachable lists the values by which a recipient is reached, each once: a provider may
// try any of them.
func Reachable(to, phone string, addresses []Address) []string {
	values := make([]string, 0, 2+len(addresses))
	add := func(v string) {
		if v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	add(phone)
	add(to)
	for _, a := range addresses {
		add(a.Value)
	}
	return values
}
