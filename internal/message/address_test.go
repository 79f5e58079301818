package message_test

import (
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
