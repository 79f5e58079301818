package provider_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/provider/providertest"
)

const (
	bskyAccess  = "bsky-access-0001"
	bskyRefresh = "bsky-refresh-0001"
	bskyDID     = "did:plc:me"
)

func blueskyAccount(base string) provider.Account {
	return provider.Account{Provider: "bluesky", BaseURL: base, Identifier: "me.example", Password: "bsky-pass-4711"}
}

const bskyContent = `{"convoId":"c-1","message":{"text":"Hi"}}`

const bskyView = `{"id":"m-1","rev":"r","text":"Hi","sender":{"did":"did:plc:me"},"sentAt":"2026-05-01T12:00:00.000Z"}`

func TestBlueskyKeepsToTheTable(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T, base string) provider.Sender { return open(t, blueskyAccount(base)) }, providertest.Hooks{
		Message:    outgoing("bluesky", "c-1", `{"convoId":"c-1","message":{"text":"Hi",`+unknown+`}}`),
		Accepted:   bskyView,
		ProviderID: "m-1",
		Fault:      func(text string) string { return quote(map[string]string{"error": text, "message": text}) },
		Aside: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/xrpc/com.atproto.server.createSession" {
				return false
			}
			_, _ = io.WriteString(w, quote(map[string]string{"accessJwt": bskyAccess, "refreshJwt": bskyRefresh, "did": bskyDID}))
			return true
		},
		Secrets: []string{"bsky-pass-4711", bskyAccess, bskyRefresh},
	})
}

func TestBlueskySendsTheContentAsItIs(t *testing.T) {
	t.Parallel()
	const content = `{"convoId":"c-1","message":{"text":"Hi <b>","facets":[{"index":{"byteStart":0,"byteEnd":2},"features":[]}],"replyTo":{"messageId":"m-0"},"new":1.50}}`
	var got, path string
	p := &pds{chat: func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, path = string(b), r.Method+" "+r.URL.Path
		_, _ = io.WriteString(w, bskyView)
	}}
	s := open(t, blueskyAccount(answering(t, p.ServeHTTP)))
	receipt, err := s.Send(t.Context(), outgoing("bluesky", "c-1", content))
	require.NoError(t, err)
	require.Equal(t, "m-1", receipt.ProviderID)
	require.Equal(t, content, got, "byte for byte")
	require.Equal(t, "POST /xrpc/chat.bsky.convo.sendMessage", path)
}

func TestBlueskySendsAnotherDialectsTextToADID(t *testing.T) {
	t.Parallel()
	var bodies, queries []string
	p := &pds{}
	p.chat = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			queries = append(queries, r.URL.RawQuery)
			_, _ = io.WriteString(w, `{"convo":{"id":"c-9"}}`)
			return
		}
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
		_, _ = io.WriteString(w, bskyView)
	}
	s := open(t, blueskyAccount(answering(t, p.ServeHTTP)))
	m := outgoing("volley", "did:plc:you", `{}`)
	m.Text = "Hi"
	_, err := s.Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, []string{"members=did%3Aplc%3Ayou"}, queries)
	require.Len(t, bodies, 1)
	require.JSONEq(t, `{"convoId":"c-9","message":{"text":"Hi"}}`, bodies[0])

	for code, bad := range map[string]message.Outgoing{
		provider.CodeContent:   outgoing("volley", "did:plc:you", `{}`),
		provider.CodeRecipient: {Dialect: "sinch", To: "+15550001111", Text: "Hi"},
	} {
		_, err := s.Send(t.Context(), bad)
		var e *provider.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, provider.Invalid, e.Kind)
		require.Equal(t, code, e.Code)
	}
}

func TestBlueskyFindingTheConversationIsNeverInDoubt(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]provider.Kind{500: provider.Unavailable, 502: provider.Unavailable, 200: provider.Unavailable, 429: provider.Throttled} {
		p := &pds{chat: writing(status, `{}`)}
		m := outgoing("volley", "did:plc:you", `{}`)
		m.Text = "Hi"
		_, err := open(t, blueskyAccount(answering(t, p.ServeHTTP))).Send(t.Context(), m)
		var e *provider.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, want, e.Kind, status)
		require.Equal(t, []string{"com.atproto.server.createSession", "chat.bsky.convo.getConvoForMembers"}, p.seen().calls)
	}
}

