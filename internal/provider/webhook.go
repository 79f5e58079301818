package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"volley/internal/message"
)

func webhookFields(a Account) []field {
	return []field{address("url", a.URL), secret("secret", a.Secret)}
}

// webhook sends to any HTTP endpoint, signed after the Standard Webhooks
// specification. The id in the signature is the message's, the same in every
// attempt.
type webhook struct {
	*client
	url    string
	signer *WebhookSigner
}

// askingWebhook is a webhook whose endpoint also answers what it has.
type askingWebhook struct{ *webhook }

var (
	_ Sender     = (*webhook)(nil)
	_ Reconciler = askingWebhook{}
)

func newWebhook(a Account, c *client) (Sender, error) {
	signer, err := NewWebhookSigner(a.Secret, a.PreviousSecret)
	if err != nil {
		return nil, err
	}
	for _, secret := range []string{a.Secret, a.PreviousSecret} {
		c.secrets = append(c.secrets, secret, strings.TrimPrefix(secret, secretPrefix))
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		return nil, errors.New("url is not an http or https URL")
	}
	c.secrets = append(c.secrets, urlSecrets(u)...)
	w := &webhook{client: c, url: a.URL, signer: signer}
	if a.Reconcile {
		return askingWebhook{w}, nil
	}
	return w, nil
}

// urlSecrets are the parts of a URL that give access where the URL itself is the
// credential: its password, the values of its query, long segments of its path.
func urlSecrets(u *url.URL) []string {
	out := loginSecrets(u)
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) >= shortSecret {
				out = append(out, v)
			}
		}
	}
	for _, segment := range strings.Split(u.Path, "/") {
		if len(segment) >= longSegment {
			out = append(out, segment)
		}
	}
	return out
}

// loginSecrets are the password of a URL and the header that carries it.
func loginSecrets(u *url.URL) []string {
	password, ok := u.User.Password()
	if !ok || password == "" {
		return nil
	}
	login := u.User.Username() + ":" + password
	return []string{password, base64.StdEncoding.EncodeToString([]byte(login))}
}

// From these lengths on, in bytes, a secret is taken out of texts, and a part of a URL
// counts as one: shorter ones are words, which an error may use.
const (
	shortSecret = 6
	longSegment = 16
)

// webhookEvent is the document that a webhook gets. It is written field by field, since
// encoding by reflection was one of the costliest steps of a message in a group.
func webhookEvent(m message.Outgoing, now time.Time) ([]byte, error) {
	metadata, content := orEmpty(m.Metadata), orEmpty(m.Content)
	if !json.Valid(metadata) || !json.Valid(content) {
		return nil, errors.New("the content is not JSON")
	}
	channel := ""
	if len(m.Channels) > 0 {
		channel = m.Channels[0]
	}
	b := make([]byte, 0, 400+len(m.Text)+len(metadata)+len(content)+len(m.To)+len(m.Reference))
	b = append(b, `{"type":"message","timestamp":"`...)
	b = now.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","data":{"batch":`...)
	b = message.AppendJSON(b, m.Batch)
	b = message.AppendJSON(append(b, `,"id":`...), m.ID)
	b = strconv.AppendInt(append(b, `,"index":`...), int64(m.Index), 10)
	b = message.AppendJSON(append(b, `,"to":`...), webhookTo(m))
	b = message.AppendJSON(append(b, `,"channel":`...), channel)
	b = message.AppendJSON(append(b, `,"text":`...), m.Text)
	b = message.AppendJSON(append(b, `,"reference":`...), m.Reference)
	b = append(append(b, `,"metadata":`...), message.PlainJSON(metadata)...)
	b = append(append(b, `,"content":`...), message.PlainJSON(content)...)
	return append(b, "}}"...), nil
}

// webhookTo is the recipient's address on the hop's channel, or else the preferred one.
func webhookTo(m message.Outgoing) string {
	if channel := hopChannel(m); len(m.Addresses) > 1 && channel != "" {
		if a, ok := message.AddressOn(m.Addresses, channel, message.KindsOf("webhook", channel)...); ok {
			return a.Value
		}
	}
	return m.To
}

// Send posts the message. Any 2xx accepts it, whatever its body and even when
// the body breaks off.
func (w *webhook) Send(ctx context.Context, m message.Outgoing) (message.Receipt, error) {
	now := w.now()
	body, err := webhookEvent(m, now)
	if err != nil {
		return message.Receipt{}, &Error{Kind: Invalid, Code: CodeContent, Detail: err.Error()}
	}
	q, err := w.signed(http.MethodPost, w.url, m.ID, now, body)
	if err != nil {
		return message.Receipt{}, err
	}
	reply, err := w.roundTrip(ctx, q)
	if err != nil {
		return message.Receipt{}, err
	}
	if reply.Status/100 == 2 {
		return webhookReceipt(reply), nil
	}
	return message.Receipt{}, w.classify(reply, webhookFault(reply), nil)
}

// Reconcile asks the endpoint for the message: 200 is found, 404 absent, and
// anything else no answer.
func (w askingWebhook) Reconcile(ctx context.Context, q Query) (Answer, error) {
	u, err := url.Parse(w.url)
	if err != nil {
		return Answer{}, w.clean(&Error{Kind: Invalid, Code: "request", Detail: unwrapURL(err).Error()}, nil)
	}
	query := u.Query()
	query.Set("id", q.Message.ID)
	u.RawQuery = query.Encode()
	req, err := w.signed(http.MethodGet, u.String(), q.Message.ID, w.now(), nil)
	if err != nil {
		return Answer{}, err
	}
	reply, err := w.roundTrip(ctx, req)
	if err != nil {
		return Answer{}, err
	}
	switch reply.Status {
	case http.StatusOK:
		return Answer{Verdict: Found, Receipt: webhookReceipt(reply)}, nil
	case http.StatusNotFound:
		return Answer{Verdict: Absent}, nil
	}
	fault := webhookFault(reply)
	if reply.Status/100 == 2 {
		fault = Fault{Kind: Unavailable, Code: "http_" + strconv.Itoa(reply.Status), Detail: "the answer is neither 200 nor 404"}
	}
	return Answer{}, w.classify(reply, fault, nil)
}

func (w *webhook) signed(method, url, id string, at time.Time, body []byte) (call, error) {
	h, err := w.signer.Header(id, at, body)
	if err != nil {
		return call{}, w.clean(&Error{Kind: Invalid, Code: "request", Detail: "sign: " + err.Error()}, nil)
	}
	return call{method: method, url: url, header: h, body: body, traced: true}, nil
}

// webhookReceipt reads the id of an answer, a string or a number.
func webhookReceipt(r Reply) message.Receipt {
	var v struct {
		ID json.RawMessage `json:"id"`
	}
	if len(r.Body) == 0 || json.Unmarshal(r.Body, &v) != nil {
		return message.Receipt{}
	}
	return message.Receipt{ProviderID: message.Clip(scalar(v.ID), maxProviderID)}
}

// webhookFault reads {"code","message"} of an error, where the endpoint says so
// much; "error" and "detail" stand for message.
func webhookFault(r Reply) Fault {
	var v struct {
		Code                   json.RawMessage
		Message, Error, Detail json.RawMessage
	}
	if json.Unmarshal(r.Body, &v) != nil {
		return Fault{}
	}
	return Fault{Code: scalar(v.Code), Detail: first(scalar(v.Message), scalar(v.Detail), scalar(v.Error))}
}

func orEmpty(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}
