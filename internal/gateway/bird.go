package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/internal/provider"
)

// birdProtocol is Bird's Channels API.
func birdProtocol() protocol {
	key := func(r *http.Request) string { return credential(r, "AccessKey") }
	return protocol{dialect: "bird", key: key, fail: failBird}
}

// bird registers the calls of Bird's Channels API: sending a batch, and retrieving
// messages.
func (g *Gateway) bird() {
	f := birdProtocol()
	const channel = "/workspaces/{workspaceId}/channels/{channelId}"
	g.handle("POST "+channel+"/batch/messages", f, g.birdSubmit)
	g.handle("GET "+channel+"/messages", f, g.birdList)
	g.handle("GET "+channel+"/messages/{id}", f, g.birdMessage)
	g.handle("GET /workspaces/{workspaceId}/messages/{id}", f, g.birdMessage)
	g.plain(channel+"/batch/messages", f.methodNotAllowed(http.MethodPost))
	g.plain(channel+"/messages", f.methodNotAllowed(http.MethodGet))
	g.plain(channel+"/messages/{id}", f.methodNotAllowed(http.MethodGet))
	g.plain("/workspaces/{workspaceId}/messages/{id}", f.methodNotAllowed(http.MethodGet))
	g.plain("/workspaces/", f.notFound())
}

// birdError is a failure as Bird writes it: RequestError, and with details
// ValidationError.
type birdError struct {
	Code    string              `json:"code"`
	Message string              `json:"message"`
	Details map[string][]string `json:"details,omitempty"`
}

func failBird(w http.ResponseWriter, f *failure) {
	doc := birdError{Message: f.detail}
	if len(f.problems) > 0 {
		doc.Message += ": " + f.problems[0].Place()
	}
	status := f.status
	switch {
	case status == http.StatusUnprocessableEntity && birdAmount(f.problems):
		status = http.StatusBadRequest
	case status == http.StatusUnprocessableEntity:
		doc.Details = map[string][]string{}
		if len(f.problems) == 0 {
			doc.Details[""] = []string{f.detail} // no place is known
		}
		for _, p := range f.problems[:min(len(f.problems), maxShown)] {
			doc.Details[p.Path] = append(doc.Details[p.Path], p.Detail)
		}
	case status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `AccessKey realm="volley"`)
	}
	doc.Code = birdCode(status)
	writeJSON(w, status, doc)
}

// birdAmount reports whether all that is wrong is the number of messages, which Bird
// answers with 400.
func birdAmount(problems message.Problems) bool {
	return len(problems) > 0 && !slices.ContainsFunc(problems, func(p message.Problem) bool {
		return p.Index != message.WholeBatch || p.Code != message.CodeTooFew && p.Code != message.CodeTooMany
	})
}

// birdCode is the code of a failure. Bird's document does not list them.
func birdCode(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "InvalidPayload"
	case http.StatusUnauthorized:
		return "Unauthorized"
	case http.StatusForbidden:
		return "Forbidden"
	case http.StatusNotFound:
		return "NotFound"
	case http.StatusInternalServerError:
		return "InternalError"
	}
	return strings.ReplaceAll(http.StatusText(status), " ", "")
}

// birdPlace is the channel in a request's path.
func birdPlace(r tenantRequest) dialect.BirdChannel {
	return dialect.BirdChannel{
		Workspace: strings.ToLower(r.PathValue("workspaceId")), Channel: strings.ToLower(r.PathValue("channelId")),
	}
}

// birdAccount returns the account that the channel is bound to, or empty where the
// tenant's routes decide. A workspace with accounts has their channels and no other;
// one without belongs to the tenant only if the configuration says so. Where the routes
// begin with the channel's account anyway, they decide, so that their further hops
// stay.
func (g *Gateway) birdAccount(t *Tenant, at dialect.BirdChannel) (string, error) {
	listed := slices.ContainsFunc(t.BirdWorkspaces, func(id string) bool { return strings.EqualFold(id, at.Workspace) })
	if t.BirdWorkspaces != nil && !listed {
		return "", notFound("workspace not found")
	}
	within := slices.DeleteFunc(slices.Clone(g.o.Accounts), func(a provider.Account) bool {
		return a.Provider != "bird" || !t.has(a.Name) || !strings.EqualFold(a.Workspace, at.Workspace)
	})
	if len(within) == 0 {
		switch {
		case !listed:
			return "", notFound("workspace not found")
		case uuid.Validate(at.Channel) != nil:
			return "", notFound("channel not found")
		}
		return "", nil
	}
	bound := slices.DeleteFunc(within, func(a provider.Account) bool { return !strings.EqualFold(a.Channel, at.Channel) })
	if len(bound) == 0 {
		return "", notFound("channel not found")
	}
	first := t.firstHop("bird")
	if slices.ContainsFunc(bound, func(a provider.Account) bool { return a.Name == first }) {
		return "", nil
	}
	return bound[0].Name, nil
}

// firstHop is the account that messages of a dialect take first when they name no
// channel; empty is none.
func (t *Tenant) firstHop(dialect string) string {
	if t.Router == nil {
		return ""
	}
	for _, r := range t.Router.Routes {
		if (r.Dialect == "" || r.Dialect == dialect) && r.Channel == "" && len(r.Hops) > 0 {
			return r.Hops[0]
		}
	}
	return ""
}

// birdSubmit accepts a batch. What is wrong with single messages is seen when they
// are retrieved, as Bird checks them later.
func (g *Gateway) birdSubmit(w http.ResponseWriter, r tenantRequest) error {
	at := birdPlace(r)
	account, err := g.birdAccount(r.tenant, at)
	if err != nil {
		return err
	}
	if err := jsonBody(r); err != nil {
		return err
	}
	s := submission{
		dialect: "bird", keepInvalid: true,
		flags: map[string]string{"workspace": at.Workspace, "channel": at.Channel},
	}
	s.options.Account, s.options.Metadata = account, at.Metadata()
	sent, err := g.submit(w, r, s)
	if err != nil {
		return err
	}
	ids := make([]string, sent.Total)
	for i := range ids {
		ids[i] = sent.messageID(i)
	}
	writeJSON(w, http.StatusAccepted, dialect.BirdBatch(sent.ID, ids))
	return nil
}
