package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"volley/internal/audit"
	"volley/internal/dialect"
	"volley/internal/message"
	"volley/starter"
)

// v1Protocol is Volley's own API, in which a failure is a problem document (RFC 9457).
func v1Protocol() protocol { return protocol{key: bearer, people: true, fail: failV1} }

// v1 registers Volley's own API, for batches of every dialect.
func (g *Gateway) v1() {
	f := v1Protocol()
	g.handle("POST /v1/batches", f, g.v1Submit)
	g.handle("GET /v1/batches", f, g.v1List)
	g.handle("GET /v1/batches/{id}", f, g.v1Status)
	g.handle("GET /v1/batches/{id}/messages", f, g.v1Messages)
	g.handle("GET /v1/batches/{id}/messages/{message}", f, g.v1Message)
	g.handle("GET /v1/batches/{id}/results", f, g.v1Results)
	g.handle("GET /v1/batches/{id}/events", f, g.v1Events)
	g.handle("POST /v1/batches/{action}", f, g.v1Action)
	g.v1Checks(f)
	g.v1Holds(f)
	g.v1Index(f)
	g.v1Suppressions(f)
	g.v1Persons(f)
	for path, methods := range map[string]string{
		"/v1/batches": "GET, POST", "/v1/batches/{id}/messages": "GET", "/v1/batches/{id}/messages/{message}": "GET",
		"/v1/batches/{id}/results": "GET", "/v1/batches/{id}/events": "GET",
	} {
		g.plain(path, f.methodNotAllowed(methods))
	}
	g.plain("/v1/batches/{action}", func(w http.ResponseWriter, r *http.Request) {
		allowed := http.MethodGet
		if strings.Contains(r.PathValue("action"), ":") {
			allowed = http.MethodPost
		}
		f.methodNotAllowed(allowed)(w, r)
	})
	g.plain("/v1/", func(w http.ResponseWriter, r *http.Request) {
		f.answer(w, notFound("there is nothing at "+r.Method+" "+r.URL.Path+", /openapi.json says what there is"))
	})
}

// problemDocument is a failure of Volley's own API.
type problemDocument struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// Problems and Warnings are the first hundred of a request's.
	Problems message.Problems `json:"problems,omitempty"`
	Warnings message.Problems `json:"warnings,omitempty"`
	Batch    string           `json:"batch,omitempty"`
}

