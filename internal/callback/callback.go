package callback

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/tracing"
)

const (
	// Timeout bounds one request.
	Timeout = 10 * time.Second
	// maxAnswer is how much of an answer is read, in bytes, so that its connection
	// can be used again. What it says does not matter.
	maxAnswer = 16 << 10
	// idle is how many connections to one host are kept.
	idle = 8
)

// Codes of a Failure; others are http_<status>.
const (
	// CodeSecret: the tenant has no secret to sign with, here and now.
	CodeSecret = "no_secret"
	// CodeURL: the address is not an http or https URL.
	CodeURL = "url"
	// CodeEvent: the event cannot be written or signed.
	CodeEvent = "event"
	// CodePrivate: the address is, or leads to, one that is not public.
	CodePrivate = provider.CodePrivate
	// CodeTimeout and CodeConnection: no answer came back.
	CodeTimeout    = provider.CodeTimeout
	CodeConnection = provider.CodeConnection
)

// Options configure a Poster. The zero value knows no secret, so that nothing can
// be posted.
type Options struct {
	// Tenants holds what the configuration says of each tenant, by name.
	Tenants map[string]Tenant
	// AllowPrivate lets addresses be reached that are not on the public internet.
	AllowPrivate bool
	// NAT64Prefixes are networks of IPv6 that stand for IPv4, beside those that everybody
	// knows. Addresses there are not reached unless AllowPrivate.
	NAT64Prefixes []netip.Prefix
	// BirdChannels are the ids of Bird's channels by account, which Bird's events
	// name.
	BirdChannels map[string]string
	// SinchProjects are the ids of Sinch's projects by account, which Sinch's events
	// name.
	SinchProjects map[string]string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Tenant is what an event needs of a tenant's configuration.
type Tenant struct {
	// Secret signs: whsec_ and base64, as Standard Webhooks writes it, or else the key
	// itself. PreviousSecret, if there is one, signs events of Volley's own format too, so
	// that a receiver may know either.
	Secret, PreviousSecret string
	// Events lists the event types to deliver; nil is all. "batch.*" and "message.*"
	// are all of their kind.
	Events []string
	// SinchApps maps the tenant's Sinch apps to their projects. SinchProject is the
	// project that Sinch's events name for any other app; it may be empty.
	SinchApps    map[string]string
	SinchProject string
}

// String hides the secret.
func (t Tenant) String() string { return "tenant " + t.SinchProject }

// GoString hides the secret.
func (t Tenant) GoString() string { return t.String() }

// Poster signs and posts events. It is safe for concurrent use.
type Poster struct {
	tenants       map[string]Tenant
	birdChannels  map[string]string
	sinchProjects map[string]string
	transport     *http.Transport
	allowPrivate  bool
	refused       []netip.Prefix
	inside        insideNames
	now           func() time.Time
}

// New returns a Poster; Close ends its idle connections.
func New(o Options) *Poster {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Poster{
		tenants: o.Tenants, birdChannels: o.BirdChannels, sinchProjects: o.SinchProjects, now: o.Now,
		transport: provider.NewTransport(idle, !o.AllowPrivate, o.NAT64Prefixes...), allowPrivate: o.AllowPrivate, refused: o.NAT64Prefixes,
		inside: insideNames{resolve: net.DefaultResolver.LookupNetIP},
	}
}

// Wants reports whether a tenant receives events of a type.
func (p *Poster) Wants(tenant, typ string) bool {
	t, ok := p.tenants[tenant]
	if !ok || t.Events == nil {
		return true
	}
	kind, _, _ := strings.Cut(typ, ".")
	return slices.Contains(t.Events, typ) || slices.Contains(t.Events, kind+".*")
}

// Close closes the connections that are not in use.
func (p *Poster) Close() { p.transport.CloseIdleConnections() }

// Failure is why an event was not accepted. It holds neither the secret nor the
// address.
type Failure struct {
	Code string
	// Detail is at most message.MaxDetail bytes.
	Detail string
	// RetryAfter is how long the endpoint asked to wait; 0 where it did not say.
	RetryAfter time.Duration
	// Gone means that the endpoint wants no more events, ever (410).
	Gone bool
	// Never means that no try at this address can succeed: it is no address, is itself one
	// that is not public, or a name that has led to such ones alone for a while.
	Never bool
}

// Post posts an event, once, and returns nil when the endpoint accepted it with any
// 2xx. A redirect is not followed: it is a failure. The format of e must have
// events of its type (Has).
func (p *Poster) Post(ctx context.Context, tenant string, to message.Callbacks, e Event) *Failure {
	target, err := url.Parse(to.URL)
	if err != nil || target.Hostname() == "" || target.Scheme != "http" && target.Scheme != "https" || !isPort(target.Port()) {
		return &Failure{Code: CodeURL, Detail: "the address is not an http or https URL", Never: true}
	}
	if !p.allowPrivate && p.isPrivate(target.Hostname()) {
		return &Failure{Code: CodePrivate, Detail: privateDetail, Never: true}
	}
	known := p.tenants[tenant]
	if known.Secret == "" {
		return &Failure{Code: CodeSecret, Detail: "this worker's configuration has no secret for the tenant's callbacks"}
	}
	login := target.User
	target.User, target.Fragment = nil, ""
	body, err := p.form(tenant, to.Format, e)
	if err != nil {
		return &Failure{Code: CodeEvent, Detail: "the event cannot be written as JSON"}
	}
	header, err := sign(to.Format, known, target.String(), e.ID, p.now(), body)
	if err != nil {
		return &Failure{Code: CodeSecret, Detail: "the tenant's " + err.Error()}
	}
	ctx, span := tracing.Start(ctx, "callback", trace.WithSpanKind(trace.SpanKindClient))
	defer tracing.End(span)
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return &Failure{Code: CodeURL, Detail: "the address is not an http or https URL", Never: true}
	}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "volley")
	req.Header = header
	tracing.ToHeader(ctx, req.Header)
	if login != nil {
		password, _ := login.Password()
		req.SetBasicAuth(login.Username(), password)
	}
	f := p.post(req)
	if span.IsRecording() {
		outcome := "accepted"
		if f != nil {
			outcome = f.Code
			tracing.Fail(span)
		}
		span.SetAttributes(tracing.Tenant.String(tenant), tracing.Outcome.String(outcome))
	}
	return f
}

