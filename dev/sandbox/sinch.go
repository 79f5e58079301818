package sandbox

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"
)

func (s *Sandbox) sinchRoutes() {
	s.mux.HandleFunc("POST /sinch/oauth2/token", s.sinchToken)
	s.mux.HandleFunc("POST /sinch/v1/projects/{project}/{call}", s.sinchSend)
	s.mux.HandleFunc("GET /sinch/v1/projects/{project}/messages", s.sinchList)
	s.mux.HandleFunc("GET /sinch/v1/projects/{project}/messages/{id}", s.sinchOne)
	s.mux.HandleFunc("/sinch/", func(w http.ResponseWriter, _ *http.Request) {
		sinchError(http.StatusNotFound, "NOT_FOUND", "no such resource")(w)
	})
}

// sinchError is the flat error body. The wrapped form, which Sinch documents as
// well, comes with 503.
func sinchError(status int, name, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		body := map[string]any{"code": status, "message": text, "status": name, "details": []any{}}
		if status == http.StatusServiceUnavailable {
			reply(w, status, map[string]any{"error": body})
			return
		}
		reply(w, status, body)
	}
}

func (s *Sandbox) sinchToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	id, secret, _ := r.BasicAuth()
	if r.FormValue("grant_type") != "client_credentials" {
		reply(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
		return
	}
	if !allowed(id, s.o.KeyID) || !allowed(secret, s.o.KeySecret) {
		reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	s.logins.Add(1)
	ttl := orDefault(s.o.AccessTTL, time.Hour)
	reply(w, http.StatusOK, map[string]any{
		"access_token": token("sinch", id, s.o.Now().Add(ttl)), "token_type": "bearer",
		"expires_in": max(int(ttl.Seconds()), 1), "scope": "",
	})
}

func (s *Sandbox) sinchAuth(w http.ResponseWriter, r *http.Request) bool {
	scheme, tok, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	_, expires, ok := readToken(tok, "sinch")
	ok = ok && strings.EqualFold(scheme, "Bearer")
	if ok && s.o.Now().Before(expires) {
		return true
	}
	if ok {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="the token expired"`)
	}
	sinchError(http.StatusUnauthorized, "UNAUTHENTICATED", "the request has no valid credentials")(w)
	return false
}

func (s *Sandbox) sinchSend(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("call") != "messages:send" {
		sinchError(http.StatusNotFound, "NOT_FOUND", "no such resource")(w)
		return
	}
	if !s.sinchAuth(w, r) {
		s.refused.Add(1)
		return
	}
	body, f, err := object(w, r)
	to := ""
	if err == nil {
		to = sinchRecipient(f["recipient"])
	}
	if err != nil || to == "" || str(f["app_id"]) == "" || missing(f["message"]) {
		s.refused.Add(1)
		sinchInvalid(w)
		return
	}
	rec := &Record{
		Provider: "sinch", Account: r.PathValue("project"), To: to, ID: sinchID(f),
		ProviderID: newID(), Content: body, Scope: "sinch/" + r.PathValue("project"),
		Text: texts(f["message"], []string{"text_message", "text"}, []string{"choice_message", "text_message", "text"},
			[]string{"card_message", "title"}, []string{"list_message", "title"}),
	}
	no := refusals{
		reject: sinchInvalid,
		down:   sinchError(http.StatusServiceUnavailable, "UNAVAILABLE", "try again later"),
		limit:  sinchError(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", "too many requests"),
	}
	s.take(w, r, no, func() {
		reply(w, http.StatusOK, map[string]string{"message_id": rec.ProviderID, "accepted_time": millis(rec.At)})
	}, rec)
}

func sinchInvalid(w http.ResponseWriter) {
	reply(w, http.StatusBadRequest, map[string]any{
		"code": http.StatusBadRequest, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT",
		"details": []any{map[string]any{
			"@type":            "type.googleapis.com/google.rpc.BadRequest",
			"field_violations": []map[string]string{{"field": "recipient", "description": "app_id, message and a valid recipient are required"}},
		}},
	})
}

func sinchRecipient(recipient json.RawMessage) string {
	var v struct {
		ContactID    string `json:"contact_id"`
		IdentifiedBy struct {
			ChannelIdentities []struct {
				Identity string `json:"identity"`
			} `json:"channel_identities"`
		} `json:"identified_by"`
	}
	if json.Unmarshal(recipient, &v) != nil {
		return ""
	}
	var names []string
	for _, c := range v.IdentifiedBy.ChannelIdentities {
		if c.Identity != "" && (len(names) == 0 || names[len(names)-1] != c.Identity) {
			names = append(names, c.Identity)
		}
	}
	if len(names) == 0 {
		return v.ContactID
	}
	return strings.Join(names, ",")
}

var uuid8 = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// sinchID finds the sender's id, a version 8 UUID, in the metadata, which is a
// string of the caller's making, or in the correlation id.
func sinchID(f map[string]json.RawMessage) string {
	for _, k := range []string{"message_metadata", "correlation_id", "conversation_metadata"} {
		if id := uuid8.Find(f[k]); id != nil {
			return string(id)
		}
	}
	return ""
}

// sinchMessage is a message as the list and the single read show it.
func sinchMessage(rec Record) map[string]any {
	id := at(rec.Content, "recipient", "identified_by", "channel_identities")
	var identities []json.RawMessage
	out := map[string]any{
		"id": rec.ProviderID, "direction": "TO_CONTACT", "accept_time": millis(rec.At),
		"app_message": at(rec.Content, "message"), "metadata": str(at(rec.Content, "message_metadata")),
		"contact_id": str(at(rec.Content, "recipient", "contact_id")), "conversation_id": "", "injected": false,
		"processing_mode": "DISPATCH", "correlation_id": str(at(rec.Content, "correlation_id")),
	}
	if json.Unmarshal(id, &identities) == nil && len(identities) > 0 {
		out["channel_identity"] = identities[0]
	}
	return out
}

// sinchList lists a project's messages, newest first; start_time is inclusive,
// end_time exclusive, and a page holds 10 by default and 1,000 at most.
func (s *Sandbox) sinchList(w http.ResponseWriter, r *http.Request) {
	if !s.sinchAuth(w, r) {
		return
	}
	since, until, err := window(r, "start_time", "end_time")
	skip, ok := offset(r.URL.Query().Get("page_token"))
	if err != nil || !ok {
		sinchError(http.StatusBadRequest, "INVALID_ARGUMENT", "start_time, end_time or page_token is malformed")(w)
		return
	}
	page, count := s.log.newest("sinch/"+r.PathValue("project"), since, until, skip, number(r, "page_size", 10, 1000))
	out := []map[string]any{}
	for _, rec := range page {
		out = append(out, sinchMessage(rec))
	}
	reply(w, http.StatusOK, map[string]any{"messages": out, "next_page_token": offsetToken(skip+len(page), count)})
}

func (s *Sandbox) sinchOne(w http.ResponseWriter, r *http.Request) {
	if !s.sinchAuth(w, r) {
		return
	}
	rec, ok := s.log.find("sinch", r.PathValue("id"))
	if !ok || rec.ProviderID != r.PathValue("id") || rec.Account != r.PathValue("project") {
		sinchError(http.StatusNotFound, "NOT_FOUND", "message not found")(w)
		return
	}
	reply(w, http.StatusOK, sinchMessage(rec))
}
