package callback

import (
	"encoding/json"
	"strings"
	"time"

	"volley/internal/message"
)

// Has reports whether a format, one of message's Callback constants, has an event
// of a type.
func Has(format, typ string) bool {
	switch format {
	case message.CallbackSinch:
		return sinchStatus(typ) != "" || !isBatch(typ)
	case message.CallbackBird:
		return !isBatch(typ)
	}
	return true
}

// Repeats reports whether a format repeats parts of the caller's request, so that an
// event needs its Request.
func Repeats(format string) bool {
	return format == message.CallbackSinch || format == message.CallbackBird
}

// RowsOf returns the most messages in one callback of a format, for a batch of total
// messages.
func RowsOf(format string, total int) int {
	if Repeats(format) || total <= Few {
		return 1
	}
	return maxRows
}

func isBatch(typ string) bool { return strings.HasPrefix(typ, typeBatch) || typ == TypeAccountHeld }

// form writes an event in a format; p has what only the configuration tells.
func (p *Poster) form(tenant, format string, e Event) ([]byte, error) {
	switch format {
	case message.CallbackSinch:
		return message.EncodeJSON(p.sinch(tenant, e))
	case message.CallbackBird:
		return message.EncodeJSON(p.bird(e))
	}
	return message.EncodeJSON(volley(e))
}

// envelope is the body that Standard Webhooks recommends.
type envelope struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Data      any    `json:"data"`
}

// row is a message with the batch that it belongs to.
type row struct {
	Batch string `json:"batch"`
	message.Row
}

func volley(e Event) envelope {
	out := envelope{Type: e.Type, Timestamp: stamp(e.At), Data: e.Batch}
	switch {
	case e.Type == TypeMessages:
		rows := make([]row, len(e.Rows))
		for i := range rows {
			rows[i] = row{e.Batch.ID, e.Rows[i]}
		}
		out.Data = rows
	case len(e.Rows) > 0:
		out.Data = row{e.Batch.ID, e.Rows[0]}
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// object reads a JSON object; anything else has no members.
func object(raw json.RawMessage) map[string]json.RawMessage {
	var o map[string]json.RawMessage
	_ = json.Unmarshal(raw, &o) // what is no object has no members
	return o
}

// text reads a JSON string; anything else is empty.
func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // what is no string says nothing
	return s
}

// field is a member of the request: the message's own, else the template's.
func (a *Request) field(key string) json.RawMessage {
	if own, ok := object(a.Message.Body)[key]; ok {
		return own
	}
	return object(a.Template.Body)[key]
}
