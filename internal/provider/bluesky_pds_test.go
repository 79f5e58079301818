package provider_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// pds is a PDS in front of a chat service. Tokens are numbered, and those below
// good have expired.
type pds struct {
	mu                sync.Mutex
	logins, refreshes int
	issued, good      int
	calls             []string
	// login and refresh answer instead when they are set; chat answers chat calls.
	login, refresh, chat http.HandlerFunc
}

func (p *pds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	method := strings.TrimPrefix(r.URL.Path, "/xrpc/")
	p.calls = append(p.calls, method)
	issue := false
	answer := p.chat
	switch method {
	case "com.atproto.server.createSession":
		p.logins++
		answer, issue = p.login, p.login == nil
	case "com.atproto.server.refreshSession":
		p.refreshes++
		answer, issue = p.refresh, p.refresh == nil
	}
	if issue {
		p.issued++
		answer = writing(200, fmt.Sprintf(`{"accessJwt":"access-%d","refreshJwt":"refresh-%d","did":%q,"handle":"me.example"}`, p.issued, p.issued, bskyDID))
	} else if strings.HasPrefix(method, "chat.") {
		var n int
		_, err := fmt.Sscanf(r.Header.Get("Authorization"), "Bearer access-%d", &n)
		switch {
		case r.Header.Get("atproto-proxy") != "did:web:api.bsky.chat#bsky_chat":
			answer = writing(404, `{"error":"XRPCNotSupported","message":"XRPCNotSupported"}`)
		case err != nil:
			answer = writing(400, `{"error":"InvalidToken","message":"Bad token"}`)
		case n < p.good:
			answer = writing(400, `{"error":"ExpiredToken","message":"Token has expired"}`)
		}
	}
	p.mu.Unlock()
	answer(w, r)
}

func (p *pds) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good = p.issued + 1
}

// counted is what a pds has been asked.
type counted struct {
	logins, refreshes int
	calls             []string
}

func (p *pds) seen() counted {
	p.mu.Lock()
	defer p.mu.Unlock()
	return counted{p.logins, p.refreshes, slices.Clone(p.calls)}
}

func writing(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}
