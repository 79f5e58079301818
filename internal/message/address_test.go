package message_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestChannelsWithPhoneNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"SMS", "sms", "WHATSAPP", "RCS", "MMS", "VIBERBM", "KAKAOTALK"} {
		require.True(t, message.PhoneChannel(c), c)
	}
	for _, c := range []string{"", "MESSENGER", "TELEGRAM", "LINE", "INSTAGRAM", "KAKAOTALKCHAT", "EMAIL"} {
		require.False(t, message.PhoneChannel(c), c)
	}
}

func TestAHopTakesTheAddressOfItsChannelElseOfItsKind(t *testing.T) {
	t.Parallel()
	telegram := message.Address{Kind: message.KindOther, Channel: "TELEGRAM", Value: "123456789"}
	sms := message.Address{Kind: message.KindPhone, Channel: "SMS", Value: "+15550007001"}
	whatsapp := message.Address{Kind: message.KindPhone, Channel: "WHATSAPP", Value: "+15550007002"}
	email := message.Address{Kind: message.KindEmail, Value: "ann@example.com"}
	crm := message.Address{Kind: message.KindContact, Value: "404"}
	plain := message.Address{Value: "ann"}
	bird := []message.AddressKind{message.KindPhone, message.KindEmail, ""}
	for name, tt := range map[string]struct {
		all     []message.Address
		channel string
		kinds   []message.AddressKind
		want    message.Address
	}{
		"its channel's":                     {[]message.Address{telegram, whatsapp, sms}, "SMS", bird, sms},
		"its channel's in small letters":    {[]message.Address{telegram, whatsapp, sms}, "sms", bird, sms},
		"a number of another channel":       {[]message.Address{telegram, whatsapp}, "SMS", bird, whatsapp},
		"none where there is no number":     {[]message.Address{telegram}, "SMS", bird, message.Address{}},
		"none of another provider's ids":    {[]message.Address{crm}, "", bird, message.Address{}},
		"the number beside such an id":      {[]message.Address{crm, sms}, "", bird, sms},
		"no email for a text message":       {[]message.Address{email}, "SMS", bird, message.Address{}},
		"the email for email":               {[]message.Address{sms, email}, "email", bird, email},
		"the first kind on any channel":     {[]message.Address{email, sms}, "", bird, sms},
		"the email where there is no other": {[]message.Address{email, crm}, "", bird, email},
		"no number on a channel of ids":     {[]message.Address{sms}, "TELEGRAM", []message.AddressKind{message.KindOther, ""}, message.Address{}},
		"an id on its own channel":          {[]message.Address{sms, telegram}, "TELEGRAM", []message.AddressKind{message.KindOther, ""}, telegram},
		"not on another one of ids":         {[]message.Address{telegram}, "LINE", []message.AddressKind{message.KindOther, ""}, message.Address{}},
		"what is plain is taken for it":     {[]message.Address{plain}, "LINE", []message.AddressKind{message.KindOther, ""}, plain},
		"a channel of the caller's own":     {[]message.Address{sms}, "marketing", bird, sms},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := message.AddressOn(tt.all, tt.channel, tt.kinds...)
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.want != message.Address{}, ok)
		})
	}
}

func TestAPlainRecipientIsAnAddressOfItsDialectsKind(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		dialect string
		m       message.Message
		want    message.AddressKind
	}{
		"a number":                  {"volley", message.Message{To: "0151", Phone: "+49151"}, message.KindPhone},
		"an email address":          {"volley", message.Message{To: "ann@example.com"}, message.KindEmail},
		"anything":                  {"volley", message.Message{To: "ann"}, ""},
		"a contact of Bird's":       {"bird", message.Message{To: "+49151"}, message.KindPhone},
		"an identity of Sinch's":    {"sinch", message.Message{To: "+49151"}, message.KindPhone},
		"a client of IMKIT's":       {"imkit", message.Message{To: "+49151"}, message.KindOther},
		"a conversation":            {"bluesky", message.Message{To: "3k"}, message.KindConvo},
		"several, the first counts": {"volley", message.Message{To: "404", Addresses: []message.Address{{Kind: message.KindContact, Value: "404"}}}, message.KindContact},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.m.AddressesIn(tt.dialect)[0].Kind)
			require.Equal(t, tt.m.Recipient(), (&message.Batch{Dialect: tt.dialect}).AddressesOf(&tt.m)[0].Value)
		})
	}
}

