package gateway

import (
	"cmp"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/message"
	"volley/starter"
)

// actions say what each route does that changes something, and each login: one action, or
// those that may stand behind the colon of its path. Every route whose method is not GET
// stands here or among silent.
var actions = map[string][]string{
	"POST /v1/batches":           {audit.ActionStart},
	"POST /v1/batches:test":      {audit.ActionStart}, // of a batch whose id says that it is a test
	"POST /v1/batches/{action}":  {audit.ActionCancel, audit.ActionPause, audit.ActionResume, audit.ActionReschedule, audit.ActionRedrive},
	"POST /v1/accounts/{action}": {audit.ActionHold, audit.ActionRelease},
	"POST /v1/suppressions":      {audit.ActionSuppressAdd},
	"DELETE /v1/suppressions":    {audit.ActionSuppressRemove},
	"POST /v1/persons:forget":    {audit.ActionForget},
	"POST /v1/persons:export":    {audit.ActionExport},
	"POST /v1/holds":             {audit.ActionHold},
	"POST /v1/holds:release":     {audit.ActionRelease},

	"POST /workspaces/{workspaceId}/channels/{channelId}/batch/messages": {audit.ActionStart},

	"POST /messages/batch": {audit.ActionStart},

	"POST /v1/projects/{project_id}/messages":   {audit.ActionStart},
	"DELETE /v1/projects/{project_id}/messages": {audit.ActionCancel},
	"POST /oauth2/token":                        {audit.ActionLogin},

	"POST /xrpc/" + nsidBatch:   {audit.ActionStart},
	"POST /xrpc/" + nsidMessage: {audit.ActionStart},
	"POST /xrpc/" + nsidLogin:   {audit.ActionLogin},
	"POST /xrpc/" + nsidRefresh: {audit.ActionLogin},
}

// silent are routes whose method is not GET and that are no action of a tenant's, or change
// nothing.
var silent = []string{"POST /reports/{account}", "POST /v1/batches:validate"}

// actionOf is what a request asks for; empty is nothing that changes something.
func actionOf(pattern string, r *http.Request) string {
	list := actions[pattern]
	if len(list) == 1 {
		return list[0]
	}
	path := r.PathValue("action")
	if name := path[strings.LastIndexByte(path, ':')+1:]; slices.Contains(list, name) {
		return name
	}
	return ""
}

// requestForm is what an id of a request may be that its client or a proxy sends.
var requestForm = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// audited writes a line for each action of a route, and for each login that fails.
func (g *Gateway) audited(pattern string, h http.HandlerFunc) http.HandlerFunc {
	if method, _, ok := strings.Cut(pattern, " "); ok && method != http.MethodGet && actions[pattern] == nil && !slices.Contains(silent, pattern) {
		panic("the route " + pattern + " has no action") // it is a mistake in this package
	}
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, record := audit.Begin(r.Context(), audit.Entry{Action: actionOf(pattern, r)})
		r = r.WithContext(ctx)
		defer func() { g.writeAudit(record, pattern, w, r) }()
		h(w, r)
	}
}

// writeAudit ends the record of a request that was answered.
func (g *Gateway) writeAudit(record *audit.Record, pattern string, w http.ResponseWriter, r *http.Request) {
	e, write := record.End(resultOf(w))
	if e.Action == "" || !write {
		return
	}
	e.Through, e.Route, e.Forwarded = audit.ThroughHTTP, pattern, message.Clip(r.Header.Get("X-Forwarded-For"), maxEcho)
	if id := r.Header.Get("X-Request-Id"); requestForm.MatchString(id) {
		e.Request = id
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		e.Remote = host
	}
	if target, _, ok := strings.Cut(r.PathValue("action"), ":"); ok && starter.ValidID(target) {
		if strings.HasPrefix(pattern, "POST /v1/accounts/") {
			e.Account = target
		} else {
			e.Batch = target
		}
	}
	_ = g.o.Audit.Write(e, cmp.Or(e.Tenant, addressOf(r).String())) // it has been logged
}

// resultOf names what was answered.
func resultOf(w http.ResponseWriter) string {
	rec, ok := w.(*recorder)
	switch {
	case !ok || rec.status == 0:
		return codeInternal
	case rec.status < http.StatusBadRequest:
		return audit.ResultOK
	case rec.code != "":
		return rec.code
	case rec.status == http.StatusUnauthorized:
		return codeUnauthorized
	case rec.status < http.StatusInternalServerError:
		return codeInvalid
	}
	return codeInternal
}

// knownAs notes whose request it is.
func knownAs(r *http.Request, t *Tenant, dialect string) {
	if t == nil {
		return
	}
	audit.Of(r.Context()).Set(func(e *audit.Entry) {
		e.Tenant, e.Dialect = t.Tenant, dialect
		if e.Role == "" {
			e.Actor = t.key.Name
		}
	})
}

// knownPerson notes who makes a request, before it is known for which tenant.
func knownPerson(r *http.Request, p access.Person) {
	audit.Of(r.Context()).Set(func(e *audit.Entry) { e.Actor, e.Role = p.Name, string(p.Role) })
}

// failedLogin makes a failed login of a request, whatever it asked for.
func failedLogin(r *http.Request) {
	audit.Of(r.Context()).Set(func(e *audit.Entry) { e.Action = audit.ActionLogin })
}
