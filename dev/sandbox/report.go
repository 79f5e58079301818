package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Marks in a recipient that ask for a delivery report once the message was accepted.
// They go together with every other Behaviour.
const (
	Delivers   Behaviour = "+delivered"
	Undelivers Behaviour = "+undelivered"
)

const (
	// reportTries is how often a report is posted that nobody takes, reportEvery how
	// long it waits in between.
	reportTries = 20
	reportEvery = time.Second
)

// ReportTo makes the sandbox report deliveries, below an address such as
// http://localhost:8080/reports: each to /<account>, as Options.Accounts has it, and
// signed with Options.ReportSecret.
func (s *Sandbox) ReportTo(address string) { s.reports.Store(&address) }

// report posts what became of a message whose recipient asks for it, in the
// background.
func (s *Sandbox) report(rec *Record) {
	to := s.reports.Load()
	steer := endings()[ending(rec.To)]
	down := steer == Undelivers || strings.Contains(rec.To, string(Undelivers))
	if to == nil || !down && steer != Delivers && !strings.Contains(rec.To, string(Delivers)) || rec.ID == "" {
		return
	}
	body, sign := s.reported(rec, !down)
	if body == nil {
		return
	}
	url := *to + "/" + s.named(rec)
	s.reporting.Go(func() {
		for range reportTries {
			if s.post(url, body, sign) {
				return
			}
			select {
			case <-s.closing.Done():
				return
			case <-time.After(reportEvery):
			}
		}
	})
}

// signature puts headers on a callback.
type signature func(h http.Header, url string, body []byte)

// reported is a provider's callback about a message, and how the provider signs it.
// Those that report nothing have none.
func (s *Sandbox) reported(rec *Record, arrived bool) ([]byte, signature) {
	at := millis(s.o.Now())
	switch rec.Provider {
	case "sinch":
		status := map[bool]string{true: "DELIVERED", false: "FAILED"}[arrived]
		report := map[string]any{"message_id": rec.ProviderID, "status": status, "metadata": sinchMetadata(rec.Content)}
		if !arrived {
			report["reason"] = map[string]string{"code": "RECIPIENT_NOT_REACHABLE", "description": "the recipient is away"}
		}
		return encode(map[string]any{"event_time": at, "message_delivery_report": report}), s.signSinch
	case "bird":
		var sent map[string]json.RawMessage
		_ = json.Unmarshal(rec.Content, &sent) // it was accepted
		payload := map[string]any{"id": rec.ProviderID, "direction": "outgoing", "status": "delivered", "lastStatusAt": at}
		for _, key := range []string{"reference", "meta"} {
			if v, ok := sent[key]; ok {
				payload[key] = v
			}
		}
		if !arrived {
			payload["status"], payload["reason"] = "delivery_failed", "the recipient is away"
			payload["failure"] = map[string]any{"code": 15005, "description": "unknown subscriber"}
		}
		return encode(map[string]any{"service": "channels", "event": "sms.outbound", "payload": payload}), s.signBird
	case "webhook":
		state := map[bool]string{true: "delivered", false: "undelivered"}[arrived]
		data := map[string]any{"id": rec.ID, "state": state, "at": at, "providerId": rec.ProviderID}
		if !arrived {
			data["code"], data["detail"] = "away", "the recipient is away"
		}
		return encode(map[string]any{"type": "report", "data": data}), s.signWebhook
	}
	return nil, nil
}

func encode(v any) []byte {
	b, _ := json.Marshal(v) // maps and texts always encode
	return b
}

// sinchMetadata is the message_metadata that came with a message.
func sinchMetadata(content json.RawMessage) string {
	var f struct {
		Metadata string `json:"message_metadata"`
	}
	_ = json.Unmarshal(content, &f) // it was accepted
	return f.Metadata
}

func (s *Sandbox) signSinch(h http.Header, _ string, body []byte) {
	at, nonce := strconv.FormatInt(s.o.Now().Unix(), 10), newID()
	h.Set("x-sinch-webhook-signature-timestamp", at)
	h.Set("x-sinch-webhook-signature-nonce", nonce)
	h.Set("x-sinch-webhook-signature-algorithm", "HmacSHA256")
	h.Set("x-sinch-webhook-signature", s.mac([]byte(s.o.ReportSecret), body, []byte("."+nonce+"."+at)))
}

func (s *Sandbox) signBird(h http.Header, url string, body []byte) {
	at, sum := strconv.FormatInt(s.o.Now().Unix(), 10), sha256.Sum256(body)
	h.Set("messagebird-request-timestamp", at)
	h.Set("messagebird-request-id", newUUID())
	h.Set("messagebird-signature", s.mac([]byte(s.o.ReportSecret), []byte(at+"\n"+url+"\n"), sum[:]))
}

func (s *Sandbox) signWebhook(h http.Header, _ string, body []byte) {
	at, id := strconv.FormatInt(s.o.Now().Unix(), 10), newUUID()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.o.ReportSecret, "whsec_"))
	if err != nil {
		key = []byte(s.o.ReportSecret)
	}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", at)
	h.Set("webhook-signature", "v1,"+s.mac(key, []byte(id+"."+at+"."), body))
}

func (s *Sandbox) mac(key []byte, parts ...[]byte) string {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// post makes one callback and reports whether it was taken, or will never be.
func (s *Sandbox) post(url string, body []byte, sign signature) bool {
	ctx, cancel := context.WithTimeout(s.closing, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return true
	}
	req.Header.Set("Content-Type", "application/json")
	sign(req.Header, url, body)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close() // only the status counts
	return res.StatusCode/100 != 5
}
