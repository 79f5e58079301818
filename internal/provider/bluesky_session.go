package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// session is what a login gives: a short-lived token, one that renews it, and who
// we are.
type session struct {
	Access  string `json:"accessJwt"`
	Refresh string `json:"refreshJwt"`
	DID     string `json:"did"`
}

func (s session) secrets() []string { return []string{s.Access, s.Refresh} }

// sessions keeps one account's session. One goroutine at a time renews it: logins
// are limited to 30 in five minutes and 300 a day (AT Protocol reference server,
// createSession), so a refused one is not asked for again at once either.
type sessions struct {
	*client
	account Account
	// renewing holds one value while a login or refresh is under way.
	renewing chan struct{}

	mu      sync.Mutex
	current session
	// refused is why the last login failed and stands until then.
	refused *Error
	until   time.Time
}

func newSessions(a Account, c *client) *sessions {
	return &sessions{client: c, account: a, renewing: make(chan struct{}, 1)}
}

const (
	// refusedLogin is how long a login that was refused for good is not tried
	// again; throttledLogin is the same for one that came too early and was given
	// no wait.
	refusedLogin   = time.Minute
	throttledLogin = 30 * time.Second
)

// get returns a session whose access token is not stale; "" accepts any. An error
// of its is never Ambiguous, because no message has left.
func (s *sessions) get(ctx context.Context, stale string) (session, error) {
	if cur, ok := s.known(stale); ok {
		return cur, nil
	}
	select {
	case s.renewing <- struct{}{}:
	case <-ctx.Done():
		return session{}, s.clean(&Error{Kind: Unavailable, Code: codeOf(ctx.Err(), CodeTimeout), Detail: "not sent: waiting for another login"}, nil)
	}
	defer func() { <-s.renewing }()
	if cur, ok := s.known(stale); ok {
		return cur, nil
	}
	if err := s.barred(); err != nil {
		return session{}, err
	}
	next, err := s.renew(ctx)
	if err != nil {
		return session{}, s.failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.refused = next, nil
	return next, nil
}

func (s *sessions) known(stale string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.current.Access != "" && s.current.Access != stale
}

// barred is the refusal of a login that still stands.
func (s *sessions) barred() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		return nil
	}
	left := s.until.Sub(s.now())
	if left <= 0 {
		return nil
	}
	e := *s.refused
	if e.Kind == Throttled {
		e.RetryAfter = left
	}
	return &e
}

// failed remembers a refusal and makes an error certain.
func (s *sessions) failed(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		e = s.clean(&Error{Kind: Unavailable, Code: CodeConnection, Detail: err.Error()}, nil)
	}
	if e.Kind == Ambiguous {
		e = &Error{Kind: Unavailable, Code: e.Code, Detail: e.Detail}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Kind {
	case Unavailable:
	case Throttled:
		if e.RetryAfter == 0 {
			e.RetryAfter = throttledLogin
		}
		s.refused, s.until = e, s.now().Add(e.RetryAfter)
	default:
		// What is wrong with a login is the account's fault, never the message's.
		e.Kind, e.Account = Unauthorized, cmp.Or(e.Account, "the login was refused")
		s.refused, s.until = e, s.now().Add(refusedLogin)
	}
	return e
}

// renew refreshes the session, and logs in where there is none or its refresh
// token is no longer good.
func (s *sessions) renew(ctx context.Context) (session, error) {
	s.mu.Lock()
	old := s.current
	s.mu.Unlock()
	if old.Refresh != "" {
		next, name, err := s.ask(ctx, "refreshSession", nil, old)
		if name != "ExpiredToken" && name != "InvalidToken" {
			return next, err
		}
	}
	next, _, err := s.ask(ctx, "createSession", map[string]string{
		"identifier": s.account.Identifier, "password": s.account.Password,
	}, session{})
	return next, err
}

// ask makes one call for a session; name is the error's as it came, while the
// Code of err has secrets taken out, a short password among them.
func (s *sessions) ask(ctx context.Context, method string, input map[string]string, old session) (next session, name string, err error) {
	q := call{method: http.MethodPost, url: join(s.account.BaseURL, "xrpc", "com.atproto.server."+method), secrets: old.secrets()}
	if input != nil {
		q.body = encode(input)
	}
	if old.Refresh != "" {
		q.header = http.Header{"Authorization": {"Bearer " + old.Refresh}}
	}
	reply, err := s.roundTrip(ctx, q)
	if err != nil {
		return session{}, "", err
	}
	fault := readXRPC(reply, s.now())
	if reply.Status/100 == 2 && (json.Unmarshal(reply.Body, &next) != nil || next.Access == "" || next.DID == "") {
		fault = Unreadable("the answer is not a session")
	}
	return next, fault.Code, s.classify(reply, fault, append(q.secrets, next.secrets()...))
}
