package message_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestASentenceSaysWhatBecameOfAMessage(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 10, 2, 0, 0, time.UTC)
	when := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.Format("Mon 15:04")
	}
	for want, r := range map[string]message.Row{
		"Tue 10:02, sent by Sinch, not delivered: number not in service":                         {State: message.Undelivered, SentAt: &at, Code: "UNKNOWN_SUBSCRIBER", Detail: "unknown"},
		"Tue 10:02, not sent, Sinch refused it: no such sender":                                  {State: message.Failed, FinishedAt: &at, Code: "E-4711", Detail: "no such sender."},
		"Not sent yet, waits since Tue 10:02: its account is held":                               {State: message.Accepted, DueAt: &at, Code: "held"},
		"Tue 10:02, left for Sinch, which cannot say whether it arrived: no answer came in time": {State: message.Unknown, FinishedAt: &at, Code: "timeout"},
		"Not sent, it was refused on arrival: this person wants no messages":                     {State: message.Rejected, Code: message.CodeSuppressed},
		"sent by Sinch, its delivery report is awaited":                                          {State: message.Sending},
	} {
		if r.State == message.Sending {
			r.SentAt = new(time.Time)
			want = "Mon 00:00, " + want
		}
		require.Equal(t, want, r.Sentence(message.ProviderName("sinch", "sinch-eu"), when))
	}
	for _, s := range message.States() {
		require.NotEmpty(t, (&message.Row{State: s}).Sentence("x", when), s.String())
	}
	require.Equal(t, "code E-1", message.ReasonText("E-1", ""))
	require.Equal(t, "hook", message.ProviderName("webhook", "hook"))
}
