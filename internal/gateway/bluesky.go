package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"

	"volley/internal/dialect"
	"volley/internal/message"
)

// The calls that send. A batch holds items; a message is one of them.
const (
	nsidBatch   = "chat.bsky.convo.sendMessageBatch"
	nsidMessage = "chat.bsky.convo.sendMessage"
)

// blueskyProtocol is Bluesky's chat service, in which a failure is an XRPC error. at is
// the path of the call's input within the decoded document.
func (g *Gateway) blueskyProtocol(at string) protocol {
	return protocol{dialect: "bluesky", who: g.byXRPC(scopeAccess), fail: func(w http.ResponseWriter, f *failure) { failXRPC(w, f, at) }}
}

// bluesky registers the calls that send, the login before them, and the answer to
// every other call of XRPC.
func (g *Gateway) bluesky() {
	batch, single := g.blueskyProtocol(""), g.blueskyProtocol("items[0]")
	g.handle("POST /xrpc/"+nsidBatch, batch, func(w http.ResponseWriter, r tenantRequest) error { return g.blueskySend(w, r, nsidBatch) })
	g.handle("POST /xrpc/"+nsidMessage, single, func(w http.ResponseWriter, r tenantRequest) error { return g.blueskySend(w, r, nsidMessage) })
	g.blueskySessions()
	for _, nsid := range []string{nsidBatch, nsidMessage, nsidLogin, nsidRefresh} {
		g.wrongVerb(nsid, http.MethodPost)
	}
	g.wrongVerb(nsidSession, http.MethodGet)
	g.plain("/xrpc/", func(w http.ResponseWriter, _ *http.Request) {
		writeXRPC(w, http.StatusNotImplemented, "MethodNotImplemented", "Method Not Implemented")
	})
}

// wrongVerb answers a call that came with another method (AT Protocol, xrpc-server).
func (g *Gateway) wrongVerb(nsid, verb string) {
	g.plain("/xrpc/"+nsid, func(w http.ResponseWriter, r *http.Request) {
		writeXRPC(w, http.StatusBadRequest, "InvalidRequest", "Incorrect HTTP method ("+r.Method+") expected "+verb)
	})
}

