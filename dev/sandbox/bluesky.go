package sandbox

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const chatService = "did:web:api.bsky.chat#bsky_chat"

func (s *Sandbox) blueskyRoutes() {
	const chat = "/bluesky/xrpc/chat.bsky.convo."
	s.mux.HandleFunc("POST /bluesky/xrpc/com.atproto.server.createSession", s.blueskyLogin)
	s.mux.HandleFunc("POST /bluesky/xrpc/com.atproto.server.refreshSession", s.blueskyRefresh)
	s.mux.HandleFunc("POST "+chat+"sendMessage", s.chat(s.blueskySend))
	s.mux.HandleFunc("GET "+chat+"getMessages", s.chat(s.blueskyMessages))
	s.mux.HandleFunc("GET "+chat+"getConvoForMembers", s.chat(s.blueskyConvo))
	s.mux.HandleFunc("/bluesky/", func(w http.ResponseWriter, _ *http.Request) {
		xrpcError(http.StatusNotImplemented, "MethodNotImplemented", "Method Not Implemented")(w)
	})
}

func xrpcError(status int, name, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		reply(w, status, map[string]string{"error": name, "message": text})
	}
}

// didOf is the account's DID: the identifier itself if it is one, else made of it.
func didOf(identifier string) string {
	if strings.HasPrefix(identifier, "did:") {
		return identifier
	}
	sum := sha256.Sum256([]byte(identifier))
	return "did:plc:" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:15]))
}

func (s *Sandbox) blueskyLogin(w http.ResponseWriter, r *http.Request) {
	_, f, err := object(w, r)
	if err != nil {
		xrpcError(http.StatusBadRequest, "InvalidRequest", "A request body is expected but none was provided")(w)
		return
	}
	id, pass := str(f["identifier"]), str(f["password"])
	if !allowed(id, s.o.Identifier) || !allowed(pass, s.o.Password) {
		xrpcError(http.StatusUnauthorized, "AuthenticationRequired", "Invalid identifier or password")(w)
		return
	}
	s.logins.Add(1)
	s.blueskySession(w, id)
}

func (s *Sandbox) blueskyRefresh(w http.ResponseWriter, r *http.Request) {
	id, ok := s.bearer(w, r, "refresh")
	if ok {
		s.blueskySession(w, id)
	}
}

func (s *Sandbox) blueskySession(w http.ResponseWriter, id string) {
	now := s.o.Now()
	reply(w, http.StatusOK, map[string]any{
		"accessJwt":  token("access", id, now.Add(orDefault(s.o.AccessTTL, 2*time.Hour))),
		"refreshJwt": token("refresh", id, now.Add(s.o.RefreshTTL)),
		"did":        didOf(id), "handle": id, "active": true,
	})
}

// bearer checks a token as a PDS does: expired is a 400, not a 401.
func (s *Sandbox) bearer(w http.ResponseWriter, r *http.Request, kind string) (identifier string, ok bool) {
	scheme, tok, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || tok == "" {
		xrpcError(http.StatusUnauthorized, "AuthMissing", "Authentication Required")(w)
		return "", false
	}
	id, expires, ok := readToken(tok, kind)
	switch {
	case !ok:
		xrpcError(http.StatusBadRequest, "InvalidToken", "Token could not be verified")(w)
	case !s.o.Now().Before(expires):
		xrpcError(http.StatusBadRequest, "ExpiredToken", "Token has expired")(w)
	default:
		return id, true
	}
	return "", false
}

// chat lets a call through that is meant for the chat service and authenticated.
func (s *Sandbox) chat(next func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch proxy := r.Header.Get("Atproto-Proxy"); proxy {
		case chatService:
		case "":
			xrpcError(http.StatusNotFound, "XRPCNotSupported", "XRPCNotSupported")(w)
			return
		default:
			xrpcError(http.StatusBadRequest, "InvalidRequest", "could not resolve proxy did service url")(w)
			return
		}
		if id, ok := s.bearer(w, r, "access"); ok {
			next(w, r, id)
		}
	}
}

