package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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

// webhookReported is one of its reports. Ids and codes may be numbers.
type webhookReported struct {
	ID     json.RawMessage `json:"id"`
	State  string          `json:"state"`
	At     string          `json:"at"`
	Code   json.RawMessage `json:"code"`
	Detail string          `json:"detail"`
	// ProviderID is the id that the receiver gave the message in its answer.
	ProviderID json.RawMessage `json:"providerId"`
}

// maxWebhookReports is how many reports a callback of ours has at most.
const maxWebhookReports = 10_000

// readWebhookReports reads reports of our own contract. Other types are ignored. A
// report that makes no sense keeps no other from counting; it is an error only where
// there is no other.
func readWebhookReports(body []byte) (Reports, error) {
	var v webhookReport
	if err := readReport(body, &v); err != nil {
		return Reports{}, err
	}
	if v.Type != "report" {
		return Reports{Ignored: 1}, nil
	}
	var rows []json.RawMessage
	place := func(i int) string { return fmt.Sprintf("data[%d]", i) }
	if data := bytes.TrimSpace(v.Data); len(data) > 0 && data[0] == '{' {
		rows, place = []json.RawMessage{data}, func(int) string { return "data" }
	} else if readReport(data, &rows) != nil || rows == nil {
		return Reports{}, fmt.Errorf("%w: data must be an object or a list of objects", ErrUnreadable)
	}
	if len(rows) > maxWebhookReports {
		return Reports{}, fmt.Errorf("%w: it has %d reports, at most %d are possible", ErrUnreadable, len(rows), maxWebhookReports)
	}
	var out Reports
	for i, row := range rows {
		p, wrong := readWebhookReport(row)
		switch {
		case wrong != "":
			if out.Unreadable++; out.First == "" {
				out.First = place(i) + wrong
			}
		case !p.State.Final():
			out.Ignored++
		default:
			out.Ended = append(out.Ended, p)
		}
	}
	if out.Unreadable > 0 && out.Unreadable == len(rows) {
		return Reports{}, fmt.Errorf("%w: %s", ErrUnreadable, out.First)
	}
	return out, nil
}

// readWebhookReport reads one report; wrong says what makes no sense in it, behind its
// place. Its State is not final where the report does not say how the message ended.
func readWebhookReport(row []byte) (p message.Report, wrong string) {
	var d *webhookReported
	err := json.Unmarshal(row, &d)
	var field *json.UnmarshalTypeError
	switch {
	case errors.As(err, &field) && field.Field != "":
		return p, "." + field.Field + " must be a string"
	case err != nil || d == nil:
		return p, " must be an object"
	case d.State == "":
		return p, ".state is missing"
	}
	p = message.Report{At: millisOf(d.At), Detail: d.Detail}
	for _, f := range []struct {
		key  string
		raw  json.RawMessage
		into *string
	}{{"id", d.ID, &p.ID}, {"code", d.Code, &p.Code}, {"providerId", d.ProviderID, &p.ProviderID}} {
		if len(f.raw) > 0 && strings.IndexByte("{[tf", f.raw[0]) >= 0 {
			return p, "." + f.key + " must be a string or a number"
		}
		*f.into = scalar(f.raw)
	}
	if d.At != "" && p.At == 0 {
		return p, ".at must be a time like 2026-11-20T12:00:00Z"
	}
	switch d.State {
	case "delivered":
		p.State = message.Delivered
	case "undelivered":
		p.State = message.Undelivered
	}
	if p.State.Final() && p.ID == "" {
		return p, ".id is missing"
	}
	return p, ""
}
