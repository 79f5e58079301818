package dialect_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

// sinchRequest is a request whose message uses two parameters, for so many
// recipients.
func sinchRequest(recipients int, more string) string {
	items := make([]string, recipients)
	for i := range items {
		items[i] = fmt.Sprintf(`{"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+1555%07d"}]}},"parameters":{"name":"N%d","code":"%d"}}`, i, i, i)
	}
	return `{"app_id":"01EB37HMH1M6SV18ASNS3G135H","message":{"text_message":{"text":"Hello ${name}, your code is ${code}."}},` +
		more + `"recipient_and_params":[` + strings.Join(items, ",") + `]}`
}

func TestSinchTakesAThousandRecipients(t *testing.T) {
	t.Parallel()
	b, problems := decode(t, "sinch", sinchRequest(1000, ""), dialect.Options{Now: accepted})
	require.Empty(t, problems)
	require.Len(t, b.Messages, 1000)
	require.Zero(t, b.Rejected())
	_, text, err := b.Template.Render(&b.Messages[999])
	require.NoError(t, err)
	require.Equal(t, "Hello N999, your code is 999.", text)

	_, problems = decode(t, "sinch", sinchRequest(1001, ""), dialect.Options{Now: accepted})
	require.Len(t, problems, 1)
	require.Equal(t, message.CodeTooMany, problems[0].Code)
	require.Equal(t, "recipient_and_params", problems[0].Path)
}

func TestSinchSendAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 23, 58, 0, int(300*time.Millisecond), time.UTC)
	at := func(clock string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, clock)
		require.NoError(t, err)
		return v
	}
	cases := map[string]struct{ given, want string }{
		"a past time is the moment of acceptance":             {"2026-11-20T23:57:59Z", "2026-11-20T23:58:00.3Z"},
		"a time long past too":                                {"1970-01-01T00:00:00Z", "2026-11-20T23:58:00.3Z"},
		"one a little ahead is whole seconds, and not early":  {"2026-11-20T23:58:00.5Z", "2026-11-20T23:58:01Z"},
		"one just under a minute ahead stays":                 {"2026-11-20T23:59:00Z", "2026-11-20T23:59:00Z"},
		"one exactly a minute ahead moves to the next mark":   {"2026-11-20T23:59:00.3Z", "2026-11-21T00:00:00Z"},
		"one on a mark stays on it":                           {"2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z"},
		"one behind a mark moves nearly five minutes":         {"2026-11-21T00:00:01Z", "2026-11-21T00:05:00Z"},
		"one seven days ahead to the instant may move beyond": {"2026-11-27T23:58:00.3Z", "2026-11-28T00:00:00Z"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, problems := decode(t, "sinch", sinchRequest(1, `"send_after":"`+c.given+`",`), dialect.Options{Now: now})
			require.Empty(t, problems)
			require.Equal(t, at(c.want).UnixMilli(), b.SendAfter)
			require.Equal(t, b.SendAfter, b.DueAt(&b.Messages[0]))
		})
	}

	t.Run("one millisecond more than seven days is beyond the horizon", func(t *testing.T) {
		t.Parallel()
		_, problems := decode(t, "sinch", sinchRequest(1, `"send_after":"2026-11-27T23:58:00.301Z",`), dialect.Options{Now: now})
		require.Len(t, problems, 1)
		require.Equal(t, message.CodeHorizon, problems[0].Code)
	})
}

func TestSinchLongestTTL(t *testing.T) {
	t.Parallel()
	b, problems := decode(t, "sinch", sinchRequest(1, `"ttl":"315576000000s",`), dialect.Options{Now: accepted})
	require.Empty(t, problems)
	require.Equal(t, message.MaxTTL.Milliseconds(), b.TTL)
	var content struct{ TTL string }
	raw, _, err := b.Template.Render(&b.Messages[0])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &content))
	require.Equal(t, "315576000000s", content.TTL, "the provider gets what the caller gave")
}