func failV1(w http.ResponseWriter, f *failure) {
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="volley"`)
	}
	writeProblem(w, f)
}

func writeProblem(w http.ResponseWriter, f *failure) {
	w.Header().Set("Content-Type", "application/problem+json")
	writeJSON(w, f.status, problemDocument{
		Type: "about:blank", Title: http.StatusText(f.status), Status: f.status, Code: f.code, Detail: f.detail,
		Problems: f.problems[:min(len(f.problems), maxShown)], Warnings: f.warnings[:min(len(f.warnings), maxShown)], Batch: f.batch,
	})
}

// ref is the batch that a path names.
func (r tenantRequest) ref() starter.Ref {
	return starter.Ref{Tenant: r.tenant.Tenant, ID: r.PathValue("id")}
}

// v1Submit starts a batch in any dialect.
func (g *Gateway) v1Submit(w http.ResponseWriter, r tenantRequest) error {
	if err := noForm(r); err != nil {
		return err
	}
	q := queryOf(r)
	s := q.submission(g.o.Now())
	if err := q.end(); err != nil {
		return err
	}
	if _, err := dialect.Named(s.dialect); err != nil {
		return fail(http.StatusBadRequest, codeInvalid, "the parameter dialect: "+err.Error())
	}
	if !r.tenant.UsesDialect(s.dialect) {
		return fail(http.StatusForbidden, codeForbidden, "the key may not use the dialect "+s.dialect)
	}
	started, err := g.submit(w, r, s)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/batches/"+started.ID)
	status := http.StatusAccepted
	if started.Existing {
		status = http.StatusOK
	}
	writeJSON(w, status, accepted(started))
	return nil
}

func (g *Gateway) v1List(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	list := starter.ListQuery{
		Tenant: r.tenant.Tenant, State: q.text("state"), Dialect: q.text("dialect"), Meta: q.text("meta"),
		Limit: int(min(q.number("limit"), maxList)), Cursor: q.text("cursor"), Counts: q.truth("counts"),
	}
	if err := q.end(); err != nil {
		return err
	}
	if list.Dialect != "" {
		if _, err := dialect.Named(list.Dialect); err != nil {
			return fail(http.StatusBadRequest, codeInvalid, "the parameter dialect: "+err.Error())
		}
	}
	if list.Counts { // each open batch is asked, and each closed one read
		if err := g.admitBatches(r.tenant, cmp.Or(list.Limit, defaultList)); err != nil {
			return err
		}
		done, err := g.counting.enter(r.Context(), r.tenant.Tenant)
		if err != nil {
			return err
		}
		defer done()
	}
	page, err := g.o.Batches.List(r.Context(), list)
	if err != nil {
		return err
	}
	for i := range page.Batches {
		page.Batches[i] = r.masked(page.Batches[i])
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// maxList is the most batches of one page, and defaultList how many there are where nobody
// says so.
const (
	maxList     = 500
	defaultList = 20
)

func (g *Gateway) v1Status(w http.ResponseWriter, r tenantRequest) error {
	if strings.Contains(r.PathValue("id"), ":") {
		v1Protocol().methodNotAllowed(http.MethodPost)(w, r.Request)
		return nil
	}
	if err := queryOf(r).end(); err != nil {
		return err
	}
	st, err := g.status.get(r.Context(), r.ref())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, r.masked(st))
	return nil
}

func (g *Gateway) v1Messages(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	page := message.PageQuery{
		State: q.text("state"), Code: q.text("code"),
		Limit: int(min(q.number("limit"), message.MaxPage)), Cursor: q.text("cursor"), Since: q.number("since"),
		Selector: q.selector(),
	}
	if err := errors.Join(q.end(), r.mayFind(page.Selector)); err != nil {
		return err
	}
	p, err := g.o.Batches.Messages(r.Context(), r.ref(), page)
	if err != nil {
		return err
	}
	for i := range p.Messages {
		p.Messages[i] = r.maskedRow(p.Messages[i])
	}
	writeJSON(w, http.StatusOK, p)
	return nil
}

func (g *Gateway) v1Message(w http.ResponseWriter, r tenantRequest) error {
	if err := queryOf(r).end(); err != nil {
		return err
	}
	row, err := g.o.Batches.Message(r.Context(), r.ref(), r.PathValue("message"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, r.maskedRow(row))
	return nil
}

// maxControl bounds the body of a control call.
const maxControl = 4 << 20

// v1Action does what stands behind the colon of POST /v1/batches/{id}:action.
func (g *Gateway) v1Action(w http.ResponseWriter, r tenantRequest) error {
	at := strings.LastIndexByte(r.PathValue("action"), ':')
	if at < 0 {
		f := fail(http.StatusMethodNotAllowed, codeMethod, "a batch is changed by POST /v1/batches/{id}:cancel, :pause, :resume, :reschedule or :redrive")
		w.Header().Set("Allow", http.MethodGet)
		return f
	}
	id, action := r.PathValue("action")[:at], r.PathValue("action")[at+1:]
	r.SetPathValue("id", id)
	if err := queryOf(r).end(); err != nil {
		return err
	}
	if err := takeControl(w, r); err != nil { // one whose body does not come takes no turn
		return err
	}
	if action != audit.ActionCancel && action != audit.ActionRedrive {
		if err := g.mayControl(r); err != nil {
			return err
		}
	}
	ctx, ref := r.Context(), r.ref()
	done, err := g.controls.enter(ctx, ref)
	if err != nil {
		return err
	}
	defer done()
	defer g.status.forget(ref)
	switch action {
	case "cancel":
		return g.v1Cancel(w, r)
	case "pause":
		if err := readControl(w, r, &struct{}{}); err != nil {
			return err
		}
		res, err := g.o.Batches.Pause(ctx, ref)
		return answerControl(w, res, res.Batch, err)
	case "resume":
		if err := readControl(w, r, &struct{}{}); err != nil {
			return err
		}
		res, err := g.o.Batches.Resume(ctx, ref)
		return answerControl(w, res, res.Batch, err)
	case "reschedule":
		var q message.RescheduleRequest
		if err := readControl(w, r, &q); err != nil {
			return err
		}
		if q.SendAfter == "" {
			return fail(http.StatusUnprocessableEntity, codeInvalid, "sendAfter is missing: an RFC 3339 time or a duration from now such as 10m or 3d")
		}
		res, err := g.o.Batches.Reschedule(ctx, ref, q)
		return answerControl(w, res, res.Batch, err)
	case "redrive":
		return g.v1Redrive(w, r)
	}
	return notFound("a batch has no action " + strconv.Quote(action) + ", expected cancel, pause, resume, reschedule or redrive")
}

func answerWith(w http.ResponseWriter, doc any, err error) error {
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, doc)
	return nil
}

// v1Cancel cancels a batch or messages of it.
func (g *Gateway) v1Cancel(w http.ResponseWriter, r tenantRequest) error {
	q, err := g.cancelRequest(w, r)
	if err != nil {
		return err
	}
	res, err := g.o.Batches.Cancel(r.Context(), r.ref(), q)
	return answerControl(w, res, res.Batch, err)
}

// answerControl answers a control of a batch. One that no worker has confirmed names the
// batch all the same.
func answerControl(w http.ResponseWriter, doc any, batch string, err error) error {
	if errors.Is(err, starter.ErrNoWorker) && batch != "" {
		w.Header().Set("Retry-After", strconv.Itoa(int(waitForWorker.Seconds())))
		writeJSON(w, http.StatusAccepted, doc)
		return nil
	}
	return answerWith(w, doc, err)
}

func (g *Gateway) v1Redrive(w http.ResponseWriter, r tenantRequest) error {
	redrive, err := g.redriveQuery(w, r)
	if err != nil {
		return err
	}
	if err := g.admit(r); err != nil {
		return err
	}
	started, err := g.o.Batches.Redrive(r.Context(), r.ref(), redrive)
	if started.ID != "" {
		w.Header().Set(headerBatch, started.ID) // also that of a batch that is there with other content
	}
	if err != nil {
		return g.repeatable(r.Request, err) // its id follows from what was asked for
	}
	g.status.forget(starter.Ref{Tenant: r.tenant.Tenant, ID: started.ID})
	w.Header().Set("Location", "/v1/batches/"+started.ID)
	status := http.StatusAccepted
	if started.Existing {
		status = http.StatusOK
	}
	writeJSON(w, status, started)
	return nil
}

// controlFault says what is wrong with a body, and where.
func controlFault(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return strings.TrimPrefix(err.Error(), "json: ")
	}
	where, want := cmp.Or(wrong.Field, "all of it"), "an object"
	switch wrong.Type.Kind() {
	case reflect.String:
		want = "a string"
	case reflect.Slice:
		want = "a list"
	}
	return where + ": expected " + want + ", got " + wrong.Value
}

// takeControl takes the body of a control call into memory.
func takeControl(w http.ResponseWriter, r tenantRequest) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(pace(w, r.Request)), maxControl))
	r.Body = io.NopCloser(bytes.NewReader(body))
	return err
}

func controlRefused(err error) *failure {
	return fail(http.StatusBadRequest, codeInvalid, "the body cannot be read: "+controlFault(err))
}

// readControl reads the body of a control call, which may be empty. Unknown fields, null
// and keys that stand twice are refused: what is written wrong would cancel more than was
// meant.
func readControl(w http.ResponseWriter, r tenantRequest, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(pace(w, r.Request)), maxControl))
	if err != nil {
		return err
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return nil
	}
	if err := message.CheckControl(body); err != nil {
		return controlRefused(err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return controlRefused(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fail(http.StatusBadRequest, codeInvalid, "the body is not one JSON value")
	}
	return nil
}
