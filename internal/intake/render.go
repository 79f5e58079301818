package intake

import (
	"encoding/json"
	"time"

	"volley/internal/message"
)

// Rendered is a message with what its recipient would get. A rejected one has null in
// place of that, and no id has been given yet.
type Rendered struct {
	message.Row
	Text    *string         `json:"text"`
	Content json.RawMessage `json:"content"`
	// SMS is what the text takes where the recipient may get it as an SMS; nil elsewhere.
	SMS *message.SMS `json:"sms,omitempty"`
	// Why is what a sample was chosen for, one of the Why constants; empty is no sample.
	Why string `json:"why,omitempty"`
}

// Render fills in the content of a message of b, which need not be in it, and has the
// given index in its request. A content that cannot be filled in becomes a problem of the
// message, at the place that recipient names.
func Render(b *message.Batch, m *message.Message, index int, recipient func(int) string, now time.Time) Rendered {
	due := b.DueAt(m)
	rec := message.Record{State: message.Scheduled, Due: due, Expires: due + b.Validity(m)}
	switch {
	case rec.Expires <= now.UnixMilli():
		rec.State, rec.Code, rec.Detail = message.Expired, "expired", "its validity is over by now"
	case rec.Due <= now.UnixMilli():
		rec.State = message.Accepted
	}
	var text string
	var content json.RawMessage
	var err error
	if len(m.Problems) == 0 {
		if content, text, err = b.Template.Render(m); err != nil {
			m.Problems.Add(index, recipient(index), message.CodeParameter, "%s", err.Error())
		}
	}
	if len(m.Problems) > 0 {
		rec.State, rec.Code, rec.Detail = message.Rejected, m.Problems[0].Code, m.Problems[0].Detail
	}
	out := Rendered{Row: b.RowOf(message.Key{}, index, m, &rec)}
	if out.Addresses = nil; len(m.Problems) == 0 {
		out.Addresses = b.AddressesOf(m)
	}
	out.ID = "" // there is none before the batch has its own
	if rec.State != message.Rejected {
		out.Text, out.Content = &text, content
		if text != "" && hasPhone(out.Addresses) {
			sms := message.CountSMS(text)
			out.SMS = &sms
		}
	}
	return out
}

func hasPhone(all []message.AddressRow) bool {
	for _, a := range all {
		if a.Kind == message.KindPhone {
			return true
		}
	}
	return false
}
