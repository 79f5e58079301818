package provider

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

const ours = "7c1f3a5e-2b4d-8f60-9a1b-2c3d4e5f6071"

// These are internal because signing each body would only repeat what the tests of
// the readers show.
func TestWhatSinchSays(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]*message.State{
		"QUEUED_ON_CHANNEL": nil, "SWITCHING_CHANNEL": nil, "SOMETHING_NEW": nil,
		"DELIVERED": new(message.Delivered), "READ": new(message.Delivered), "FAILED": new(message.Undelivered),
	} {
		got, err := readSinchReport(fmt.Appendf(nil, `{"message_delivery_report":{"status":%q,"metadata":{"_volley_id":%q}}}`, status, ours))
		require.NoError(t, err)
		if want == nil {
			require.Empty(t, got, status)
			continue
		}
		require.Equal(t, *want, got[0].State, status)
	}
	for _, body := range []string{
		`{"message_delivery_report":{"status":"DELIVERED","metadata":"none of ours"}}`,
		`{"message_delivery_report":{"status":"DELIVERED"}}`,
		`{"message_inbound_event":{}}`, `{}`,
	} {
		got, err := readSinchReport([]byte(body))
		require.NoError(t, err, body)
		require.Empty(t, got, body)
	}
}

func TestWhatBirdSays(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]*message.State{
		"accepted": nil, "scheduled": nil, "processing": nil, "sent": nil,
		"delivered": new(message.Delivered), "delivery_failed": new(message.Undelivered),
		"sending_failed": new(message.Undelivered), "rejected": new(message.Undelivered),
	} {
		got, err := readBirdReport(fmt.Appendf(nil,
			`{"service":"channels","payload":{"id":"m","status":%q,"reference":"theirs","meta":{"extraInformation":{"volleyMessageId":%q}},"failure":{"code":12003,"description":"no"}}}`, status, ours))
		require.NoError(t, err)
		if want == nil {
			require.Empty(t, got, status)
			continue
		}
		require.Equal(t, *want, got[0].State, status)
		require.Equal(t, ours, got[0].ID)
		if *want == message.Undelivered {
			require.Equal(t, "12003 no", got[0].Code+" "+got[0].Detail)
		}
	}
	got, err := readBirdReport(fmt.Appendf(nil, `{"id":"m","status":"rejected","reference":%q,"reason":"why","failure":{"source":{"name":"sms","code":"7"}}}`, ours))
	require.NoError(t, err)
	require.Equal(t, "rejected why", got[0].Code+" "+got[0].Detail)
	for _, body := range []string{
		`{"payload":{"id":"m","status":"delivered","reference":"theirs"}}`,
		fmt.Sprintf(`{"payload":{"status":"delivered","direction":"incoming","reference":%q}}`, ours), `{}`,
	} {
		got, err := readBirdReport([]byte(body))
		require.NoError(t, err, body)
		require.Empty(t, got, body)
	}
}

func TestACodeOfBirdsIsANumberOrAnyText(t *testing.T) {
	t.Parallel()
	for failure, want := range map[string]string{
		`{"code":12001,"description":"d"}`:                          "12001 d",
		`{"code":"12001","description":"d"}`:                        "12001 d",
		`{"code":"E.7","description":"d"}`:                          "E.7 d",
		`{"code":"","description":"d"}`:                             "delivery_failed d",
		`{"code":null,"description":"d"}`:                           "delivery_failed d",
		`{"code":{"a":1},"description":"d"}`:                        "delivery_failed d",
		`{"code":1,"source":{"name":"smtp","code":"5.1.1"}}`:        "1 smtp 5.1.1",
		`{"code":1,"source":{"name":"smtp","code":550}}`:            "1 smtp 550",
		`{"code":1,"source":{"name":"smtp","code":""}}`:             "1 smtp",
		`{"code":"","source":{"name":"smtp","code":[550,"5.1.1"]}}`: "delivery_failed smtp",
	} {
		got, err := readBirdReport(fmt.Appendf(nil, `{"payload":{"id":"m","status":"delivery_failed","reference":%q,"failure":%s}}`, ours, failure))
		require.NoError(t, err, failure)
		require.Len(t, got, 1, failure)
		require.Equal(t, want, got[0].Code+" "+got[0].Detail, failure)
	}
}