func TestAHopTakesTheAddressThatItsProviderCanBeHanded(t *testing.T) {
	t.Parallel()
	phone := message.Address{Kind: message.KindPhone, Channel: "SMS", Value: "+15550001111"}
	email := message.Address{Kind: message.KindEmail, Value: "ann@example.com"}
	telegram := message.Address{Kind: message.KindOther, Channel: "TELEGRAM", Value: "123"}
	contact := message.Address{Kind: message.KindContact, Value: "c-1"}
	room := message.Address{Kind: message.KindRoom, Value: "team"}
	convo := message.Address{Kind: message.KindConvo, Value: "3k"}
	none := message.Address{}
	for name, tt := range map[string]struct {
		dialect, provider string
		channels          []string
		all               []message.Address
		want              message.Address
	}{
		"bird, another format":                    {"sinch", "bird", nil, []message.Address{contact, email, phone}, phone},
		"bird, an email where there is no number": {"volley", "bird", nil, []message.Address{email}, email},
		"bird, neither":                           {"volley", "bird", nil, []message.Address{contact, room}, none},
		"bird, its own format":                    {"bird", "bird", nil, []message.Address{contact, phone}, contact},
		"bird, no email for a text message":       {"volley", "bird", []string{"SMS"}, []message.Address{email}, none},
		"sinch, a number":                         {"bird", "sinch", nil, []message.Address{email, phone}, phone},
		"sinch, no email":                         {"bird", "sinch", nil, []message.Address{email}, none},
		"sinch, an id on its channel":             {"sinch", "sinch", []string{"TELEGRAM"}, []message.Address{phone, telegram}, telegram},
		"sinch, the next channel":                 {"sinch", "sinch", []string{"TELEGRAM", "SMS"}, []message.Address{phone}, phone},
		"sinch, none of its channels":             {"sinch", "sinch", []string{"TELEGRAM"}, []message.Address{phone}, none},
		"sinch, a contact of its own":             {"sinch", "sinch", []string{"TELEGRAM"}, []message.Address{contact}, contact},
		"sinch, a contact of another format":      {"bird", "sinch", nil, []message.Address{contact}, none},
		"imkit, a room":                           {"volley", "imkit", nil, []message.Address{phone, room}, room},
		"imkit, its own format":                   {"imkit", "imkit", nil, []message.Address{telegram}, telegram},
		"imkit, a number":                         {"volley", "imkit", nil, []message.Address{phone}, none},
		"bluesky, a conversation":                 {"volley", "bluesky", nil, []message.Address{phone, convo}, convo},
		"bluesky, a number":                       {"volley", "bluesky", nil, []message.Address{phone}, none},
		"a webhook, on its channel":               {"volley", "webhook", []string{"email"}, []message.Address{phone, email}, email},
		"a webhook, whatever there is":            {"volley", "webhook", []string{"email"}, []message.Address{contact, room}, contact},
		"a webhook, without a channel":            {"volley", "webhook", nil, []message.Address{room, convo}, room},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &message.Batch{Dialect: tt.dialect, Policies: map[string]message.Policy{"a": {Provider: tt.provider}}}
			got, ok := b.HopAddress(&message.Message{Addresses: tt.all}, message.Hop{Account: "a", Channels: tt.channels})
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.want != none, ok)
		})
	}
}

func TestOneNumberOrEmailNeedsNoListOfAddresses(t *testing.T) {
	t.Parallel()
	phone := message.Address{Kind: message.KindPhone, Value: "+1"}
	email := message.Address{Kind: message.KindEmail, Value: "ann@example.com"}
	odd := message.Address{Kind: message.KindEmail, Value: "ann"}
	room := message.Address{Kind: message.KindRoom, Value: "team"}
	for name, tt := range map[string]struct {
		all  []message.Address
		to   string
		kept bool
	}{
		"none": {nil, "before", false}, "a number": {[]message.Address{phone}, "+1", false}, "an email address": {[]message.Address{email}, "ann@example.com", false},
		"one that does not look like it": {[]message.Address{odd}, "ann", true}, "a room": {[]message.Address{room}, "team", true},
		"two": {[]message.Address{email, phone}, "ann@example.com", true},
	} {
		m := message.Message{To: "before", Addresses: []message.Address{room, room}}
		m.Reach(tt.all)
		require.Equal(t, tt.to, m.To, name)
		require.Equal(t, tt.kept, m.Addresses != nil, name)
	}
	m := message.Message{Addresses: []message.Address{{Kind: "", Value: "+1555"}, {Value: "ann"}, {Value: "+"}, {Value: "+1-2"}, room}}
	var kinds []message.AddressKind
	for _, row := range (&message.Batch{Dialect: "volley"}).AddressesOf(&m) {
		kinds = append(kinds, row.Kind)
	}
	require.Equal(t, []message.AddressKind{message.KindPhone, message.KindOther, message.KindOther, message.KindOther, message.KindRoom}, kinds)

	require.Zero(t, (&message.Message{To: "+1"}).AddressBytes())
	m = message.Message{Addresses: []message.Address{{Kind: "phone", Channel: "SMS", Value: "+15550001111"}, {Kind: "other", Channel: "LINE", Value: "x"}}}
	raw, err := json.Marshal(m.Addresses)
	require.NoError(t, err)
	require.InDelta(t, len(raw), m.AddressBytes(), 4)
}
