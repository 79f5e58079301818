package provider

import (
	"bytes"
	"encoding/json"
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

// readWebhookReports reads reports of our own contract. Other types are none.
func readWebhookReports(body []byte) ([]message.Report, error) {
	var v *webhookReport
	if err := readReport(body, &v); err != nil || v == nil || v.Type != "report" {
		return nil, err
	}
	var list []webhookReported
	if data := bytes.TrimSpace(v.Data); len(data) > 0 && data[0] == '{' {
		list = make([]webhookReported, 1)
		if err := readReport(data, &list[0]); err != nil {
			return nil, err
		}
	} else if err := readReport(data, &list); err != nil {
		return nil, err
	}
	if len(list) > maxWebhookReports {
		return nil, fmt.Errorf("%w: it has %d reports, at most %d are possible", ErrUnreadable, len(list), maxWebhookReports)
	}
	out := make([]message.Report, len(list))
	for i, d := range list {
		p := message.Report{ID: d.ID, At: millisOf(d.At), ProviderID: d.ProviderID, Code: d.Code, Detail: d.Detail}
		switch d.State {
		case "delivered":
			p.State = message.Delivered
		case "undelivered":
			p.State = message.Undelivered
		default:
			return nil, fmt.Errorf("%w: data[%d].state must be delivered or undelivered", ErrUnreadable, i)
		}
		out[i] = p
	}
	return out, nil
}
