package dialect

import (
	"encoding/json"
	"slices"

	"volley/internal/message"
)

// imkitAnswer is the envelope of IMKIT's answers (IMKIT, response format).
type imkitAnswer struct {
	RC     int    `json:"RC"`
	RM     string `json:"RM"`
	Result any    `json:"result"`
}

func imkitOK(result any) json.RawMessage { return encoded(imkitAnswer{RM: "OK", Result: result}) }

// IMKITBatch is the answer to an accepted batch. The count is a number, as in IMKIT's
// newer pages.
func IMKITBatch(id string, count int) json.RawMessage {
	return imkitOK(struct {
		BatchID string `json:"batchID"`
		Count   int    `json:"count"`
	}{id, count})
}

// IMKITMessages is the answer to a query of a batch (IMKIT, query batch messages).
func IMKITMessages(data []json.RawMessage) json.RawMessage {
	if data == nil {
		data = []json.RawMessage{}
	}
	return imkitOK(struct {
		Count int               `json:"count"`
		Data  []json.RawMessage `json:"data"`
	}{len(data), data})
}

// IMKITMessage is the message that IMKIT made of a row of a batch, as far as we know
// it: the fields of the request with the patterns filled in, the room or else the
// receiver, and the time at which it was taken. sender is the one of the account, for
// requests that name none; empty is not known. Of a message of a large batch, whose
// para is not there, it has the fields without patterns.
func IMKITMessage(b *message.Batch, row *message.Row, sender string) json.RawMessage {
	content := b.Template.Body
	if row.Index < len(b.Messages) {
		if filled, _, err := b.Template.Render(&b.Messages[row.Index]); err == nil {
			content = filled
		}
	} else {
		content = imkitPlain(&b.Template)
	}
	own := imkitFields(content)
	var out builder
	out.addText("_id", row.ID)
	for _, f := range own {
		switch f.key {
		case "sender":
			sender = unquote(f.raw)
		case "_id", "batchID", "messageTimeMS", "createdAtMS", "updatedAtMS":
		default:
			out.add(f.key, f.raw)
		}
	}
	if sender == "" {
		out.add("sender", []byte("null"))
	} else {
		out.add("sender", encoded(map[string]string{"_id": sender}))
	}
	out.addText("batchID", b.ID)
	at := b.CreatedAt.UnixMilli()
	if row.SentAt != nil {
		at = row.SentAt.UnixMilli()
	}
	for _, key := range []string{"messageTimeMS", "createdAtMS", "updatedAtMS"} {
		out.add(key, encoded(at))
	}
	return out.object()
}

// imkitPlain is a template without the fields in which there may be a pattern, whose
// values nobody knows.
func imkitPlain(t *message.Template) json.RawMessage {
	var plain builder
	for _, f := range imkitFields(t.Body) {
		one := message.Template{Body: encoded(map[string]json.RawMessage{f.key: f.raw})}
		if marked, err := one.Strings(); err == nil && len(marked) == 0 {
			plain.add(f.key, f.raw)
		}
	}
	return plain.object()
}

// imkitFields are the fields of an object that a decoder has built, in their order.
func imkitFields(body json.RawMessage) []field {
	r := &reader{index: message.WholeBatch}
	root, problems := open(body)
	if problems != nil {
		return nil
	}
	o, ok := r.object(root)
	if !ok {
		return nil
	}
	return slices.Clip(o.fields)
}
