package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/internal/message"
)

func blueskyFields(a Account) []field {
	return []field{address("base_url", a.BaseURL), text("identifier", a.Identifier), secret("password", a.Password)}
}

// bluesky sends chat messages through the account's PDS, which passes them on to
// the chat service.
type bluesky struct {
	*client
	account  Account
	sessions *sessions
}

var _ interface {
	Sender
	Reconciler
} = (*bluesky)(nil)

func newBluesky(a Account, c *client) (Sender, error) {
	own := *c
	own.rules = Overrides{http.StatusTooEarly: {Kind: Unavailable, Source: "RFC 8470, 5.2: the request was not processed"}}
	return &bluesky{client: &own, account: a, sessions: newSessions(a, &own)}, nil
}

// blueskyChat is the service that the PDS passes chat calls on to; without it
// they go to the appview, which does not know them (AT Protocol, service
// proxying).
const blueskyChat = "did:web:api.bsky.chat#bsky_chat"

// blueskyAnswer is the most bytes of an answer: a page of 100 messages of 10,000
// bytes of text each, with room for what is around them.
const blueskyAnswer = 8 << 20

// Send sends one message with chat.bsky.convo.sendMessage.
func (b *bluesky) Send(ctx context.Context, m message.Outgoing) (message.Receipt, error) {
	body, err := b.body(ctx, m)
	if err != nil {
		return message.Receipt{}, err
	}
	reply, s, err := b.chat(ctx, http.MethodPost, "sendMessage", nil, body)
	if err != nil {
		return message.Receipt{}, err
	}
	var view struct {
		ID string `json:"id"`
	}
	fault := readXRPC(reply, b.now())
	if reply.Status/100 == 2 && (json.Unmarshal(reply.Body, &view) != nil || view.ID == "") {
		fault = Unreadable("the answer has no message id")
	}
	if err := b.classify(reply, fault, s.secrets()); err != nil {
		return message.Receipt{}, err
	}
	return message.Receipt{ProviderID: message.Clip(view.ID, maxProviderID)}, nil
}

// body is the input of sendMessage: a caller's own as it is, or the text of
// another dialect's message to the conversation with its recipient.
func (b *bluesky) body(ctx context.Context, m message.Outgoing) ([]byte, error) {
	if m.Dialect == "bluesky" {
		if _, err := contentOf(m); err != nil {
			return nil, b.clean(err, nil)
		}
		return m.Content, nil
	}
	if m.Text == "" {
		return nil, b.clean(unsupportedContent(m), nil)
	}
	a, refused := addressFor(m, hopChannel(m), "bluesky", "a DID, as did:plc:…")
	if refused != nil {
		return nil, b.clean(refused, nil)
	}
	convo := a.Value
	if a.Kind != message.KindConvo {
		var err error
		if convo, err = b.convo(ctx, a.Value); err != nil {
			return nil, err
		}
	}
	return encode(map[string]any{"convoId": convo, "message": map[string]string{"text": m.Text}}), nil
}

// convo is the conversation with a DID, made if there is none; asking again gives
// the same one. Handles are refused: one may change hands between two attempts.
func (b *bluesky) convo(ctx context.Context, to string) (string, error) {
	if !strings.HasPrefix(to, "did:") {
		return "", b.clean(unsupportedRecipient("bluesky", "a DID, as did:plc:…", nil), nil)
	}
	reply, s, err := b.chat(ctx, http.MethodGet, "getConvoForMembers", url.Values{"members": {to}}, nil)
	if err != nil {
		return "", certain(err)
	}
	var v struct {
		Convo struct {
			ID string `json:"id"`
		} `json:"convo"`
	}
	fault := readXRPC(reply, b.now())
	if reply.Status/100 == 2 && (json.Unmarshal(reply.Body, &v) != nil || v.Convo.ID == "") {
		fault = Unreadable("the answer has no conversation")
	}
	if err := b.classify(reply, fault, s.secrets()); err != nil {
		return "", certain(err)
	}
	return v.Convo.ID, nil
}

