package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"go.uber.org/zap"

	"volley/internal/access"
	"volley/internal/message"
)

// protocol adapts one dialect's HTTP interface: who calls, and what a failure looks
// like.
type protocol struct {
	// dialect is the one that a tenant must be allowed to use; empty is any.
	dialect string
	// key finds the caller's credential; empty is none.
	key func(*http.Request) string
	// who finds the caller where a key alone does not; nil is the one with the key.
	who func(*http.Request) (*Tenant, error)
	// people may use it, as their roles let them.
	people bool
	// fail writes a failure in the dialect's shape.
	fail func(w http.ResponseWriter, f *failure)
}

// tenantRequest is a request of a known tenant, or of a person about a tenant's batches.
type tenantRequest struct {
	*http.Request
	tenant *Tenant
	// person is who asks; nil is the tenant itself.
	person *access.Person
	// held is the request's body.
	held *heldBody
}

// handler answers a request; an error is answered for it, unless it has begun to
// answer.
type handler func(w http.ResponseWriter, r tenantRequest) error

// handle registers a handler.
func (g *Gateway) handle(pattern string, f protocol, h handler) {
	f.checkRights(pattern)
	g.plain(pattern, func(w http.ResponseWriter, r *http.Request) {
		tenant, person, err := g.caller(f, pattern, r)
		if err != nil {
			failed := g.failureOf(r, err)
			if failed.guessed && f.credential(r) != "" {
				g.wrongKey(r)
			}
			hangUp(w, r)
			f.answer(w, failed)
			return
		}
		knownAs(r, tenant, f.dialect)
		g.noteRequest(pattern, tenant, person)
		if f.dialect != "" && !tenant.UsesDialect(f.dialect) {
			hangUp(w, r)
			f.answer(w, fail(http.StatusForbidden, codeForbidden, "the key may not use the dialect "+f.dialect))
			return
		}
		if failed := g.closed(); failed != nil {
			hangUp(w, r)
			f.answer(w, failed)
			return
		}
		if r.Method == http.MethodGet {
			if err := g.admitRead(tenant); err != nil {
				f.answer(w, g.failureOf(r, err))
				return
			}
		}
		if r.Body == nil {
			r.Body = http.NoBody // only a test's request has none
		}
		body := r.Body
		held := g.bodies.hold(tenant.Tenant, body)
		defer held.release()
		r.Body = held
		if err := h(w, tenantRequest{r, tenant, person, held}); err != nil {
			failed := g.failureOf(r, err)
			f.answer(w, failed)
			if failed.unread {
				drain(w, body)
			}
		}
	})
}

// hangUp answers at once also where there is a body that nobody will read: a server
// that keeps the connection waits for it first.
func hangUp(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
}

const (
	// drainBytes of a request are read after an answer that came before its end, for at most
	// drainWait.
	drainBytes = 16 << 20
	drainWait  = 2 * time.Second
)

// drain reads on behind an answer, and keeps nothing of it: a client that writes its whole
// request before it reads sees the answer, and no broken connection.
func drain(w http.ResponseWriter, body io.Reader) {
	ctl := http.NewResponseController(w)
	if ctl.Flush() != nil || ctl.SetReadDeadline(time.Now().Add(drainWait)) != nil {
		return // a test's recorder has no connection
	}
	_, _ = io.CopyN(io.Discard, body, drainBytes)
}

// credential is what a request gives as its key or token; empty is nothing.
func (f protocol) credential(r *http.Request) string {
	if f.key == nil {
		return bearer(r)
	}
	return f.key(r)
}

// caller finds the tenant whose request it is, and the person who makes it; nil is a
// tenant's own.
func (g *Gateway) caller(f protocol, pattern string, r *http.Request) (*Tenant, *access.Person, error) {
	if f.who != nil {
		t, err := f.who(r)
		return t, nil, err
	}
	if t := g.tenants.of(f.key(r)); t != nil {
		return t, nil, nil
	}
	if f.people {
		return g.personal(pattern, f.key(r), r)
	}
	return nil, nil, unauthorized()
}

func (g *Gateway) noteRequest(pattern string, t *Tenant, p *access.Person) {
	if p != nil {
		g.o.Log.Debug("a request of a person", zap.String("route", pattern), zap.String("tenant", t.Tenant), zap.String("person", p.Name), zap.String("role", string(p.Role)))
		return
	}
	g.o.Log.Debug("a request of a tenant", zap.String("route", pattern), zap.String("tenant", t.Tenant), zap.String("key", t.key.Name))
}

// plain registers a handler that knows no tenant.
func (g *Gateway) plain(pattern string, h http.HandlerFunc) {
	g.patterns = append(g.patterns, pattern)
	g.mux.HandleFunc(pattern, g.audited(pattern, h))
}

// answer writes a failure with the headers that every dialect has.
func (f protocol) answer(w http.ResponseWriter, failed *failure) {
	if failed.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(failed.retryAfter.Seconds()))))
	}
	if failed.batch != "" {
		w.Header().Set(headerBatch, failed.batch)
	}
	if failed.unread || failed.status == http.StatusRequestEntityTooLarge || failed.status == http.StatusRequestTimeout {
		w.Header().Set("Connection", "close") // the rest of the request is not read
	}
	if rec, ok := w.(*recorder); ok {
		rec.code = failed.code
	}
	failed.detail = message.Clip(failed.detail, maxFailure) // it may quote the request
	f.fail(w, failed)
}

// maxFailure is how many bytes of a failure's detail are shown.
const maxFailure = 2000

// headerBatch names the batch in every answer to a submit.
const headerBatch = "Volley-Batch-Id"

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, status int, doc any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(doc) // the client has gone
}

// Bounds of how slow a client may be.
const (
	// bodyGrace is how long a request may take for each bodyPart bytes.
	bodyGrace = 30 * time.Second
	bodyPart  = 120 << 10
	// writeGrace is how long a client may take to read what was written.
	writeGrace = 30 * time.Second
)

// paced is a request's body that has to come at a speed, all the time: one that came fast
// cannot be slow for that.
type paced struct {
	r     *http.Request
	ctl   *http.ResponseController
	began time.Time // of the part that is being read
	read  int64     // of it
}

func pace(w http.ResponseWriter, r *http.Request) *paced {
	return &paced{r: r, ctl: http.NewResponseController(w), began: time.Now()}
}

// Read reads on; the error is os.ErrDeadlineExceeded when the client is too slow, and
// io.ErrUnexpectedEOF when it broke off.
func (p *paced) Read(b []byte) (int, error) {
	if p.read >= bodyPart {
		p.began, p.read = time.Now(), 0
	}
	_ = p.ctl.SetReadDeadline(p.began.Add(bodyGrace)) // a test's recorder knows none
	n, err := p.r.Body.Read(b)
	if errors.Is(err, io.EOF) {
		_ = p.ctl.SetReadDeadline(time.Time{}) // an answer may take longer
	}
	p.read += int64(n)
	return n, readFault(err)
}

// readFault is why a body cannot be read: what its framing makes no sense of is the
// client's fault. Connections fail in other ways, which the server deals with.
func readFault(err error) error {
	var down net.Error
	var large *http.MaxBytesError
	var f *failure
	switch {
	case errors.As(err, &f), err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &down), errors.As(err, &large),
		errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, http.ErrBodyReadAfterClose):
		return err
	}
	return fail(http.StatusBadRequest, codeInvalid, "the body cannot be read: "+err.Error())
}
