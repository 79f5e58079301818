package message_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestWhoIsSuppressedIsRejectedUnlessAnAttemptMayHaveArrived(t *testing.T) {
	t.Parallel()
	suppressed := message.Outcome{Kind: "rejected", Code: message.CodeSuppressed, Detail: "on the list", At: 90}
	for name, tt := range map[string]struct {
		rec   message.Record
		state message.State
		code  string
	}{
		"first attempt":       {message.Record{Attempts: 1, HopAttempts: 1}, message.Rejected, message.CodeSuppressed},
		"after a retry":       {message.Record{Attempts: 2, HopAttempts: 2}, message.Rejected, message.CodeSuppressed},
		"one may have come":   {message.Record{Attempts: 2, HopAttempts: 2, Unresolved: 50}, message.Unknown, "unknown"},
		"canceled meanwhile":  {message.Record{Attempts: 1, HopAttempts: 1, Stop: true}, message.Canceled, "canceled"},
		"a report says it is": {message.Record{Attempts: 2, HopAttempts: 2, Early: &message.EarlyReport{State: message.Delivered, At: 80}}, message.Delivered, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := tt.rec
			rec.State, rec.Expires = message.Sending, 1000
			before := rec.Attempts
			b := &message.Batch{Policies: map[string]message.Policy{"a": {}, "b": {}}}
			tr := message.Transition{Record: &rec, Batch: b, Hops: []message.Hop{{Account: "a"}, {Account: "b"}}, Now: 100}
			tr.Answered(suppressed)
			require.Equal(t, tt.state, rec.State)
			require.Equal(t, tt.code, rec.Code)
			require.Zero(t, rec.Hop, "no other account is tried")
			require.Equal(t, before-1, rec.Attempts, "no request was made")
		})
	}
}