// isPort reports whether the port of an address, which may be empty, is one.
func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// isPrivate reports whether a host is itself an address that is not public, or a name of
// this machine. Where other names lead is seen when a connection is made, and may change.
func (p *Poster) isPrivate(host string) bool {
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	a, err := netip.ParseAddr(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && !provider.Public(a, p.refused...)
}

const privateDetail = "the address is on a private network, which is not allowed"

// post makes the request. The Transport itself follows no redirect.
func (p *Poster) post(req *http.Request) *Failure {
	res, err := p.transport.RoundTrip(req)
	if err != nil {
		f := lost(err)
		f.Never = errors.Is(err, provider.ErrPrivate) && p.inside.again(req.Context(), req.URL.Hostname(), p.now(), p.refused)
		return f
	}
	p.inside.forget(req.URL.Hostname())
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // what the body says does not matter
	if res.StatusCode/100 == 2 {
		return nil
	}
	return &Failure{
		Code: "http_" + strconv.Itoa(res.StatusCode), Detail: "the endpoint answered " + strconv.Itoa(res.StatusCode),
		RetryAfter: provider.RetryAfter(res.Header, p.now()), Gone: res.StatusCode == http.StatusGone,
	}
}

// lost is the failure of a request without an answer. Errors of the network name
// hosts and addresses, which are the caller's.
func lost(err error) *Failure {
	var n net.Error
	var d *net.DNSError
	switch {
	case errors.Is(err, provider.ErrPrivate):
		return &Failure{Code: CodePrivate, Detail: privateDetail}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &n) && n.Timeout():
		return &Failure{Code: CodeTimeout, Detail: "no answer within " + Timeout.String()}
	case errors.As(err, &d):
		return &Failure{Code: CodeConnection, Detail: "the name of its host is not known"}
	}
	return &Failure{Code: CodeConnection, Detail: "the connection was refused or broke off"}
}
