package intake_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
)

// routed routes every message over accounts that are named after their providers.
func routed(hops ...string) *message.Router {
	r := &message.Router{Routes: []message.Route{{Hops: hops}}, Accounts: map[string]message.Policy{}}
	for _, name := range hops {
		r.Accounts[name] = message.Policy{Provider: name}
	}
	return r
}

func TestNumbersAreCheckedInStreamsAsInWholeRequests(t *testing.T) {
	t.Parallel()
	const lines = `{"text":"hi","defaultRegion":"DE"}
{"to":"0151 23456789"}
{"to":"2026-11-28"}
{"to":"+4915123456789"}
`
	caller := intake.Caller{Tenant: "acme", Router: routed("bird"), Region: "US"}
	w := open(t, strings.NewReader(lines), caller, intake.Options{}).Buffered()
	require.Equal(t, message.Problems{{Index: 1, Path: "messages[1].to", Code: message.CodeRecipient, Detail: "line 3: looks like a date"}}, w.Problems)
	require.Equal(t, []string{"+4915123456789", "", ""}, []string{w.Batch.Messages[0].Phone, w.Batch.Messages[1].Phone, w.Batch.Messages[2].Phone})
	require.Equal(t, -1, w.Batch.Messages[1].Route)

	var log problemList
	in, err := open(t, strings.NewReader(lines), caller, intake.Options{}).Streamed(&log)
	require.NoError(t, err)
	defer in.Close()
	for i := range 3 {
		var m message.Message
		require.True(t, in.Next(&m))
		require.Equal(t, w.Batch.Messages[i], m)
	}
	require.Equal(t, w.Problems, message.Problems(log))
}

func TestARecipientIsWhatTheHopsOfItsMessageNeed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		hops            []string
		channel, to     string
		rejected        bool
		dialect, number string
	}{
		"a number through Bird":                 {hops: []string{"bird"}, to: "1 555 000 1001", number: "+15550001001"},
		"an address through Bird":               {hops: []string{"bird"}, to: "ann@example.com"},
		"an address through Sinch":              {hops: []string{"sinch"}, to: "ann@example.com", rejected: true},
		"an address through Bird, then Sinch":   {hops: []string{"bird", "sinch"}, to: "ann@example.com", rejected: true},
		"a name through Bird":                   {hops: []string{"bird"}, to: "ann", rejected: true},
		"a name through a webhook, then Bird":   {hops: []string{"webhook", "bird"}, to: "ann", rejected: true},
		"a name through webhooks and rooms":     {hops: []string{"webhook", "imkit"}, to: "ann"},
		"a number through a webhook":            {hops: []string{"webhook"}, to: "1 555 000 1001"},
		"a number through a webhook, then Bird": {hops: []string{"webhook", "bird"}, to: "1 555 000 1001", number: "+15550001001"},
		"a name on Messenger":                   {hops: []string{"sinch"}, channel: "MESSENGER", to: "ann"},
		"a name on WhatsApp":                    {hops: []string{"sinch"}, channel: "whatsapp", to: "ann", rejected: true},
		"a name on Messenger, then Bird":        {hops: []string{"sinch", "bird"}, channel: "MESSENGER", to: "ann", rejected: true},
		"a client of IMKIT's, then Bird":        {hops: []string{"imkit", "bird"}, to: "ann", dialect: "imkit"},
		"a number of IMKIT's, then Bird":        {hops: []string{"imkit", "bird"}, to: "1 555 000 1001", dialect: "imkit"}, // an id of the app's, whatever it looks like
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := `{"text":"hi","messages":[{"to":"` + tc.to + `"}]}`
			if tc.channel != "" {
				body = strings.Replace(body, `{`, `{"channel":"`+tc.channel+`",`, 1)
			}
			o := intake.Options{Options: dialect.Options{Now: accepted}}
			if tc.dialect == "imkit" {
				body = `{"messageType":"text","message":"hi","paras":[{"receiver":"` + tc.to + `"}]}`
			}
			var err error
			o.Dialect, err = dialect.Named(map[bool]string{true: "volley", false: tc.dialect}[tc.dialect == ""])
			require.NoError(t, err)
			q, err := intake.Open(strings.NewReader(body), intake.Caller{Tenant: "acme", Router: routed(tc.hops...)}, intake.Limits{BodyBytes: 1 << 20}, o)
			require.NoError(t, err)
			w := q.Buffered()
			if tc.rejected {
				require.Len(t, w.Problems, 1)
				require.Equal(t, message.CodeRecipient, w.Problems[0].Code)
				require.NotContains(t, w.Problems[0].Detail, tc.to)
				return
			}
			require.Empty(t, w.Problems)
			require.Equal(t, tc.to, w.Batch.Messages[0].To)
			require.Equal(t, tc.number, w.Batch.Messages[0].Phone)
		})
	}
}