func TestWhatAWebhookSays(t *testing.T) {
	t.Parallel()
	const good = `{"id":"x","state":"delivered"}`
	read := message.Report{ID: "x", State: message.Delivered}
	for body, want := range map[string]Reports{
		` {"type":"report","data": {"id":"x","state":"delivered"}} `:  {Ended: []message.Report{read}},
		`{"type":"other","data":5}`:                                   {Ignored: 1},
		`{"type":"report","data":{"id":"x","state":"sent"}}`:          {Ignored: 1},
		`{"type":"report","data":{"id":"x","state":"read","code":1}}`: {Ignored: 1},
		`{"type":"report","data":[]}`:                                 {},
		`{"type":"report","data":[` + good + `,{"id":"y","state":"on its way"},{"id":12345,"state":"undelivered","code":30008,"providerId":9007199254740993,"detail":"off"}]}`: {
			Ended:   []message.Report{read, {ID: "12345", State: message.Undelivered, Code: "30008", ProviderID: "9007199254740993", Detail: "off"}},
			Ignored: 1,
		},
		`{"type":"report","data":[{"id":"x","state":"delivered","code":null}]}`: {Ended: []message.Report{read}},
		`{"type":"report","data":[7,` + good + `,{"id":"x"},{"id":"y","state":"sent"}]}`: {
			Ended: []message.Report{read}, Ignored: 1, Unreadable: 2, First: "data[0] must be an object",
		},
		`{"type":"report","data":[` + good + `,{"providerId":"p","state":"delivered"},{"id":null,"state":"undelivered"}]}`: {
			Ended: []message.Report{read}, Unreadable: 2, First: "data[1].id is missing",
		},
		`{"type":"report","data":[` + good + `,{"id":"x","state":"delivered","at":"yesterday"}]}`: {
			Ended: []message.Report{read}, Unreadable: 1, First: "data[1].at must be a time like 2026-11-20T12:00:00Z",
		},
	} {
		got, err := readWebhookReports([]byte(body))
		require.NoError(t, err, body)
		require.Equal(t, want, got, body)
	}
	for body, wrong := range map[string]string{
		`{"type":"report"}`:                                                  "data must be an object or a list of objects",
		`{"type":"report","data":null}`:                                      "data must be an object or a list of objects",
		`{"type":"report","data":[null]}`:                                    "data[0] must be an object",
		`{"type":"report","data":[{"id":"x","state":5},7]}`:                  "data[0].state must be a string",
		`{"type":"report","data":{"id":5}}`:                                  "data.state is missing",
		`{"type":"report","data":{"id":{},"state":"delivered"}}`:             "data.id must be a string or a number",
		`{"type":"report","data":{"id":"x","state":"delivered","code":[]}}`:  "data.code must be a string or a number",
		`{"type":"report","data":{"id":"x","state":"sent","code":true}}`:     "data.code must be a string or a number",
		`{"type":"report","data":{"id":"x","state":"delivered","at":"now"}}`: "data.at must be a time like 2026-11-20T12:00:00Z",
	} {
		_, err := readWebhookReports([]byte(body))
		require.ErrorIs(t, err, ErrUnreadable, body)
		require.ErrorContains(t, err, wrong, body)
	}
}

func TestABodyThatIsNoObjectCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func([]byte) (Reports, error){
		"sinch": single(readSinchReport), "bird": single(readBirdReport), "webhook": readWebhookReports,
	} {
		for _, body := range []string{``, `null`, `[]`, `"text"`, `{`, `{} {}`} {
			_, err := read([]byte(body))
			require.ErrorIs(t, err, ErrUnreadable, "%s %s", name, body)
		}
	}
}

func TestNoncesAreForgottenInTime(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	r := &reporter{now: func() time.Time { return now }, used: map[string]time.Time{}}
	for i := range maxNonces + 10 {
		require.True(t, r.first(signed{nonce: fmt.Sprint(i)}))
	}
	require.Len(t, r.used, maxNonces)
	require.False(t, r.first(signed{nonce: fmt.Sprint(maxNonces + 9)}))
	now = now.Add(2*reportWindow + time.Second)
	require.True(t, r.first(signed{nonce: "new"}))
	require.Len(t, r.used, 1)
}
