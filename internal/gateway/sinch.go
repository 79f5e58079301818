package gateway

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"time"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/internal/provider"
)

// sinchProtocol is Sinch's Batch API, in which a failure is a flat google.rpc.Status
// (Sinch, batch: responses 400, 403 and 500).
func (g *Gateway) sinchProtocol() protocol {
	return protocol{dialect: "sinch", who: g.byBearer(scopeSinch), fail: failSinch}
}

// sinch registers the Batch API as its clients know it, and the login before it.
func (g *Gateway) sinch() {
	const messages = "/v1/projects/{project_id}/messages"
	f := g.sinchProtocol()
	g.handle("POST "+messages, f, g.sinchSubmit)
	g.handle("GET "+messages, f, g.sinchList)
	g.handle("DELETE "+messages, f, g.sinchCancel)
	g.handle("GET "+messages+"/{batch_id}", f, g.sinchGet)
	for at, allow := range map[string]string{messages: "GET, POST, DELETE", messages + "/{batch_id}": "GET"} {
		g.plain(at, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			f.answer(w, fail(http.StatusMethodNotAllowed, codeMethod, "there is no "+r.Method+" here"))
		})
	}
	g.plain("/v1/projects/", func(w http.ResponseWriter, r *http.Request) {
		f.answer(w, notFound("there is nothing at "+r.Method+" "+r.URL.Path))
	})
	g.plain("POST /oauth2/token", g.sinchToken)
}

// sinchStatus is a failure in Sinch's shape. Code is the HTTP status.
type sinchStatus struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Status  string `json:"status"`
	Details []any  `json:"details"`
}

// sinchBadRequest lists what is wrong with a request, sinchRetryInfo says when to come
// again (google.rpc.error_details).
type sinchBadRequest struct {
	Type       string           `json:"@type"`
	Violations []sinchViolation `json:"field_violations"`
}

type sinchViolation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

type sinchRetryInfo struct {
	Type  string `json:"@type"`
	Delay string `json:"retry_delay"`
}

const (
	// maxViolations is how many violations an answer lists, ten a recipient, and
	// maxViolationBytes how many bytes they have about.
	maxViolations     = 10_000
	maxViolationBytes = 1 << 20
	// maxEcho is how many bytes of a caller's value an answer repeats.
	maxEcho = 100
)

// sinchName is the name of a status (google.rpc.Code).
func sinchName(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusMethodNotAllowed:
		return "UNIMPLEMENTED"
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	case http.StatusConflict:
		return "ALREADY_EXISTS"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	}
	if status >= http.StatusInternalServerError {
		return "INTERNAL"
	}
	return "INVALID_ARGUMENT"
}

func failSinch(w http.ResponseWriter, f *failure) {
	status := f.status
	switch {
	case status == http.StatusUnprocessableEntity:
		status = http.StatusBadRequest // Sinch knows no other for a request that is wrong
	case f.code == codeTokenExpired:
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="the token expired"`)
	case status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="volley"`)
	}
	s := sinchStatus{Code: status, Message: f.detail, Status: sinchName(status), Details: []any{}}
	if len(f.problems) > 0 {
		bad := sinchBadRequest{Type: "type.googleapis.com/google.rpc.BadRequest"}
		room := maxViolationBytes
		for _, p := range f.problems[:min(len(f.problems), maxViolations)] {
			if room -= len(p.Path) + len(p.Detail); room < 0 {
				break
			}
			bad.Violations = append(bad.Violations, sinchViolation{Field: p.Path, Description: p.Detail})
		}
		s.Details = append(s.Details, bad)
	}
	if f.retryAfter > 0 {
		delay := f.retryAfter.Round(time.Millisecond).Seconds()
		s.Details = append(s.Details, sinchRetryInfo{"type.googleapis.com/google.rpc.RetryInfo", strconv.FormatFloat(delay, 'f', -1, 64) + "s"})
	}
	writeJSON(w, status, s)
}

// sinchAccounts are the tenant's accounts of a project; none is fine where the project
// is the tenant's own by configuration.
func (g *Gateway) sinchAccounts(t *Tenant, project string) ([]provider.Account, error) {
	var accounts []provider.Account
	for _, a := range g.o.Accounts {
		if a.Provider == "sinch" && a.Project == project && t.has(a.Name) {
			accounts = append(accounts, a)
		}
	}
	named := slices.Contains(t.SinchProjects, project)
	if !named && (t.SinchProjects != nil || len(accounts) == 0) {
		return nil, fail(http.StatusForbidden, codeForbidden, "the key may not use the project "+project)
	}
	return accounts, nil
}

// sinchSubmit starts a batch. A malformed recipient refuses the whole call, as Sinch
// validates a call; one without a parameter or a way out is rejected alone.
func (g *Gateway) sinchSubmit(w http.ResponseWriter, r tenantRequest) error {
	project := r.PathValue("project_id")
	accounts, err := g.sinchAccounts(r.tenant, project)
	if err != nil {
		return err
	}
	if err := noForm(r); err != nil {
		return err
	}
	s := submission{dialect: "sinch", flags: map[string]string{"project": project}, keepInvalid: true}
	s.options.WellFormed = true
	s.before = func(s *submission) error {
		body, err := dialect.Read(pace(w, r.Request), g.o.Limits.BodyBytes)
		if err != nil {
			return err
		}
		s.body = bytes.NewReader(body)
		s.options.Account, s.problems = sinchAccount(r.tenant, accounts, body)
		return nil
	}
	started, err := g.submit(w, r, s)
	if err != nil {
		return err
	}
	created := started.batch.CreatedAt
	if started.Existing && started.SendAfter == nil {
		first, err := g.o.Batches.Accepted(r.Context(), started.ref)
		if err != nil {
			return err
		}
		created = first.CreatedAt
	}
	writeJSON(w, http.StatusOK, dialect.EncodeSinchAccepted(started.ID, started.SendAfter, created))
	return nil
}

// sinchAccount is the account through which a request has to go: that of its app. It
// is empty where the routes lead there anyway, so that their further hops stay open,
// and where the project has no accounts.
func sinchAccount(t *Tenant, accounts []provider.Account, body []byte) (name string, problems message.Problems) {
	app, order := dialect.SinchTarget(body)
	if len(accounts) == 0 || app == "" {
		return "", nil
	}
	first := ""
	if t.Router != nil {
		first = t.Router.First("sinch", order)
	}
	for _, a := range accounts {
		switch {
		case a.App != app:
		case a.Name == first:
			return "", nil
		case name == "":
			name = a.Name
		}
	}
	if name == "" {
		problems.Add(message.WholeBatch, "app_id", message.CodeConflict, "the project has no app "+message.Clip(app, maxEcho)+" that the key may use")
	}
	return name, problems
}
