package gateway

import (
	"net/http"
	"strings"

	"volley/internal/message"
	"volley/starter"
)

// cancelRequest reads what a cancel asks for, and finds the messages that it selects.
func (g *Gateway) cancelRequest(w http.ResponseWriter, r tenantRequest) (out message.CancelRequest, err error) {
	var q struct {
		Reason    string   `json:"reason"`
		Messages  []string `json:"messages"`
		To        *string  `json:"to"`
		Reference *string  `json:"reference"`
		State     *string  `json:"state"`
		Code      *string  `json:"code"`
		Meta      *string  `json:"meta"`
		Account   *string  `json:"account"`
	}
	if err := readControl(w, r, &q); err != nil {
		return out, err
	}
	invalid := func(why string) error { return fail(http.StatusUnprocessableEntity, codeInvalid, why) }
	var chosen starter.ResultQuery
	selects := false
	for _, member := range []struct {
		name  string
		given *string
		to    *string
	}{
		{"to", q.To, &chosen.To},
		{"reference", q.Reference, &chosen.Reference},
		{"state", q.State, &chosen.State},
		{"code", q.Code, &chosen.Code},
		{"meta", q.Meta, &chosen.Meta},
		{"account", q.Account, &chosen.Account},
	} {
		if member.given == nil {
			continue
		}
		if *member.given == "" { // it would be the whole batch
			return out, invalid(member.name + " is empty")
		}
		selects, *member.to = true, *member.given
	}
	switch {
	case !selects:
		return message.CancelRequest{Reason: q.Reason, Messages: q.Messages}, nil
	case q.Messages != nil:
		return out, invalid("messages names messages, and other members select them: give one of both")
	}
	out.Reason = q.Reason
	out.Messages, err = g.o.Batches.Select(r.Context(), r.ref(), chosen)
	return out, err
}

// redriveQuery reads what a redrive asks for.
func (g *Gateway) redriveQuery(w http.ResponseWriter, r tenantRequest) (redrive starter.RedriveQuery, err error) {
	var q struct {
		States      []string `json:"states"`
		State       string   `json:"state"`
		Code        string   `json:"code"`
		To          string   `json:"to"`
		Reference   string   `json:"reference"`
		Meta        string   `json:"meta"`
		FromAccount string   `json:"fromAccount"`
		Account     string   `json:"account"`
		Again       bool     `json:"again"`
		ID          string   `json:"id"`
		SendAfter   string   `json:"sendAfter"`
	}
	if err := readControl(w, r, &q); err != nil {
		return redrive, err
	}
	if q.State != "" {
		q.States = append(q.States, strings.Split(q.State, ",")...)
	}
	redrive = starter.RedriveQuery{
		States: q.States, Code: q.Code, ID: q.ID, Again: q.Again, Through: q.Account,
		Selector: message.Selector{To: q.To, Reference: q.Reference, Meta: q.Meta, Account: q.FromAccount},
	}
	if q.Account != "" {
		if r.tenant.Router == nil {
			return redrive, fail(http.StatusUnprocessableEntity, codeInvalid, "account: no accounts are configured")
		}
		if err := r.tenant.Router.Known(q.Account); err != nil {
			return redrive, fail(http.StatusUnprocessableEntity, codeInvalid, "account: "+err.Error())
		}
		redrive.Reroute = r.tenant.Reroute
	}
	if q.SendAfter != "" {
		at, err := message.ParseTime(q.SendAfter, g.o.Now())
		if err != nil {
			return redrive, fail(http.StatusUnprocessableEntity, codeInvalid, "sendAfter is "+err.Error())
		}
		redrive.SendAfter = at
	}
	return redrive, nil
}
