package provider_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
)

func TestNumbersInBirdsOwnMessages(t *testing.T) {
	t.Parallel()
	request := func(contact string) string {
		return `{"messageRequests":[{"receiver":{"contacts":[` + contact + `]},"body":{"type":"text","text":{"text":"Hi"}}}]}`
	}
	for name, tc := range map[string]struct{ contact, region, want, path string }{
		"a number": {
			`{"identifierKey":"phonenumber","identifierValue":"0151 23456789"}`, "DE",
			`{"identifierKey":"phonenumber","identifierValue":"+4915123456789"}`, "",
		},
		"two ways to write numbers": {
			`{"identifierKey":"phonenumber","identifierValue":"+49 (0)151 23456789","type":"to"},{"identifiers":[{"identifierKey":"phonenumber","identifierValue":"0151 23456788"}],"type":"cc"}`, "DE",
			`{"identifierKey":"phonenumber","identifierValue":"+4915123456789","type":"to"},{"identifiers":[{"identifierKey":"phonenumber","identifierValue":"+4915123456788"}],"type":"cc"}`, "",
		},
		"an address": {
			`{"identifierKey":"emailaddress","identifierValue":"ann@example.com"}`, "DE",
			`{"identifierKey":"emailaddress","identifierValue":"ann@example.com"}`, "",
		},
		"a contact": {`{"id":"15550001111"}`, "DE", `{"id":"15550001111"}`, ""},
		"a date":    {`{"identifierKey":"phonenumber","identifierValue":"2026-11-28"}`, "DE", "", "messageRequests[0].receiver.contacts[0].identifierValue"},
		"a second one": {
			`{"id":"c"},{"identifiers":[{"identifierKey":"phonenumber","identifierValue":"12.50"}]}`, "",
			"", "messageRequests[0].receiver.contacts[1].identifiers[0].identifierValue",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, problem, _ := through(t, "bird", "bird", tc.region, request(tc.contact), intake.Options{})
			if tc.path != "" {
				require.NotNil(t, problem)
				require.Equal(t, message.CodeRecipient+" "+tc.path, problem.Code+" "+problem.Path)
				_, problem, row := through(t, "webhook", "bird", tc.region, request(tc.contact), intake.Options{})
				require.Nil(t, problem, "a webhook takes any recipient")
				require.Empty(t, row.Given)
				return
			}
			require.Nil(t, problem)
			var got struct {
				Receiver struct{ Contacts json.RawMessage }
			}
			require.NoError(t, json.Unmarshal(body, &got))
			require.JSONEq(t, "["+tc.want+"]", string(got.Receiver.Contacts))
		})
	}
}

func TestNumbersInSinchsOwnMessages(t *testing.T) {
	t.Parallel()
	request := func(recipient string) string {
		return `{"app_id":"app-1","message":{"text_message":{"text":"Hi"}},"recipient_and_params":[{"recipient":` + recipient + `}]}`
	}
	identities := func(list string) string { return `{"identified_by":{"channel_identities":[` + list + `]}}` }
	for name, tc := range map[string]struct{ recipient, region, want, path string }{
		"on a channel with numbers": {
			identities(`{"channel":"WHATSAPP","identity":"15550005555"},{"channel":"SMS","identity":"+1 (555) 000-5555"}`), "",
			identities(`{"channel":"WHATSAPP","identity":"+15550005555"},{"channel":"SMS","identity":"+15550005555"}`), "",
		},
		"of a region":  {identities(`{"channel":"SMS","identity":"(0151) 23456789"}`), "DE", identities(`{"channel":"SMS","identity":"+4915123456789"}`), ""},
		"on others":    {identities(`{"channel":"MESSENGER","identity":"2026-11-28"}`), "DE", identities(`{"channel":"MESSENGER","identity":"2026-11-28"}`), ""},
		"of a contact": {`{"contact_id":"12.50"}`, "", `{"contact_id":"12.50"}`, ""},
		"no number": {
			identities(`{"channel":"MESSENGER","identity":"x"},{"channel":"RCS","identity":"555-0101 - 555-0102"}`), "US", "",
			"recipient_and_params[0].recipient.identified_by.channel_identities[1].identity",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, problem, _ := through(t, "sinch", "sinch", tc.region, request(tc.recipient), intake.Options{})
			if tc.path != "" {
				require.NotNil(t, problem)
				require.Equal(t, message.CodeRecipient+" "+tc.path, problem.Code+" "+problem.Path)
				return
			}
			require.Nil(t, problem)
			var got struct{ Recipient json.RawMessage }
			require.NoError(t, json.Unmarshal(body, &got))
			require.JSONEq(t, tc.want, string(got.Recipient))
		})
	}
}

func TestSinchTakesOtherAddressesOnOtherChannels(t *testing.T) {
	t.Parallel()
	o := intake.Options{Options: dialect.Options{Text: "Hi", Channel: "MESSENGER"}}
	body, problem, _ := through(t, "sinch", "volley", "", "to\nuser-1\n", o)
	require.Nil(t, problem)
	require.Equal(t, "user-1", recipientIn(t, "sinch", body))
}
