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
	var chosen starter.ResultQuery
	selects, err := given([]textMember{
		{"to", q.To, &chosen.To},
		{"reference", q.Reference, &chosen.Reference},
		{"state", q.State, &chosen.State},
		{"code", q.Code, &chosen.Code},
		{"meta", q.Meta, &chosen.Meta},
		{"account", q.Account, &chosen.Account},
	})
	if err != nil {
		return out, err
	}
	personal := q.To != nil || q.Reference != nil || len(q.Messages) == 1
	if !personal {
		if err := g.mayControl(r); err != nil {
			return out, err
		}
	}
	switch {
	case !selects:
		return message.CancelRequest{Reason: q.Reason, Messages: q.Messages}, nil
	case q.Messages != nil:
		return out, fail(http.StatusUnprocessableEntity, codeInvalid, "messages names messages, and other members select them: give one of both")
	}
	out.Reason = q.Reason
	out.Messages, err = g.o.Batches.Select(r.Context(), r.ref(), chosen)
	return out, err
}

// textMember is a member of a body that narrows what is meant.
type textMember struct {
	name  string
	given *string
	to    *string
}

// given reads members and reports whether there is one. One that is empty would mean
// everything, and is refused.
func given(members []textMember) (some bool, err error) {
	for _, m := range members {
		if m.given == nil {
			continue
		}
		if *m.given == "" {
			return false, fail(http.StatusUnprocessableEntity, codeInvalid, m.name+" is empty")
		}
		some, *m.to = true, *m.given
	}
	return some, nil
}

// redriveQuery reads what a redrive asks for.
func (g *Gateway) redriveQuery(w http.ResponseWriter, r tenantRequest) (redrive starter.RedriveQuery, err error) {
	var q struct {
		States      []string `json:"states"`
		State       *string  `json:"state"`
		Code        *string  `json:"code"`
		To          *string  `json:"to"`
		Reference   *string  `json:"reference"`
		Meta        *string  `json:"meta"`
		FromAccount *string  `json:"fromAccount"`
		Account     *string  `json:"account"`
		Again       bool     `json:"again"`
		ID          string   `json:"id"`
		SendAfter   string   `json:"sendAfter"`
	}
	if err := readControl(w, r, &q); err != nil {
		return redrive, err
	}
	if q.States != nil && len(q.States) == 0 {
		return redrive, fail(http.StatusUnprocessableEntity, codeInvalid, "states is empty")
	}
	var state string
	redrive = starter.RedriveQuery{States: q.States, ID: q.ID, Again: q.Again}
	if _, err := given([]textMember{
		{"state", q.State, &state},
		{"code", q.Code, &redrive.Code},
		{"to", q.To, &redrive.To},
		{"reference", q.Reference, &redrive.Reference},
		{"meta", q.Meta, &redrive.Meta},
		{"fromAccount", q.FromAccount, &redrive.Account},
		{"account", q.Account, &redrive.Through},
	}); err != nil {
		return redrive, err
	}
	if state != "" {
		redrive.States = append(redrive.States, strings.Split(state, ",")...)
	}
	if redrive.Through != "" {
		if r.tenant.Router == nil {
			return redrive, fail(http.StatusUnprocessableEntity, codeInvalid, "account: no accounts are configured")
		}
		if err := r.tenant.Router.Known(redrive.Through); err != nil {
			return redrive, fail(http.StatusUnprocessableEntity, codeInvalid, "account: "+err.Error())
		}
		redrive.Reroute = r.tenant.Reroute
	}
	redrive.Allow = func(b *message.Batch) error {
		if err := r.tenant.AllowAgain(b, redrive.Through); err != nil {
			return fail(http.StatusForbidden, codeForbidden, err.Error())
		}
		return nil
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