func TestBlueskyRefreshesAnExpiredTokenOnceWithinTheAttempt(t *testing.T) {
	t.Parallel()
	p := &pds{chat: writing(200, bskyView)}
	s := open(t, blueskyAccount(answering(t, p.ServeHTTP)))
	send := func() error {
		_, err := s.Send(t.Context(), outgoing("bluesky", "c-1", bskyContent))
		return err
	}
	require.NoError(t, send())
	p.expire()
	require.NoError(t, send())
	require.Equal(t, 1, p.seen().logins)
	require.Equal(t, 1, p.seen().refreshes)

	p.expire()
	p.mu.Lock()
	p.refresh = writing(400, `{"error":"ExpiredToken","message":"Token has expired"}`)
	p.mu.Unlock()
	require.NoError(t, send(), "then it logs in again")
	require.Equal(t, 2, p.seen().logins)

	p.mu.Lock()
	p.good, p.refresh = 1_000, nil
	p.mu.Unlock()
	before := len(p.seen().calls)
	var e *provider.Error
	require.ErrorAs(t, send(), &e)
	require.Equal(t, provider.Unauthorized, e.Kind)
	require.Equal(t, "ExpiredToken", e.Code)
	require.Len(t, p.seen().calls[before:], 3, "send, refresh, send: no more")
}

func TestBlueskyTakesNoPasswordForAPartOfAnErrorsName(t *testing.T) {
	t.Parallel()
	p := &pds{chat: writing(200, bskyView), refresh: writing(400, `{"error":"ExpiredToken"}`)}
	a := blueskyAccount(answering(t, p.ServeHTTP))
	a.Password = "p"
	s := open(t, a)
	for range 2 {
		_, err := s.Send(t.Context(), outgoing("bluesky", "c-1", bskyContent))
		require.NoError(t, err)
		p.expire()
	}
	require.Equal(t, 2, p.seen().logins)
}

func TestBlueskyLogsInOnceForAll(t *testing.T) {
	t.Parallel()
	p := &pds{chat: writing(200, bskyView)}
	s := open(t, blueskyAccount(answering(t, p.ServeHTTP)))
	sendMany := func() (err error) {
		const n = 20
		errs := make(chan error, n)
		for range n {
			go func() {
				_, err := s.Send(t.Context(), outgoing("bluesky", "c-1", bskyContent))
				errs <- err
			}()
		}
		for range n {
			err = errors.Join(err, <-errs)
		}
		return err
	}
	require.NoError(t, sendMany())
	require.Equal(t, 1, p.seen().logins)
	p.expire()
	require.NoError(t, sendMany())
	require.Equal(t, 1, p.seen().logins)
	require.Equal(t, 1, p.seen().refreshes)
}

func TestBlueskyErrorsOfTheLoginAreCertain(t *testing.T) {
	t.Parallel()
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, c := range map[string]struct {
		login http.HandlerFunc
		kind  provider.Kind
		// logins is how many requests two messages make.
		logins int
	}{
		"a wrong password":     {writing(401, `{"error":"AuthenticationRequired","message":"Invalid identifier or password"}`), provider.Unauthorized, 1},
		"a second factor":      {writing(400, `{"error":"AuthFactorTokenRequired","message":"a token was sent"}`), provider.Unauthorized, 1},
		"too many logins":      {writing(429, `{"error":"RateLimitExceeded","message":"Rate Limit Exceeded"}`), provider.Throttled, 1},
		"an error of theirs":   {writing(500, `{"error":"InternalServerError"}`), provider.Unavailable, 2},
		"an unreadable answer": {writing(200, `{}`), provider.Unavailable, 2},
		"no answer":            {cut, provider.Unavailable, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &pds{login: c.login}
			s := open(t, blueskyAccount(answering(t, p.ServeHTTP)))
			for range 2 {
				_, err := s.Send(t.Context(), outgoing("bluesky", "c-1", bskyContent))
				var e *provider.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, c.kind, e.Kind)
				require.NotContains(t, e.Error(), "bsky-pass-4711")
				require.Equal(t, c.kind == provider.Throttled, e.RetryAfter > 0)
			}
			require.Equal(t, c.logins, p.seen().logins)
		})
	}
}

