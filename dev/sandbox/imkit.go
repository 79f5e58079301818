package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

func (s *Sandbox) imkitRoutes() {
	s.mux.HandleFunc("POST /imkit/messages/batch", s.imkitSend)
	s.mux.HandleFunc("GET /imkit/messages/batch", s.imkitBatch)
	s.mux.HandleFunc("GET /imkit/admin/messages", s.imkitList)
	s.mux.HandleFunc("/imkit/", func(w http.ResponseWriter, _ *http.Request) {
		imkitError(http.StatusNotFound, http.StatusNotFound, "NOT_FOUND", "no such resource")(w)
	})
}

// imkitError is the error body of the API. rc is the code inside it, which is not
// always the HTTP status.
func imkitError(status, rc int, code, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		reply(w, status, map[string]any{"RC": rc, "RM": text, "error": map[string]string{"code": code, "message": text}})
	}
}

func imkitOK(w http.ResponseWriter, result any) {
	reply(w, http.StatusOK, map[string]any{"RC": 0, "RM": "OK", "result": result})
}

// imkitAuth answers in the second error envelope, the one for keys.
func (s *Sandbox) imkitAuth(w http.ResponseWriter, r *http.Request) bool {
	key := r.Header.Get("IM-API-KEY")
	if allowed(key, s.o.APIKey) {
		return true
	}
	code := "INVALID_API_KEY"
	if key == "" {
		code = "MISSING_API_KEY"
	}
	reply(w, http.StatusUnauthorized, map[string]string{"error": code, "message": "the API key is missing or wrong"})
	return false
}

func (s *Sandbox) imkitSend(w http.ResponseWriter, r *http.Request) {
	if !s.imkitAuth(w, r) {
		s.refused.Add(1)
		return
	}
	_, f, err := object(w, r)
	var paras []map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(f["paras"], &paras)
	}
	if err != nil || len(paras) == 0 || str(f["messageType"]) == "" {
		s.refused.Add(1)
		imkitError(http.StatusBadRequest, http.StatusBadRequest, "MISSING_PARAMETER", "messageType and paras are required")(w)
		return
	}
	delete(f, "paras")
	batch := newID()
	var records []*Record
	for _, p := range paras {
		rec := imkitRecord(f, p, batch)
		if rec.To == "" {
			s.refused.Add(1)
			imkitError(http.StatusBadRequest, http.StatusBadRequest, "MISSING_PARAMETER", "a para needs a receiver or a room")(w)
			return
		}
		records = append(records, rec)
	}
	s.take(w, r, imkitRefusals(paras[0]), func() {
		imkitOK(w, map[string]any{"batchID": batch, "count": len(paras)})
	}, records...)
}

// imkitRefusals answers an unknown room with 404, and an unknown receiver with an
// error inside a 200, since the API promises no more than an RC other than 0.
func imkitRefusals(para map[string]json.RawMessage) refusals {
	status := http.StatusOK
	if str(para["room"]) != "" {
		status = http.StatusNotFound
	}
	return refusals{
		reject: imkitError(status, http.StatusNotFound, "ROOM_NOT_FOUND", "the room does not exist"),
		down:   imkitError(http.StatusServiceUnavailable, http.StatusServiceUnavailable, "UNAVAILABLE", "try again later"),
		limit: func(w http.ResponseWriter) {
			reply(w, http.StatusTooManyRequests, map[string]any{"error": "RATE_LIMIT_EXCEEDED", "message": "too many requests", "retryAfter": 1})
		},
	}
}

// imkitRecord is the message that one para makes of a batch's fields; a room
// beats a receiver.
func imkitRecord(fields, para map[string]json.RawMessage, batch string) *Record {
	msg := map[string]json.RawMessage{}
	for k, v := range fields {
		msg[k] = imkitFill(v, para)
	}
	to := str(para["room"])
	if to == "" {
		to = str(para["receiver"])
	}
	for _, k := range []string{"room", "receiver"} {
		if v, ok := para[k]; ok {
			msg[k] = v
		}
	}
	content, _ := json.Marshal(msg) // valid raw values always encode
	rec := &Record{
		Provider: "imkit", Account: "imkit", To: to, ProviderID: batch, Content: content,
		Text: str(msg["message"]), Scope: "imkit",
	}
	if id := uuid8.Find(msg["extra"]); id != nil {
		rec.ID = string(id)
	}
	return rec
}

// imkitFill replaces a para's $patterns$ in every string of a value.
func imkitFill(v json.RawMessage, para map[string]json.RawMessage) json.RawMessage {
	for k, raw := range para {
		if !strings.HasPrefix(k, "$") || len(raw) < 2 || raw[0] != '"' {
			continue
		}
		key, err := json.Marshal(k)
		if err == nil {
			v = bytes.ReplaceAll(v, key[1:len(key)-1], raw[1:len(raw)-1])
		}
	}
	return v
}

// imkitMessage is a message as the reads show it.
func imkitMessage(rec Record) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	_ = json.Unmarshal(rec.Content, &out) // it was encoded from such a map
	set := func(k string, v any) { out[k], _ = json.Marshal(v) }
	sender := str(out["sender"])
	if sender == "" {
		sender = "admin"
	}
	set("sender", map[string]string{"_id": sender})
	set("_id", fmt.Sprintf("%024x", rec.Seq))
	set("batchID", rec.ProviderID)
	if _, ok := out["room"]; !ok {
		set("room", "direct-"+rec.To)
	}
	delete(out, "receiver")
	for _, k := range []string{"messageTimeMS", "createdAtMS", "updatedAtMS"} {
		set(k, rec.At.UnixMilli())
	}
	return out
}

func (s *Sandbox) imkitBatch(w http.ResponseWriter, r *http.Request) {
	if !s.imkitAuth(w, r) {
		return
	}
	id := r.URL.Query().Get("batchID")
	data := []map[string]json.RawMessage{}
	for _, rec := range s.log.matching(func(rec *Record) bool {
		return rec.Provider == "imkit" && rec.ProviderID == id
	}, s.o.Keep) {
		data = append(data, imkitMessage(rec))
	}
	imkitOK(w, map[string]any{"count": len(data), "data": data})
}

// imkitList lists messages of all rooms, newest first; startDate is inclusive,
// endDate exclusive, both in ISO 8601 and compared in whole milliseconds.
func (s *Sandbox) imkitList(w http.ResponseWriter, r *http.Request) {
	if !s.imkitAuth(w, r) {
		return
	}
	since, until, err := window(r, "startDate", "endDate")
	if err != nil {
		imkitError(http.StatusBadRequest, http.StatusBadRequest, "INVALID_PARAMETER", "startDate or endDate is malformed")(w)
		return
	}
	page, count := s.log.newest("imkit", since.Truncate(time.Millisecond), until.Truncate(time.Millisecond), 0, number(r, "limit", 100, 100))
	data := []map[string]json.RawMessage{}
	for _, rec := range page {
		data = append(data, imkitMessage(rec))
	}
	imkitOK(w, map[string]any{"totalCount": count, "data": data})
}
