package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"
)

// tokenMargin is how long before its end a token is no longer used: longer than
// a request takes.
const tokenMargin = 15 * time.Second

// tokens keeps one account's access token (OAuth 2, client credentials). It is
// safe for concurrent use and fetches one token at a time.
type tokens struct {
	*client
	config clientcredentials.Config
	http   *http.Client
	group  singleflight.Group

	mu      sync.Mutex
	current *oauth2.Token
}

func newTokens(a Account, c *client) *tokens {
	// Basic authentication carries both URL-encoded (RFC 6749, 2.3.1).
	login := url.QueryEscape(a.KeyID) + ":" + url.QueryEscape(a.KeySecret)
	c.secrets = append(c.secrets, a.KeyID, base64.StdEncoding.EncodeToString([]byte(login)))
	return &tokens{
		client: c,
		config: clientcredentials.Config{
			ClientID: a.KeyID, ClientSecret: a.KeySecret, TokenURL: a.TokenURL,
			AuthStyle: oauth2.AuthStyleInHeader,
		},
		http: &http.Client{
			Transport:     c.transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// get returns a token, and whether it was fetched for this call. Its error is an
// *Error and never Ambiguous: no message has left.
func (t *tokens) get(ctx context.Context) (token string, fresh bool, err error) {
	if err := ctx.Err(); err != nil {
		return "", false, t.clean(lost(ctx, err, false), nil)
	}
	if token := t.cached(); token != "" {
		return token, false, nil
	}
	// The fetch belongs to all who wait for it, so no single caller's end stops it.
	fetched := t.group.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RequestTimeout)
		defer cancel()
		return t.fetch(ctx)
	})
	select {
	case <-ctx.Done():
		return "", false, t.clean(lost(ctx, ctx.Err(), false), nil)
	case r := <-fetched:
		if r.Err != nil {
			return "", false, t.refused(r.Err)
		}
		return r.Val.(*oauth2.Token).AccessToken, true, nil
	}
}

func (t *tokens) cached() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil || !t.current.Expiry.IsZero() && t.now().After(t.current.Expiry.Add(-tokenMargin)) {
		return ""
	}
	return t.current.AccessToken
}

func (t *tokens) fetch(ctx context.Context) (*oauth2.Token, error) {
	token, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.http))
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = token
	return token, nil
}

// drop forgets a token that was refused, unless there is a newer one already.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil && t.current.AccessToken == token {
		t.current = nil
	}
}

// refused classifies why there is no token. What would leave a message in doubt
// is a mere delay here, and a request for a token that is called invalid means
// wrong credentials (RFC 6749, 5.2).
func (t *tokens) refused(err error) *Error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) || answer.Response.StatusCode/100 == 2 {
		return t.clean(&Error{
			Kind: Unavailable, Code: codeOf(err, CodeConnection),
			Detail: "no access token: " + unwrapURL(err).Error(),
		}, nil)
	}
	f := Fault{Code: first(answer.ErrorCode, "http_"+strconv.Itoa(answer.Response.StatusCode))}
	f.Detail = "no access token: " + first(answer.ErrorDescription, http.StatusText(answer.Response.StatusCode), f.Code)
	e := Classify(Reply{Status: answer.Response.StatusCode, Header: answer.Response.Header}, f, nil, t.now())
	switch e.Kind {
	case Ambiguous:
		e.Kind = Unavailable
	case Invalid:
		e.Kind = Unauthorized
	}
	e.Account = accountFault(t.provider, answer.Response.StatusCode, e.Code)
	return t.clean(e, nil)
}