// certain turns a doubt about a call that carries no message into a failure.
func certain(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Ambiguous {
		return &Error{Kind: Unavailable, Code: e.Code, Detail: e.Detail}
	}
	return err
}

// chat makes a call to the chat service, and once more with a new session when
// the access token has expired: then the PDS refused the call before passing it
// on (400 ExpiredToken).
func (b *bluesky) chat(ctx context.Context, method, name string, query url.Values, body []byte) (Reply, session, error) {
	stale := ""
	for {
		s, err := b.sessions.get(ctx, stale)
		if err != nil {
			return Reply{}, session{}, err
		}
		at := join(b.account.BaseURL, "xrpc", "chat.bsky.convo."+name)
		if len(query) > 0 {
			at += "?" + query.Encode()
		}
		reply, err := b.roundTrip(ctx, call{
			method: method, url: at, body: body, secrets: s.secrets(), limit: blueskyAnswer,
			header: http.Header{"Authorization": {"Bearer " + s.Access}, "Atproto-Proxy": {blueskyChat}},
		})
		expired := err == nil && reply.Status == http.StatusBadRequest && readXRPC(reply, b.now()).Code == "ExpiredToken"
		if !expired || stale != "" {
			return reply, s, err
		}
		stale = s.Access
	}
}

// readXRPC reads an error's name and message. What it means is in either: the
// chat service has declared names, and before that it put the reason into the
// message of an InvalidRequest.
func readXRPC(r Reply, now time.Time) Fault {
	if r.Status/100 == 2 {
		return Fault{}
	}
	var v struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(r.Body, &v) // anything else explains nothing
	f := Fault{Code: v.Error, Detail: v.Message}
	if name, _, ok := strings.Cut(v.Message, ":"); ok && v.Error == "InvalidRequest" && slices.Contains(blueskyRefusals(), name) {
		f.Code = name
	}
	switch r.Status {
	case http.StatusBadRequest:
		f.Kind = blueskyKind(f.Code, v.Message)
	case http.StatusTooManyRequests:
		f.RetryAfter = rateReset(r.Header, now)
	}
	return f
}

// blueskyRefusals are the declared errors that concern the conversation or its
// recipient (chat.bsky.convo lexicons).
func blueskyRefusals() []string {
	return []string{
		"ConvoLocked", "InvalidConvo", "ReplyTargetNotFound", "AccountSuspended", "BlockedActor", "BlockedSubject",
		"MessagesDisabled", "NotFollowedBySender", "RecipientNotFound",
	}
}

// blueskyTexts are the same in the words that the chat service used before it
// had names, as the official client knows them.
func blueskyTexts() []string {
	return []string{
		"block between recipient and sender", "account is disabled", "convo not found", "account does not exist",
		"recipient does not exist", "recipient requires incoming messages", "recipient has disabled incoming messages",
	}
}

// blueskyKind tells apart the many meanings of a 400.
func blueskyKind(name, text string) Kind {
	switch name {
	case "ExpiredToken", "InvalidToken", "AccountTakedown", "AccountDeactivated":
		return Unauthorized
	}
	text = strings.ToLower(text)
	if slices.Contains(blueskyRefusals(), name) || slices.ContainsFunc(blueskyTexts(), func(s string) bool { return strings.Contains(text, s) }) {
		return Rejected
	}
	return ""
}

// rateReset is the wait until the PDS's own limit resets. It says nothing while
// something remains of that limit: then it was the chat service that refused.
func rateReset(h http.Header, now time.Time) time.Duration {
	if left := h.Get("RateLimit-Remaining"); left != "" && left != "0" {
		return 0
	}
	at, err := strconv.ParseInt(h.Get("RateLimit-Reset"), 10, 64)
	if err != nil {
		return 0
	}
	return bounded(time.Unix(at, 0).Sub(now))
}
