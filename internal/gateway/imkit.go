package gateway

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/starter"
)

// codeNoKey is a request without a key, which only IMKIT tells from one with a wrong
// key.
const codeNoKey = "missing_key"

// imkitProtocol is IMKIT's platform API.
func (g *Gateway) imkitProtocol() protocol {
	who := func(r *http.Request) (*Tenant, error) {
		key := imkitKey(r)
		if key == "" {
			return nil, fail(http.StatusUnauthorized, codeNoKey, "the header IM-API-KEY is missing")
		}
		if t := g.tenants.of(key); t != nil {
			return t, nil
		}
		return nil, unauthorized()
	}
	return protocol{dialect: "imkit", key: imkitKey, who: who, fail: failIMKIT}
}

// imkitKey is the key of a request. API_KEY is the header's older name.
func imkitKey(r *http.Request) string {
	if key := r.Header.Get("IM-API-KEY"); key != "" {
		return key
	}
	return r.Header.Get("API_KEY")
}

// imkit registers the calls of IMKIT: sending a batch, and what was sent of it.
func (g *Gateway) imkit() {
	f := g.imkitProtocol()
	g.handle("POST /messages/batch", f, g.imkitSubmit)
	g.handle("GET /messages/batch", f, g.imkitMessages)
	g.plain("/messages/batch", f.methodNotAllowed("GET, POST"))
	g.plain("/messages/", f.notFound())
}

// imkitError is a failure of a request, with the HTTP status in RC.
type imkitError struct {
	RC    int         `json:"RC"`
	RM    string      `json:"RM"`
	Error imkitReason `json:"error"`
}

type imkitReason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// imkitKeyError is a failure of a key, which has another shape.
type imkitKeyError struct {
	Error      string `json:"error"`
	Message    string `json:"message"`
	RetryAfter int    `json:"retryAfter,omitempty"`
}

func failIMKIT(w http.ResponseWriter, f *failure) {
	text := f.detail
	if p := imkitProblem(f); p != nil {
		text += ": " + p.Place()
	}
	if code := imkitKeyCode(f); code != "" {
		if f.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `IM-API-KEY realm="volley"`)
		}
		writeJSON(w, f.status, imkitKeyError{code, text, int(math.Ceil(f.retryAfter.Seconds()))})
		return
	}
	status, code := imkitCode(f)
	writeJSON(w, status, imkitError{RC: status, RM: text, Error: imkitReason{code, text}})
}

// imkitKeyCode is the name of a failure that concerns the key; empty is another one.
func imkitKeyCode(f *failure) string {
	switch {
	case f.code == codeNoKey:
		return "MISSING_API_KEY"
	case f.status == http.StatusUnauthorized:
		return "INVALID_API_KEY"
	case f.status == http.StatusForbidden:
		return "INSUFFICIENT_PERMISSIONS"
	case f.status == http.StatusTooManyRequests:
		return "RATE_LIMIT_EXCEEDED"
	}
	return ""
}

// imkitCode is the status and the name of any other failure. IMKIT knows no 422.
func imkitCode(f *failure) (status int, code string) {
	switch f.status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
	case http.StatusNotFound:
		return f.status, "NOT_FOUND"
	default:
		return f.status, strings.ToUpper(strings.ReplaceAll(http.StatusText(f.status), " ", "_"))
	}
	switch p := imkitProblem(f); {
	case p == nil:
	case p.Path == "sender" && p.Code == message.CodeConflict:
		return http.StatusForbidden, "INSUFFICIENT_PERMISSION"
	case p.Code == message.CodeRequired:
		return http.StatusBadRequest, "MISSING_PARAMETER"
	}
	return http.StatusBadRequest, "INVALID_PARAMETER"
}

// imkitProblem is the one problem that an answer has room for: the first that keeps
// the whole batch from starting, or else the first. Nil is none.
func imkitProblem(f *failure) *message.Problem {
	for i := range f.problems {
		if f.problems[i].Index == message.WholeBatch {
			return &f.problems[i]
		}
	}
	if len(f.problems) == 0 {
		return nil
	}
	return &f.problems[0]
}

// imkitSubmit accepts a batch. What is wrong with single paras is not told: they are
// rejected, and never among the messages of the batch.
func (g *Gateway) imkitSubmit(w http.ResponseWriter, r tenantRequest) error {
	if err := jsonBody(r); err != nil {
		return err
	}
	sent, err := g.submit(w, r, submission{dialect: "imkit", keepInvalid: true})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, dialect.IMKITBatch(sent.ID, sent.Total))
	return nil
}

// imkitMessages answers with the messages of a batch that were sent so far.
func (g *Gateway) imkitMessages(w http.ResponseWriter, r tenantRequest) error {
	ref := starter.Ref{Tenant: r.tenant.Tenant, ID: r.URL.Query().Get("batchID")}
	if ref.ID == "" {
		f := fail(http.StatusBadRequest, codeInvalid, "the query is invalid")
		f.problems.Add(message.WholeBatch, "batchID", message.CodeRequired, "is required")
		return f
	}
	if !starter.ValidID(ref.ID) {
		return notFound("there is no such batch")
	}
	b, err := g.o.Batches.Accepted(r.Context(), ref)
	switch {
	case err != nil:
		return err
	case b.Dialect != "imkit":
		return notFound("there is no such batch")
	}
	senders := map[string]string{}
	for i := range g.o.Accounts {
		senders[g.o.Accounts[i].Name] = g.o.Accounts[i].Sender
	}
	var data []json.RawMessage
	q := message.PageQuery{Limit: message.MaxPage}
	for {
		page, err := g.pages.get(r.Context(), pageKey{Ref: ref, PageQuery: q})
		if err != nil {
			return err
		}
		for i := range page.Messages {
			if row := &page.Messages[i]; row.State.Taken() {
				data = append(data, dialect.IMKITMessage(b, row, senders[row.Account]))
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	writeJSON(w, http.StatusOK, dialect.IMKITMessages(data))
	return nil
}
