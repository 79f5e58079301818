package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"volley/internal/message"
)

// verifyWebhook checks a signature after the Standard Webhooks specification, by
// which a request may come again.
func verifyWebhook(signer *standardwebhooks.Webhook) func(Callback) (signed, error) {
	return func(q Callback) (signed, error) {
		if signer.VerifyIgnoringTimestamp(q.Body, q.Header) != nil {
			return signed{}, ErrSignature
		}
		at, err := unixSeconds(q.Header.Get(standardwebhooks.HeaderWebhookTimestamp))
		return signed{at: at}, err
	}
}

// webhookReport is our own contract: one message, or a list of them, under data.
type webhookReport struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

type webhookReported struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	At     string `json:"at"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// ProviderID is the id that the receiver gave the message in its answer.
	ProviderID string `json:"providerId"`
}

// maxWebhookReports is how many reports a callback of ours has at most.
const maxWebhookReports = 10_000

// readWebhookReports reads reports of our own contract. Other types are none. Errors
// name the row and the field.
func readWebhookReports(body []byte) ([]message.Report, error) {
	var v webhookReport
	if err := readReport(body, &v); err != nil || v.Type != "report" {
		return nil, err
	}
	var rows []json.RawMessage
	if data := bytes.TrimSpace(v.Data); len(data) > 0 && data[0] == '{' {
		p, err := readWebhookReport("data", data)
		return []message.Report{p}, err
	} else if readReport(data, &rows) != nil || rows == nil {
		return nil, fmt.Errorf("%w: data must be an object or a list of objects", ErrUnreadable)
	}
	if len(rows) > maxWebhookReports {
		return nil, fmt.Errorf("%w: it has %d reports, at most %d are possible", ErrUnreadable, len(rows), maxWebhookReports)
	}
	out := make([]message.Report, len(rows))
	for i, row := range rows {
		p, err := readWebhookReport(fmt.Sprintf("data[%d]", i), row)
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

// readWebhookReport reads one report, which stands at the place that is given.
func readWebhookReport(place string, row []byte) (message.Report, error) {
	var d *webhookReported
	err := json.Unmarshal(row, &d)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return message.Report{}, fmt.Errorf("%w: %s.%s must be a string", ErrUnreadable, place, wrong.Field)
	case err != nil || d == nil:
		return message.Report{}, fmt.Errorf("%w: %s must be an object", ErrUnreadable, place)
	}
	p := message.Report{ID: d.ID, At: millisOf(d.At), ProviderID: d.ProviderID, Code: d.Code, Detail: d.Detail}
	switch d.State {
	case "delivered":
		p.State = message.Delivered
	case "undelivered":
		p.State = message.Undelivered
	default:
		return message.Report{}, fmt.Errorf("%w: %s.state must be delivered or undelivered", ErrUnreadable, place)
	}
	if d.At != "" && p.At == 0 {
		return message.Report{}, fmt.Errorf("%w: %s.at must be a time like 2026-11-20T12:00:00Z", ErrUnreadable, place)
	}
	return p, nil
}
