package provider_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/internal/provider"
)

// A hop of another provider's takes the address on its channel or of its kind. An id of
// another channel or provider never leaves as a phone number: no request is made at all.
func TestAnotherProvidersHopTakesItsOwnAddressOrNone(t *testing.T) {
	t.Parallel()
	identity := func(channel, id string) string { return fmt.Sprintf(`{"channel":%q,"identity":%q}`, channel, id) }
	sinch := func(identities string) string {
		return `{"app_id":"01EB37HMH1M6SV18ASNS3G135H","message":{"text_message":{"text":"Hi"}},"channel_priority_order":["TELEGRAM","SMS"],
			"recipient_and_params":[{"recipient":{"identified_by":{"channel_identities":[` + identities + `]}}}]}`
	}
	contact := func(key, value string) string {
		return fmt.Sprintf(`{"identifierKey":%q,"identifierValue":%q}`, key, value)
	}
	bird := func(contacts string) string {
		return `{"messageRequests":[{"receiver":{"contacts":[` + contacts + `]},"body":{"type":"text","text":{"text":"Hi"}}}]}`
	}
	telegram, sms := identity("TELEGRAM", "123456789"), identity("SMS", "+15550007001")
	crm, number := contact("crmid", "15550004040"), contact("phonenumber", "+15550008001")
	for name, tt := range map[string]struct {
		format, body, kind, channel, want string
	}{
		"Telegram before SMS, to Bird":          {"sinch", sinch(telegram + "," + sms), "bird", "SMS", "+15550007001"},
		"SMS before Telegram, to Bird":          {"sinch", sinch(sms + "," + telegram), "bird", "SMS", "+15550007001"},
		"both, to Bird on any channel":          {"sinch", sinch(telegram + "," + sms), "bird", "", "+15550007001"},
		"Telegram alone, to Bird":               {"sinch", sinch(telegram), "bird", "SMS", ""},
		"Telegram alone, to Bird on any":        {"sinch", sinch(telegram), "bird", "", ""},
		"a number that is none, to Bird":        {"sinch", sinch(telegram + "," + identity("SMS", "+15550007001+reject")), "bird", "SMS", ""},
		"Sinch itself, on a part of the order":  {"sinch", sinch(telegram), "sinch", "SMS", ""},
		"a key of a CRM and a number, to Sinch": {"bird", bird(crm + "," + number), "sinch", "SMS", "+15550008001"},
		"a key of a CRM alone, to Sinch":        {"bird", bird(crm), "sinch", "SMS", ""},
		"a number, to Telegram at Sinch":        {"bird", bird(number), "sinch", "TELEGRAM", ""},
		"an email address, to Sinch":            {"bird", bird(contact("emailaddress", "ann@example.com")), "sinch", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := recordAny(t)
			account := birdAccount(srv.URL)
			if tt.kind == "sinch" {
				account = sinchAccount(srv.URL)
			}
			d, err := dialect.Named(tt.format)
			require.NoError(t, err)
			b, problems := d.Decode([]byte(tt.body), dialect.Options{Now: time.Now()})
			require.Empty(t, problems)
			m := &b.Messages[0]
			content, text, err := b.Template.Render(m)
			require.NoError(t, err)
			out := message.Outgoing{
				ID: messageID, Batch: "b", Tenant: "acme", Dialect: tt.format, To: m.To, Addresses: m.Addresses,
				Content: content, Text: text, ExpiresAt: time.Now().Add(time.Hour),
			}
			if tt.channel != "" {
				out.Channels = []string{tt.channel}
			}
			_, err = open(t, account).Send(t.Context(), out)
			if tt.want == "" {
				var refused *provider.Error
				require.ErrorAs(t, err, &refused)
				require.Equal(t, "unsupported_recipient", refused.Code)
				require.Equal(t, provider.Invalid, refused.Kind)
				require.Empty(t, srv.got(), "no request leaves")
				return
			}
			require.NoError(t, err)
			all := srv.got()
			require.Equal(t, tt.want, recipientIn(t, tt.kind, all[len(all)-1].body))
		})
	}
}
