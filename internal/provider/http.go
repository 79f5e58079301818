package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"volley/internal/message"
	"volley/internal/tracing"
)

// RequestTimeout bounds one request whose context has no earlier deadline.
const RequestTimeout = 10 * time.Second

// Bounds of what is read of an answer, in bytes.
const (
	maxBody      = 1 << 20
	maxFaultBody = 64 << 10
	maxHeader    = 64 << 10
	// maxBuffered is how long a URL may be so that no byte of the request leaves
	// before its first header field is written; net/http buffers 4 KiB.
	maxBuffered = 2 << 10
)

var errTooLarge = errors.New("it is larger than allowed")

// client makes the requests of one account. It never repeats one and follows no
// redirect: it talks to the Transport itself, and a body that cannot be rewound
// keeps the Transport from sending a request again on another connection.
type client struct {
	transport http.RoundTripper
	now       func() time.Time
	log       *zap.Logger
	// secrets are the account's; they never stand in an error.
	secrets []string
	// rules are the provider's exceptions from the table.
	rules Overrides
	// provider is its name, for what answers say of the account.
	provider string
}

// call is one request.
type call struct {
	method, url string
	header      http.Header
	// body is nil for none.
	body []byte
	// secrets are those of this request beyond the account's, such as a token.
	secrets []string
	// limit is the most bytes of a 2xx body; 0 is 1 MiB.
	limit int64
	// traced tells whoever gets the request which span it is a part of. Providers' APIs
	// are told nothing that they have not asked for.
	traced bool
}

// reader takes an answer apart: the receipt of a 2xx, or the fault of any
// answer. For a 2xx that it does not understand it returns Unreadable.
type reader func(Reply) (message.Receipt, Fault)

// send makes the request of one message and says what its answer means.
func (c *client) send(ctx context.Context, q call, read reader) (message.Receipt, error) {
	reply, err := c.roundTrip(ctx, q)
	if err != nil {
		return message.Receipt{}, err
	}
	receipt, fault := read(reply)
	if err := c.classify(reply, fault, q.secrets); err != nil {
		return message.Receipt{}, err
	}
	receipt.ProviderID = message.Clip(receipt.ProviderID, maxProviderID)
	return receipt, nil
}

// maxProviderID bounds what is kept of a provider's id, in bytes; no provider's
// is near it.
const maxProviderID = 256

// classify is Classify with the client's own exceptions, without secrets. Its
// result is nil or an *Error.
func (c *client) classify(r Reply, f Fault, secrets []string) error {
	if e := Classify(r, f, c.rules, c.now()); e != nil {
		e.Account = accountFault(c.provider, r.Status, e.Code)
		return c.clean(e, secrets)
	}
	return nil
}

// roundTrip makes one request, exactly once, and reads its answer, whatever the
// status. Its error is an *Error: Unavailable when no byte of the request can
// have left, Ambiguous otherwise.
func (c *client) roundTrip(ctx context.Context, q call) (Reply, error) {
	ctx, span := tracing.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindClient))
	defer tracing.End(span)
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	var left atomic.Bool
	until, _ := ctx.Deadline()
	req, err := newRequest(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			leaveBy(i.Conn, until)
			left.Store(left.Load() || len(q.url) > maxBuffered)
		},
		WroteHeaderField: func(string, []string) { left.Store(true) },
		WroteHeaders:     func() { left.Store(true) },
	}), q)
	if err != nil {
		return Reply{}, c.clean(&Error{Kind: Invalid, Code: "request", Detail: unwrapURL(err).Error()}, q.secrets)
	}
	started := c.now()
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		tracing.Fail(span)
		e := c.clean(lost(ctx, err, left.Load()), q.secrets)
		c.log.Debug("no answer", zap.String("kind", string(e.Kind)), zap.String("code", e.Code), zap.Duration("after", c.now().Sub(started)))
		if span.IsRecording() {
			span.SetAttributes(tracing.Method.String(q.method), tracing.Failure.String(e.Code))
		}
		return Reply{}, e
	}
	defer resp.Body.Close()
	if span.IsRecording() {
		span.SetAttributes(tracing.Method.String(q.method), tracing.Status.Int(resp.StatusCode))
	}
	c.log.Debug("answer", zap.Int("status", resp.StatusCode), zap.Duration("after", c.now().Sub(started)))
	return read(resp, q.limit), nil
}