// blueskySend starts a batch and answers once it has ended. A call that has waited
// long enough is told so, and the batch goes on.
func (g *Gateway) blueskySend(w http.ResponseWriter, r tenantRequest, nsid string) error {
	if err := noForm(r); err != nil {
		return err
	}
	s := submission{dialect: "bluesky", flags: map[string]string{"nsid": nsid}}
	var body []byte
	s.before = func(s *submission) (err error) {
		if body, err = g.blueskyInput(w, r); err != nil {
			return err
		}
		if nsid == nsidMessage {
			body = bytes.Join([][]byte{[]byte(`{"items":[`), body, []byte(`]}`)}, nil)
		}
		s.body = bytes.NewReader(body)
		return nil
	}
	started, err := g.submit(w, r, s)
	if err != nil {
		return err
	}
	views, err := g.blueskyViews(r, started, body)
	if err != nil {
		return g.blueskyUnreported(r, started, g.failureOf(r.Request, err))
	}
	if nsid == nsidMessage {
		writeJSON(w, http.StatusOK, views[0])
		return nil
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": views})
	return nil
}

// blueskyUnreported turns the failure f of a call whose batch was accepted into its
// answer. Where f does not say what became of the messages, the client must be able to
// repeat the call and find the batch that goes on.
func (g *Gateway) blueskyUnreported(r tenantRequest, s *submitted, f *failure) *failure {
	if f.batch == "" {
		f.detail = "batch " + s.ID + " was accepted and goes on: " + f.detail
		f.batch = s.ID
	}
	if f.code == codeUpstream || r.Context().Err() != nil {
		return f
	}
	if f.status == http.StatusServiceUnavailable {
		f.status = http.StatusGatewayTimeout // 503 is for what has not begun
	}
	if r.Header.Get(headerKey) == "" {
		f.retryAfter = 0
		g.o.Batches.ExpectRepeat(s.Started)
	}
	return f
}

// blueskyInput reads the input of a call, as JSON that is whole (AT Protocol,
// xrpc-server: validation of the input).
func (g *Gateway) blueskyInput(w http.ResponseWriter, r tenantRequest) ([]byte, error) {
	invalid := func(detail string) error { return fail(http.StatusBadRequest, codeInvalid, detail) }
	body, err := dialect.Read(pace(w, r.Request), g.o.Limits.BodyBytes)
	if err != nil {
		return nil, err
	}
	encoding, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch given := r.Header.Get("Content-Type"); {
	case len(body) == 0:
		return nil, invalid("A request body is expected but none was provided")
	case given == "":
		return nil, invalid("Request encoding (Content-Type) required but not provided")
	case err != nil || encoding != "application/json":
		return nil, invalid("Wrong request encoding (Content-Type): " + message.Clip(given, maxEcho))
	case !json.Valid(body):
		return nil, invalid("The request body is not JSON")
	}
	return body, nil
}

// blueskyViews waits for the batch and shows its messages if all were sent; otherwise
// the error says what became of each. The contents come from the request, which is the
// same when the batch existed before.
func (g *Gateway) blueskyViews(r tenantRequest, s *submitted, body []byte) ([]dialect.BlueskyView, error) {
	if err := g.blueskyWait(r, s); err != nil {
		return nil, err
	}
	page, err := g.o.Batches.Messages(r.Context(), s.ref, message.PageQuery{Limit: message.MaxPage})
	if err != nil {
		return nil, err
	}
	if len(page.Messages) != s.Total {
		return nil, fmt.Errorf("batch %s has %d messages and shows %d", s.ID, s.Total, len(page.Messages))
	}
	slices.SortFunc(page.Messages, func(a, b message.Row) int { return cmp.Compare(a.Index, b.Index) })
	if f := blueskyOutcome(s.ID, page.Messages); f != nil {
		return nil, f
	}
	b := s.batch
	if len(b.Messages) != s.Total { // it was read bit by bit
		d, err := dialect.Named("bluesky")
		if err != nil {
			return nil, err
		}
		var problems message.Problems
		if b, problems = d.Decode(body, dialect.Options{Now: g.o.Now()}); len(problems) > 0 {
			return nil, problems
		}
	}
	views := []dialect.BlueskyView{}
	for i, row := range page.Messages {
		content, _, err := b.Template.Render(&b.Messages[i])
		if err != nil {
			return nil, err
		}
		view, err := dialect.EncodeBlueskyView(row, content, g.blueskyDID(row.Account))
		if err != nil {
			return nil, err
		}
		views = append(views, view)
	}
	return views, nil
}

// blueskyWait returns once a batch has ended.
func (g *Gateway) blueskyWait(r tenantRequest, s *submitted) error {
	ctx, cancel := context.WithTimeout(r.Context(), g.o.BlueskyWait)
	defer cancel()
	go func() {
		select {
		case <-g.leaving:
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err := g.o.Batches.Wait(ctx, s.ref)
	if err == nil || r.Context().Err() != nil || ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	f := fail(http.StatusGatewayTimeout, codeTimeout, "batch "+s.ID+" has not ended yet and goes on; ")
	if r.Header.Get(headerKey) == "" {
		f.detail += "the same call within ten minutes waits for it again"
	} else {
		f.detail += "a repeat with the same " + headerKey + " waits for it again"
	}
	f.batch = s.ID
	return f
}

// blueskyDID is who sent a message.
func (g *Gateway) blueskyDID(account string) string {
	identifier := ""
	for _, a := range g.o.Accounts {
		if a.Name == account && a.Provider == "bluesky" {
			identifier = a.Identifier
		}
	}
	return dialect.BlueskyDID(account, identifier)
}
