package provider

import (
	"crypto/sha256"
	"encoding/json"
	"strings"

	"volley/internal/message"
)

// verifyBird checks an event of Bird's notifications ("Verifying webhook
// signatures"): the signature is the HMAC-SHA256 of the timestamp, the address that
// was called, and the raw SHA-256 of the body, joined by line feeds, in base64.
func verifyBird(key []byte) func(Callback) (signed, error) {
	return func(q Callback) (signed, error) {
		stamp, signature := q.Header.Get("messagebird-request-timestamp"), q.Header.Get("messagebird-signature")
		sum := sha256.Sum256(q.Body)
		if !equalMAC(signature, key, []byte(stamp+"\n"+q.URL+"\n"), sum[:]) {
			return signed{}, ErrSignature
		}
		at, err := unixSeconds(stamp)
		return signed{at: at}, err
	}
}

// birdEvent is an event of the service channels; its payload is the message.
type birdEvent struct {
	Payload *birdMessage `json:"payload"`
	birdMessage
}

type birdMessage struct {
	ID           string `json:"id"`
	Reference    string `json:"reference"`
	Direction    string `json:"direction"`
	Status       string `json:"status"`
	Reason       string `json:"reason"`
	LastStatusAt string `json:"lastStatusAt"`
	UpdatedAt    string `json:"updatedAt"`
	Failure      struct {
		Code        birdCode `json:"code"`
		Description string   `json:"description"`
		Source      struct {
			Name string   `json:"name"`
			Code birdCode `json:"code"`
		} `json:"source"`
	} `json:"failure"`
	Meta struct {
		ExtraInformation object `json:"extraInformation"`
	} `json:"meta"`
}

// birdCode is a code of a failure: a number of Bird's own, or whatever a network calls
// it, such as 5.1.1.
type birdCode string

// UnmarshalJSON reads a number or a text. Anything else is no code, and no reason to
// lose the report.
func (c *birdCode) UnmarshalJSON(raw []byte) error {
	var text string
	var number json.Number
	switch {
	case json.Unmarshal(raw, &text) == nil:
		*c = birdCode(text)
	case json.Unmarshal(raw, &number) == nil:
		*c = birdCode(number)
	}
	return nil
}

// readBirdReport reads an event. One without an envelope is taken for the message
// itself.
func readBirdReport(body []byte) ([]message.Report, error) {
	var v birdEvent
	if err := readReport(body, &v); err != nil {
		return nil, err
	}
	m := &v.birdMessage
	if v.Payload != nil {
		m = v.Payload
	}
	p := message.Report{ID: m.ours(), ProviderID: m.ID, At: millisOf(m.LastStatusAt)}
	if p.At == 0 {
		p.At = millisOf(m.UpdatedAt)
	}
	switch m.Status {
	case "delivered":
		p.State = message.Delivered
	case "delivery_failed", "sending_failed", "rejected":
		p.State, p.Code, p.Detail = message.Undelivered, string(m.Failure.Code), m.Failure.Description
		if p.Code == "" {
			p.Code = m.Status
		}
		if p.Detail == "" {
			p.Detail = m.Reason
		}
		if p.Detail == "" && m.Failure.Source.Name != "" {
			p.Detail = strings.TrimSpace(m.Failure.Source.Name + " " + string(m.Failure.Source.Code))
		}
	default:
		return nil, nil
	}
	if p.ID == "" || m.Direction == "incoming" {
		return nil, nil
	}
	return []message.Report{p}, nil
}

// ours is our id of a message: in its meta where the caller gave a reference of its
// own, else the reference; "" for none.
func (m *birdMessage) ours() string {
	for _, id := range []string{m.Meta.ExtraInformation.text(birdID), m.Reference} {
		if _, _, ok := message.ParseID(id); ok {
			return id
		}
	}
	return ""
}
