package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// signatureAge is how far a webhook's timestamp may be from now.
const signatureAge = 5 * time.Minute

func (s *Sandbox) webhookRoutes() {
	s.mux.HandleFunc("POST /webhook", s.webhookSend)
	s.mux.HandleFunc("POST /webhook/{name...}", s.webhookSend)
	s.mux.HandleFunc("GET /webhook", s.webhookFind)
	s.mux.HandleFunc("GET /webhook/{name...}", s.webhookFind)
}

func webhookError(status int, code, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		reply(w, status, map[string]string{"code": code, "message": text})
	}
}

func (s *Sandbox) webhookSend(w http.ResponseWriter, r *http.Request) {
	body, f, err := object(w, r)
	if err != nil {
		s.refused.Add(1)
		webhookError(http.StatusBadRequest, "invalid", err.Error())(w)
		return
	}
	if !s.signed(r, body) {
		s.refused.Add(1)
		webhookError(http.StatusUnauthorized, "signature", "the signature is missing, wrong or old")(w)
		return
	}
	id := r.Header.Get("Webhook-Id")
	if id == "" {
		id = str(at(f["data"], "id"))
	}
	rec := &Record{
		Provider: "webhook", Account: webhookName(r), To: str(at(f["data"], "to")), ID: id, ProviderID: newUUID(),
		Text: str(at(f["data"], "text")), Content: body, Scope: "webhook/" + webhookName(r),
	}
	no := refusals{
		reject: webhookError(http.StatusUnprocessableEntity, "recipient", "the recipient is not valid"),
		down:   webhookError(http.StatusServiceUnavailable, "unavailable", "try again later"),
		limit:  webhookError(http.StatusTooManyRequests, "throttled", "too many requests"),
	}
	s.take(w, r, no, func() { reply(w, http.StatusAccepted, map[string]string{"id": rec.ProviderID}) }, rec)
}

func webhookName(r *http.Request) string {
	if name := r.PathValue("name"); name != "" {
		return name
	}
	return "webhook"
}

// signed checks a Standard Webhooks signature where a secret is configured.
func (s *Sandbox) signed(r *http.Request, body json.RawMessage) bool {
	if s.o.Secret == "" {
		return true
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.o.Secret, "whsec_"))
	id, stamp := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	unix, err2 := strconv.ParseInt(stamp, 10, 64)
	if err != nil || err2 != nil || s.o.Now().Sub(time.Unix(unix, 0)).Abs() > signatureAge {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, got := range strings.Fields(r.Header.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(got), want) {
			return true
		}
	}
	return false
}

// webhookFind answers whether a message id was accepted: 200 with its provider
// id, or 404.
func (s *Sandbox) webhookFind(w http.ResponseWriter, r *http.Request) {
	rec, ok := s.log.find("webhook", r.URL.Query().Get("id"))
	if !ok || rec.Account != webhookName(r) {
		webhookError(http.StatusNotFound, "absent", "no such message")(w)
		return
	}
	reply(w, http.StatusOK, map[string]string{"id": rec.ProviderID})
}
