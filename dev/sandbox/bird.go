package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
)

func (s *Sandbox) birdRoutes() {
	s.mux.HandleFunc("POST /bird/workspaces/{ws}/channels/{ch}/messages", s.birdSend)
	s.mux.HandleFunc("GET /bird/workspaces/{ws}/channels/{ch}/messages", s.birdList)
	s.mux.HandleFunc("GET /bird/workspaces/{ws}/channels/{ch}/messages/{id}", s.birdOne)
	s.mux.HandleFunc("GET /bird/workspaces/{ws}/messages/{id}", s.birdOne)
	s.mux.HandleFunc("/bird/", func(w http.ResponseWriter, _ *http.Request) {
		birdError(http.StatusNotFound, "NotFound", "no such resource")(w)
	})
}

func birdError(status int, code, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		reply(w, status, map[string]string{"code": code, "message": text})
	}
}

func birdInvalid(field, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		reply(w, http.StatusUnprocessableEntity, map[string]any{
			"code": "InvalidPayload", "message": "the request is invalid",
			"details": map[string][]string{field: {text}},
		})
	}
}

func (s *Sandbox) birdAuth(w http.ResponseWriter, r *http.Request) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "AccessKey") && allowed(strings.TrimSpace(key), s.o.AccessKey) {
		return true
	}
	birdError(http.StatusUnauthorized, "Unauthorized", "the access key is missing or wrong")(w)
	return false
}

func (s *Sandbox) birdSend(w http.ResponseWriter, r *http.Request) {
	if !s.birdAuth(w, r) {
		s.refused.Add(1)
		return
	}
	body, f, err := object(w, r)
	if err != nil {
		s.refused.Add(1)
		birdError(http.StatusBadRequest, "InvalidPayload", err.Error())(w)
		return
	}
	to := birdRecipient(f["receiver"])
	if bad := birdCheck(f, to); bad != nil {
		s.refused.Add(1)
		bad(w)
		return
	}
	rec := &Record{
		Provider: "bird", Account: r.PathValue("ws"), To: to,
		ID: birdID(f), ProviderID: newUUID(), Content: body,
		Text:  texts(f["body"], []string{"text", "text"}, []string{"html", "text"}, []string{"image", "text"}, []string{"list", "text"}),
		Scope: birdScope(r),
	}
	no := refusals{
		reject: birdInvalid("receiver.contacts[0].identifierValue", "is not a valid identifier"),
		down:   birdError(http.StatusServiceUnavailable, "ServiceUnavailable", "try again later"),
		limit:  birdError(http.StatusTooManyRequests, "TooManyRequests", "the rate limit was reached; the request was not processed"),
	}
	s.take(w, r, no, func() { reply(w, http.StatusAccepted, birdMessage(*rec)) }, rec)
}

func birdCheck(f map[string]json.RawMessage, to string) func(http.ResponseWriter) {
	switch {
	case missing(f["receiver"]) || to == "":
		return birdInvalid("receiver", "is required")
	case missing(f["body"]) && missing(f["template"]):
		return birdInvalid("body", "either body or template is required")
	}
	return nil
}

// birdRecipient names every contact by its identifier, address or id.
func birdRecipient(receiver json.RawMessage) string {
	var v struct {
		Contacts []struct {
			ID              string          `json:"id"`
			IdentifierValue string          `json:"identifierValue"`
			PlatformAddress json.RawMessage `json:"platformAddress"`
			Identifiers     []struct {
				IdentifierValue string `json:"identifierValue"`
			} `json:"identifiers"`
		} `json:"contacts"`
	}
	if json.Unmarshal(receiver, &v) != nil {
		return ""
	}
	var names []string
	for _, c := range v.Contacts {
		name := c.IdentifierValue
		for _, id := range c.Identifiers {
			if name == "" {
				name = id.IdentifierValue
			}
		}
		if name == "" {
			name = c.ID
		}
		if name == "" && !missing(c.PlatformAddress) {
			name = strings.Trim(string(c.PlatformAddress), `"`)
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// birdID finds the sender's id: in meta, where it stands beside a caller's own
// reference, or else in the reference.
func birdID(f map[string]json.RawMessage) string {
	if id := str(at(f["meta"], "extraInformation", "volleyMessageId")); id != "" {
		return id
	}
	return str(f["reference"])
}

func birdScope(r *http.Request) string {
	return "bird/" + r.PathValue("ws") + "/" + r.PathValue("ch")
}

// birdMessage is the message object of the Channels API.
func birdMessage(rec Record) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	var f map[string]json.RawMessage
	_ = json.Unmarshal(rec.Content, &f) // it was read as an object before
	for _, k := range []string{"receiver", "body", "template", "reference", "tags", "meta", "scheduledFor"} {
		if v, ok := f[k]; ok {
			out[k] = v
		}
	}
	set := func(k string, v string) { out[k], _ = json.Marshal(v) } // a string always encodes
	set("id", rec.ProviderID)
	set("channelId", rec.Scope[strings.LastIndexByte(rec.Scope, '/')+1:])
	set("status", "accepted")
	set("direction", "outgoing")
	set("createdAt", millis(rec.At))
	set("updatedAt", millis(rec.At))
	set("lastStatusAt", millis(rec.At))
	return out
}

// birdList lists a channel's messages, newest first; startAt is inclusive, endAt
// exclusive, and a page holds 10 by default and 100 at most.
func (s *Sandbox) birdList(w http.ResponseWriter, r *http.Request) {
	if !s.birdAuth(w, r) {
		return
	}
	since, until, err := window(r, "startAt", "endAt")
	skip, ok := offset(r.URL.Query().Get("pageToken"))
	if err != nil || !ok {
		birdInvalid("query", "startAt, endAt or pageToken is malformed")(w)
		return
	}
	results := []map[string]json.RawMessage{}
	if d := r.URL.Query().Get("direction"); d == "incoming" {
		reply(w, http.StatusOK, map[string]any{"results": results, "total": 0})
		return
	}
	page, count := s.log.newest(birdScope(r), since, until, skip, number(r, "limit", 10, 100))
	for _, rec := range page {
		results = append(results, birdMessage(rec))
	}
	out := map[string]any{"results": results, "total": count}
	if next := offsetToken(skip+len(page), count); next != "" {
		out["nextPageToken"] = next
	}
	reply(w, http.StatusOK, out)
}

func (s *Sandbox) birdOne(w http.ResponseWriter, r *http.Request) {
	if !s.birdAuth(w, r) {
		return
	}
	rec, ok := s.log.find("bird", r.PathValue("id"))
	if !ok || rec.ProviderID != r.PathValue("id") || rec.Account != r.PathValue("ws") {
		birdError(http.StatusNotFound, "NotFound", "message not found")(w)
		return
	}
	reply(w, http.StatusOK, birdMessage(rec))
}