// withDeadline is ctx with a deadline of RequestTimeout, unless it ends earlier.
func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= RequestTimeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, RequestTimeout)
}

// newRequest builds the request. GetBody stays nil and no Idempotency-Key is
// set: with both, net/http's Transport repeats a POST on a new connection when a
// kept-alive one breaks (Request.isReplayable). The body's type is one of those that
// net/http writes together with the header, in one packet (isKnownInMemoryReader), and none
// of those for which it sets GetBody.
func newRequest(ctx context.Context, q call) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		body = io.NopCloser(bytes.NewReader(q.body))
	}
	req, err := http.NewRequestWithContext(ctx, q.method, q.url, body)
	if err != nil {
		return nil, err
	}
	for k, v := range q.header {
		req.Header[k] = v
	}
	if u := req.URL.User; u != nil && req.Header.Get("Authorization") == "" {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	if q.body != nil {
		req.ContentLength = int64(len(q.body))
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "volley")
	if q.traced {
		tracing.ToHeader(ctx, req.Header)
	}
	return req, nil
}

// read reads a bounded part of an answer. What breaks while an error's body is
// read changes nothing: its status has come.
func read(resp *http.Response, limit int64) Reply {
	r := Reply{Status: resp.StatusCode, Header: resp.Header}
	switch {
	case resp.StatusCode < 200:
		// 101: the connection is no longer HTTP, and no deadline ends a read of it.
	case resp.StatusCode < 300:
		if limit == 0 {
			limit = maxBody
		}
		r.Body, r.Broken = io.ReadAll(io.LimitReader(resp.Body, limit+1))
		if int64(len(r.Body)) > limit {
			r.Body, r.Broken = r.Body[:limit], errTooLarge
		}
	default:
		r.Body, _ = io.ReadAll(io.LimitReader(resp.Body, maxFaultBody))
	}
	return r
}

// lost is the error of a request without an answer.
func lost(ctx context.Context, err error, left bool) *Error {
	err = unwrapURL(err)
	if errors.Is(err, ErrPrivate) {
		return &Error{Kind: Rejected, Code: CodePrivate, Detail: "the host is on a private network, which is not allowed"}
	}
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	e := &Error{Kind: Unavailable, Code: codeOf(err, CodeConnection), Detail: "not sent: " + err.Error()}
	if left && !errors.Is(err, errLate) {
		e.Kind, e.Detail = Ambiguous, "sent, but no answer: "+err.Error()
	}
	return e
}

func codeOf(err error, otherwise string) string {
	var n net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return CodeCanceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &n) && n.Timeout():
		return CodeTimeout
	}
	return otherwise
}

// unwrapURL takes off what net/http and net/url put around an error, because it
// holds the URL and a URL may hold a secret.
func unwrapURL(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}

// clean takes every secret out of an error and cuts its texts to their bounds.
func (c *client) clean(e *Error, more []string) *Error {
	e.Code = message.Clip(printable(redact(e.Code, c.secrets, more)), message.MaxCode)
	e.Detail = message.Clip(printable(redact(e.Detail, c.secrets, more)), message.MaxDetail)
	return e
}

// redact takes secrets out of a text. One below shortSecret is left: it would be taken
// out of words.
func redact(s string, lists ...[]string) string {
	for _, secrets := range lists {
		for _, secret := range secrets {
			if len(secret) >= shortSecret {
				s = strings.ReplaceAll(s, secret, "***")
				s = strings.ReplaceAll(s, url.QueryEscape(secret), "***")
				s = strings.ReplaceAll(s, url.PathEscape(secret), "***")
				s = strings.ReplaceAll(s, inJSON(secret), "***")
			}
		}
	}
	return s
}

// inJSON is a secret as it stands inside a JSON string that echoes it.
func inJSON(secret string) string {
	return strings.Trim(string(encode(secret)), `"`)
}

// printable makes one line of valid UTF-8 of a text from outside.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
