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
	// fail writes a failure in the dialect's shape.
	fail func(w http.ResponseWriter, f *failure)
}

// tenantRequest is a request of a known tenant.
type tenantRequest struct {
	*http.Request
	tenant *Tenant
}

// handler answers a request; an error is answered for it, unless it has begun to
// answer.
type handler func(w http.ResponseWriter, r tenantRequest) error

// handle registers a handler.
func (g *Gateway) handle(pattern string, f protocol, h handler) {
	g.plain(pattern, func(w http.ResponseWriter, r *http.Request) {
		tenant, err := g.caller(f, r)
		if err != nil {
			hangUp(w, r)
			f.answer(w, g.failureOf(r, err))
			return
		}
		if f.dialect != "" && !tenant.uses(f.dialect) {
			hangUp(w, r)
			f.answer(w, fail(http.StatusForbidden, codeForbidden, "the key may not use the dialect "+f.dialect))
			return
		}
		if err := h(w, tenantRequest{r, tenant}); err != nil {
			f.answer(w, g.failureOf(r, err))
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

// caller finds the tenant whose request it is.
func (g *Gateway) caller(f protocol, r *http.Request) (*Tenant, error) {
	if f.who != nil {
		return f.who(r)
	}
	if t := g.tenants.of(f.key(r)); t != nil {
		return t, nil
	}
	return nil, unauthorized()
}

// plain registers a handler that knows no tenant.
func (g *Gateway) plain(pattern string, h http.HandlerFunc) {
	g.patterns = append(g.patterns, pattern)
	g.mux.HandleFunc(pattern, h)
}

// answer writes a failure with the headers that every dialect has.
func (f protocol) answer(w http.ResponseWriter, failed *failure) {
	if failed.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(failed.retryAfter.Seconds()))))
	}
	if failed.batch != "" {
		w.Header().Set(headerBatch, failed.batch)
	}
	if failed.status == http.StatusRequestEntityTooLarge || failed.status == http.StatusRequestTimeout {
		w.Header().Set("Connection", "close") // the rest of the request is not read
	}
	f.fail(w, failed)
}

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
	// bodyGrace is how long a request may take whatever its size; beyond it bodyRate
	// bytes must come in a second.
	bodyGrace = 30 * time.Second
	bodyRate  = 4 << 10
	// writeGrace is how long a client may take to read what was written.
	writeGrace = 30 * time.Second
)

// paced is a request's body that has to come at a speed.
type paced struct {
	r     *http.Request
	ctl   *http.ResponseController
	began time.Time
	read  int64
}

func pace(w http.ResponseWriter, r *http.Request) *paced {
	return &paced{r: r, ctl: http.NewResponseController(w), began: time.Now()}
}

// Read reads on; the error is os.ErrDeadlineExceeded when the client is too slow, and
// io.ErrUnexpectedEOF when it broke off.
func (p *paced) Read(b []byte) (int, error) {
	allowed := bodyGrace + time.Duration(float64(p.read)/bodyRate*float64(time.Second))
	_ = p.ctl.SetReadDeadline(p.began.Add(allowed)) // a test's recorder knows none
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
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &down), errors.As(err, &large),
		errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, http.ErrBodyReadAfterClose):
		return err
	}
	return fail(http.StatusBadRequest, codeInvalid, "the body cannot be read: "+err.Error())
}