func TestBlueskyTriesARefusedLoginAgainAfterAWhile(t *testing.T) {
	t.Parallel()
	var shift atomic.Int64
	p := &pds{login: writing(401, `{"error":"AuthenticationRequired"}`), chat: writing(200, bskyView)}
	a := blueskyAccount(answering(t, p.ServeHTTP))
	a.Name = "test"
	r, err := provider.Open([]provider.Account{a}, provider.Options{Now: func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	s, _ := r.Sender("test")
	_, err = s.Send(t.Context(), outgoing("bluesky", "c-1", bskyContent))
	require.Error(t, err)
	p.mu.Lock()
	p.login = nil
	p.mu.Unlock()
	_, err = s.Send(t.Context(), outgoing("bluesky", "c-1", bskyContent))
	require.Error(t, err)
	shift.Store(int64(2 * time.Minute))
	_, err = s.Send(t.Context(), outgoing("bluesky", "c-1", bskyContent))
	require.NoError(t, err)
	require.Equal(t, 2, p.seen().logins)
}

func TestBlueskyAnswers(t *testing.T) {
	t.Parallel()
	reset := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	for name, c := range map[string]struct {
		status int
		header map[string]string
		body   string
		kind   provider.Kind
		code   string
		waits  bool
	}{
		"a declared name":                {400, nil, `{"error":"ConvoLocked","message":"locked"}`, provider.Rejected, "ConvoLocked", false},
		"a reason in the message":        {400, nil, `{"error":"InvalidRequest","message":"Recipient has disabled incoming messages"}`, provider.Rejected, "InvalidRequest", false},
		"a name in the message":          {400, nil, `{"error":"InvalidRequest","message":"MessagesDisabled: no"}`, provider.Rejected, "MessagesDisabled", false},
		"a bad payload":                  {400, nil, `{"error":"InvalidRequest","message":"Input/message must have the property \"text\""}`, provider.Invalid, "InvalidRequest", false},
		"a password without chat rights": {400, nil, `{"error":"InvalidToken","message":"Bad token method"}`, provider.Unauthorized, "InvalidToken", false},
		"the wrong service":              {404, nil, `{"error":"XRPCNotSupported","message":"no"}`, provider.Rejected, "XRPCNotSupported", false},
		"an upstream failure":            {502, nil, `{"error":"UpstreamFailure","message":"Internal Server Error"}`, provider.Ambiguous, "UpstreamFailure", false},
		"too early":                      {425, nil, `{}`, provider.Unavailable, "http_425", false},
		"the chat service's limit":       {429, map[string]string{"ratelimit-remaining": "2990", "ratelimit-reset": reset}, `{"error":"RateLimitExceeded"}`, provider.Throttled, "RateLimitExceeded", false},
		"the server's own limit":         {429, map[string]string{"ratelimit-remaining": "0", "ratelimit-reset": reset}, `{"error":"RateLimitExceeded"}`, provider.Throttled, "RateLimitExceeded", true},
		"a wait":                         {429, map[string]string{"retry-after": "21600"}, `{"error":"RateLimitExceeded"}`, provider.Throttled, "RateLimitExceeded", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &pds{chat: func(w http.ResponseWriter, r *http.Request) {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				writing(c.status, c.body)(w, r)
			}}
			_, err := open(t, blueskyAccount(answering(t, p.ServeHTTP))).Send(t.Context(), outgoing("bluesky", "c-1", bskyContent))
			var e *provider.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.kind, e.Kind)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, c.waits, e.RetryAfter > 30*time.Minute)
			require.NotContains(t, p.seen().calls, "com.atproto.server.refreshSession")
		})
	}
}
