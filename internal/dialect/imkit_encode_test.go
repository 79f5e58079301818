package dialect_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

const imkitAccepted = `{"messageType":"text","message":"Hi $name$ & all","extra":{"n":1.50,"at":"$time$"},"mentions":["x"],
 "paras":[{"receiver":"ann","$name$":"Ann","$time$":"9:30"},{"room":"blue","$name$":"all","$time$":"9:45"}]}`

func TestAnIMKITMessageIsTheOneOfItsPara(t *testing.T) {
	t.Parallel()
	b := acceptedBatch(t, "imkit", imkitAccepted, nil)
	sent := message.Record{State: message.Sent, Sent: encodedAt.UnixMilli() + 250, ProviderID: "65a1"}
	own := *b
	own.Template.Body = json.RawMessage(`{"messageType":"card","message":{"k":1},"sender":"desk","_id":"x","batchID":"y"}`)
	large := *b
	large.Messages = nil
	sameAnswers(t, "imkit-messages", []encodedCase{
		{"to a receiver, sender not known", dialect.IMKITMessage(b, rowAt(b, 0, sent), "")},
		{"to a room, sender of the account", dialect.IMKITMessage(b, rowAt(b, 1, sent), "support")},
		{"with a sender of its own, and fields that are not the caller's to set", dialect.IMKITMessage(&own, rowAt(b, 0, sent), "support")},
		{"of a large batch", dialect.IMKITMessage(&large, rowAt(b, 1, sent), "support")},
	})
}

func TestIMKITAnswers(t *testing.T) {
	t.Parallel()
	sameAnswers(t, "imkit-answers", []encodedCase{
		{"an accepted batch", dialect.IMKITBatch("b-1", 2)},
		{"messages", dialect.IMKITMessages([]json.RawMessage{[]byte(`{"_id":"1"}`)})},
		{"none sent so far", dialect.IMKITMessages(nil)},
	})
}

func TestIMKITMessageWithoutItsContent(t *testing.T) {
	t.Parallel()
	b := &message.Batch{ID: "b", Dialect: "imkit", Messages: []message.Message{{To: "room"}}}
	for _, index := range []int{0, 7} {
		got := dialect.IMKITMessage(b, &message.Row{Index: index, ID: "m", State: message.Sent}, "")
		require.Contains(t, string(got), `"_id":"m"`)
	}
	require.Contains(t, string(dialect.BirdMessage(b, &message.Row{ID: "m", To: "+1"})), `"identifierValue":"+1"`)
}