func TestSinchReportsEnvelopeAndRecipientsTogether(t *testing.T) {
	t.Parallel()
	b, problems := decode(t, "sinch", `{"message":{"text_message":{"text":"${a}"}},"recipient_and_params":[{"recipient":{"contact_id":"c"}}]}`, dialect.Options{Now: accepted})
	require.True(t, problems.Whole())
	require.Equal(t, "app_id", problems[0].Path)
	require.Len(t, b.Problems(), 1)
	require.Equal(t, "recipient_and_params[0].parameters.a", b.Problems()[0].Path)
}

func TestSinchChannelOrderBecomesHops(t *testing.T) {
	t.Parallel()
	b, problems := decode(t, "sinch", sinchRequest(2, `"channel_priority_order":["WHATSAPP","RCS","SMS"],`), dialect.Options{Now: accepted})
	require.Empty(t, problems)
	message.Router{
		Routes: []message.Route{
			{Dialect: "sinch", Channel: "SMS", Hops: []string{"sinch-eu", "bird"}},
			{Dialect: "sinch", Hops: []string{"sinch-eu"}},
		},
		Accounts: map[string]message.Policy{"sinch-eu": {Provider: "sinch"}, "bird": {Provider: "bird"}},
	}.Accept(b, func(int) string { return "" })
	require.Equal(t, []message.Hop{
		{Account: "sinch-eu", Channels: []string{"WHATSAPP", "RCS", "SMS"}},
		{Account: "bird", Channels: []string{"SMS"}},
	}, b.HopsOf(&b.Messages[1]))
}

func TestSinchExample(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../examples/sinch.json")
	require.NoError(t, err)
	b, problems := decode(t, "sinch", string(body), dialect.Options{Now: accepted})
	require.Empty(t, problems)
	require.Len(t, b.Messages, 6)
	require.Len(t, b.Problems(), 1)
	require.Equal(t, "recipient_and_params[2].parameters.parcel", b.Problems()[0].Path)
}

func TestSinchBoundsItsWork(t *testing.T) {
	t.Parallel()
	uses := func(parameters int) string {
		var text strings.Builder
		for i := range parameters {
			fmt.Fprintf(&text, "${p%d}", i)
		}
		return `{"app_id":"a","message":{"text_message":{"text":"` + text.String() + `"}},"recipient_and_params":[{"recipient":{"contact_id":"c"}}]}`
	}

	t.Run("a recipient without any of many parameters has a hundred problems", func(t *testing.T) {
		t.Parallel()
		b, problems := decode(t, "sinch", uses(1000), dialect.Options{Now: accepted})
		require.Empty(t, problems)
		require.Len(t, b.Messages[0].Problems, 100)
	})

	t.Run("a message with more than a thousand parameters is refused", func(t *testing.T) {
		t.Parallel()
		b, problems := decode(t, "sinch", uses(1001), dialect.Options{Now: accepted})
		require.Len(t, problems, 1)
		require.Equal(t, "message", problems[0].Path)
		require.Equal(t, message.CodeTooMany, problems[0].Code)
		require.Zero(t, b.Rejected())
	})

	t.Run("a recipient with more than a hundred identities is rejected", func(t *testing.T) {
		t.Parallel()
		identities := strings.Repeat(`{"channel":"SMS","identity":"+1"},`, 100) + `{"channel":"SMS","identity":"+1"}`
		b, problems := decode(t, "sinch", `{"app_id":"a","message":{"text_message":{"text":"x"}},"recipient_and_params":[{"recipient":{"identified_by":{"channel_identities":[`+identities+`]}}}]}`, dialect.Options{})
		require.Empty(t, problems)
		require.Len(t, b.Messages[0].Problems, 1)
		require.Equal(t, message.CodeTooMany, b.Messages[0].Problems[0].Code)
	})
}

func BenchmarkDecodeSinch(b *testing.B) {
	d, err := dialect.Named("sinch")
	require.NoError(b, err)
	body := []byte(sinchRequest(1000, ""))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if batch, problems := d.Decode(body, dialect.Options{Now: accepted}); len(problems) > 0 || batch.Rejected() > 0 {
			b.Fatal("a valid request is refused")
		}
	}
}
