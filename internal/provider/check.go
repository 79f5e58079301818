package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Checker is a Sender that can find out whether its account works, without sending
// anything. Every sender of Open is one.
type Checker interface {
	// Check makes one harmless request within ctx's deadline. Its error is an *Error. Date
	// is what the answer says of the time; zero is nothing.
	Check(ctx context.Context) (date time.Time, err error)
}

var (
	_ Checker = (*bird)(nil)
	_ Checker = (*sinch)(nil)
	_ Checker = (*imkit)(nil)
	_ Checker = (*bluesky)(nil)
	_ Checker = (*webhook)(nil)
)

// Check lists the newest message of the channel, the same listing that Reconcile reads.
func (b *bird) Check(ctx context.Context) (time.Time, error) {
	reply, err := b.roundTrip(ctx, b.call(http.MethodGet, b.url()+"?limit=1", nil))
	if err != nil {
		return time.Time{}, err
	}
	_, _, fault := readBirdPage(reply)
	return dateOf(reply), b.classify(reply, fault, nil)
}

// Check fetches a token and lists the newest message of the app.
func (s *sinch) Check(ctx context.Context) (time.Time, error) {
	query := url.Values{"app_id": {s.account.App}, "page_size": {"1"}}
	address := join(s.account.BaseURL, "v1", "projects", s.account.Project, "messages") + "?" + query.Encode()
	reply, token, err := s.authorized(ctx, call{method: http.MethodGet, url: address})
	if err != nil {
		return time.Time{}, err
	}
	_, _, fault := readSinchPage(reply)
	return dateOf(reply), s.classify(reply, fault, []string{token})
}

// Check lists the newest message of the last minute.
func (k *imkit) Check(ctx context.Context) (time.Time, error) {
	const iso = "2006-01-02T15:04:05.000Z"
	query := url.Values{
		"startDate": {k.now().Add(-time.Minute).UTC().Format(iso)}, "endDate": {k.now().UTC().Format(iso)}, "limit": {"1"},
	}
	reply, err := k.roundTrip(ctx, k.call(http.MethodGet, join(k.account.BaseURL, "admin", "messages")+"?"+query.Encode(), nil))
	if err != nil {
		return time.Time{}, err
	}
	_, fault := parseIMKIT(reply)
	return dateOf(reply), k.classify(reply, fault, nil)
}

// Check logs in. Bluesky counts logins: 300 a day of an account.
func (b *bluesky) Check(ctx context.Context) (time.Time, error) {
	_, err := b.sessions.get(ctx, "")
	return time.Time{}, err
}

// Check resolves the host and connects, with TLS where the URL has it. No request is made:
// an endpoint would take it for a message.
func (w *webhook) Check(ctx context.Context) (time.Time, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	u, err := url.Parse(w.url)
	if err != nil {
		return time.Time{}, w.clean(&Error{Kind: Invalid, Code: "request", Detail: unwrapURL(err).Error()}, nil)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[strings.ToLower(u.Scheme)]
	}
	dial := (&net.Dialer{}).DialContext
	var roots *tls.Config
	if t, ok := w.transport.(*http.Transport); ok {
		dial, roots = t.DialContext, t.TLSClientConfig
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return time.Time{}, w.clean(lost(ctx, err, false), nil)
	}
	defer conn.Close()
	if !strings.EqualFold(u.Scheme, "https") {
		return time.Time{}, nil
	}
	settings := roots.Clone()
	if settings == nil {
		settings = &tls.Config{}
	}
	settings.ServerName = u.Hostname()
	if err := tls.Client(conn, settings).HandshakeContext(ctx); err != nil {
		return time.Time{}, w.clean(lost(ctx, err, false), nil)
	}
	return time.Time{}, nil
}

// dateOf is the Date of an answer; zero is none.
func dateOf(r Reply) time.Time {
	at, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// Check finds out whether an account works, without sending anything.
func (r *Registry) Check(ctx context.Context, account string) (time.Time, error) {
	if c, ok := r.senders[account].(Checker); ok {
		return c.Check(ctx)
	}
	return time.Time{}, errors.New("no such account: " + account)
}