func (s *Sandbox) blueskySend(w http.ResponseWriter, r *http.Request, identifier string) {
	body, f, err := object(w, r)
	convo, bad := str(f["convoId"]), ""
	var text *string
	switch {
	case err != nil:
		bad = "A request body is expected but none was provided"
	case convo == "":
		bad = `Input must have the property "convoId"`
	case json.Unmarshal(at(f["message"], "text"), &text) != nil || text == nil:
		bad = `Input/message must have the property "text"`
	case len(*text) > 10000:
		bad = "Input/message/text must not be longer than 10000 characters"
	}
	if bad != "" {
		s.refused.Add(1)
		xrpcError(http.StatusBadRequest, "InvalidRequest", bad)(w)
		return
	}
	rec := &Record{
		Provider: "bluesky", Account: identifier, To: convo, ProviderID: "3" + strings.ToLower(newID())[14:],
		Text: *text, Content: body, Scope: "bluesky/" + convo, Sender: didOf(identifier),
	}
	no := refusals{
		reject: xrpcError(http.StatusBadRequest, "InvalidRequest", "recipient has disabled incoming messages"),
		down:   xrpcError(http.StatusServiceUnavailable, "NotEnoughResources", "try again later"),
		limit:  xrpcError(http.StatusTooManyRequests, "RateLimitExceeded", "Rate Limit Exceeded"),
	}
	s.take(w, r, no, func() { reply(w, http.StatusOK, blueskyView(*rec, false)) }, rec)
}

// blueskyView is a messageView; typed adds the $type that it has inside a union.
func blueskyView(rec Record, typed bool) map[string]any {
	out := map[string]any{
		"id": rec.ProviderID, "rev": fmt.Sprintf("%013d", rec.Seq), "text": rec.Text,
		"sender": map[string]string{"did": rec.Sender}, "sentAt": millis(rec.At),
	}
	if typed {
		out["$type"] = "chat.bsky.convo.defs#messageView"
	}
	if v := at(rec.Content, "message", "facets"); !missing(v) {
		out["facets"] = v
	}
	if v := at(rec.Content, "message", "embed", "record"); !missing(v) {
		out["embed"] = map[string]any{"$type": "app.bsky.embed.record#view", "record": v}
	}
	if v := str(at(rec.Content, "message", "replyTo", "messageId")); v != "" {
		out["replyTo"] = map[string]any{"$type": "chat.bsky.convo.defs#messageView", "id": v}
	}
	return out
}

// blueskyMessages lists a conversation, newest first, 50 a page by default and
// 100 at most.
func (s *Sandbox) blueskyMessages(w http.ResponseWriter, r *http.Request, _ string) {
	convo := r.URL.Query().Get("convoId")
	skip, ok := offset(r.URL.Query().Get("cursor"))
	if convo == "" || !ok {
		xrpcError(http.StatusBadRequest, "InvalidRequest", `Params must have the property "convoId"`)(w)
		return
	}
	page, count := s.log.newest("bluesky/"+convo, time.Time{}, time.Time{}, skip, number(r, "limit", 50, 100))
	messages := []map[string]any{}
	for _, rec := range page {
		messages = append(messages, blueskyView(rec, true))
	}
	out := map[string]any{"messages": messages}
	if next := offsetToken(skip+len(page), count); next != "" {
		out["cursor"] = next
	}
	reply(w, http.StatusOK, out)
}

// blueskyConvo gets or creates the conversation with some members: always the
// same one, and its id holds their DIDs, so that a steer in a DID works.
func (s *Sandbox) blueskyConvo(w http.ResponseWriter, r *http.Request, identifier string) {
	own := didOf(identifier)
	members := []string{}
	for _, m := range r.URL.Query()["members"] {
		if m != own && !slices.Contains(members, m) {
			members = append(members, m)
		}
	}
	slices.Sort(members)
	if len(members) == 0 || len(members) > 10 || slices.ContainsFunc(members, func(m string) bool { return !strings.HasPrefix(m, "did:") }) {
		xrpcError(http.StatusBadRequest, "InvalidRequest", "Params/members must be 1 to 10 valid dids")(w)
		return
	}
	views := []map[string]string{{"did": own}}
	for _, m := range members {
		if strings.Contains(m, "+nobody") {
			xrpcError(http.StatusBadRequest, "RecipientNotFound", "recipient does not exist")(w)
			return
		}
		views = append(views, map[string]string{"did": m})
	}
	reply(w, http.StatusOK, map[string]any{"convo": map[string]any{
		"id": "convo-" + strings.Join(members, "-"), "rev": "0000000000000", "members": views, "muted": false, "unreadCount": 0,
	}})
}
