package provider

import (
	"encoding/json"

	"volley/internal/message"
)

// verifySinch checks a callback of the Conversation API ("Callbacks", Validating
// requests): the signature is the HMAC-SHA256 of the raw body, the nonce and the
// timestamp, joined by dots, in base64.
func verifySinch(key []byte) func(Callback) (signed, error) {
	return func(q Callback) (signed, error) {
		nonce, stamp := q.Header.Get("x-sinch-webhook-signature-nonce"), q.Header.Get("x-sinch-webhook-signature-timestamp")
		algorithm := q.Header.Get("x-sinch-webhook-signature-algorithm")
		if nonce == "" || algorithm != "" && algorithm != "HmacSHA256" ||
			!equalMAC(q.Header.Get("x-sinch-webhook-signature"), key, q.Body, []byte("."+nonce+"."+stamp)) {
			return signed{}, ErrSignature
		}
		at, err := unixSeconds(stamp)
		return signed{nonce: nonce, at: at}, err
	}
}

// sinchReport is a callback of the trigger MESSAGE_DELIVERY. Other triggers have
// none of it.
type sinchReport struct {
	EventTime string `json:"event_time"`
	Report    *struct {
		MessageID string          `json:"message_id"`
		Status    string          `json:"status"`
		Metadata  json.RawMessage `json:"metadata"`
		Reason    struct {
			Code        string `json:"code"`
			Description string `json:"description"`
			SubCode     string `json:"sub_code"`
		} `json:"reason"`
	} `json:"message_delivery_report"`
}

// readSinchReport reads a callback. What is queued or changes its channel is not
// reported: Sinch goes on with it.
func readSinchReport(body []byte) ([]message.Report, error) {
	var v sinchReport
	if err := readReport(body, &v); err != nil || v.Report == nil {
		return nil, err
	}
	d := v.Report
	p := message.Report{ID: sinchReported(d.Metadata), At: millisOf(v.EventTime), ProviderID: d.MessageID}
	switch d.Status {
	case "DELIVERED", "READ":
		p.State = message.Delivered
	case "FAILED":
		p.State, p.Code, p.Detail = message.Undelivered, d.Reason.Code, d.Reason.Description
		if p.Code == "" {
			p.Code = d.Reason.SubCode
		}
	default:
		return nil, nil
	}
	if p.ID == "" {
		return nil, nil // somebody else's message on the same app
	}
	return []message.Report{p}, nil
}

// sinchReported is our id out of a report's metadata, which is the string that
// messages:send was given; an object is understood too.
func sinchReported(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	var o object
	_ = json.Unmarshal(raw, &o) // metadata of another making holds no id of ours
	return o.text(sinchID)
}
