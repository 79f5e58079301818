package gateway

import (
	"net/http"
	"time"

	"volley/internal/message"
	"volley/internal/stuck"
)

// stuckDefault is how long messages wait at least that count as stuck where nobody says.
const stuckDefault = 10 * time.Minute

// v1Stuck tells what waits longer than it should, and why.
func (g *Gateway) v1Stuck(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	ask := stuck.Query{Tenant: q.whose(r.tenant), For: stuckDefault, Now: g.o.Now(), Accounts: g.accountsFor(r).Accounts}
	if text := q.text("for"); text != "" {
		d, err := message.ParseDuration(text)
		if err != nil || d < 0 {
			q.fail("for", "is no duration such as 10m or 2h")
		}
		ask.For = d
	}
	if err := q.end(); err != nil {
		return err
	}
	if err := g.needsIndex(); err != nil {
		return err
	}
	if err := g.admitBatches(r.tenant, stuck.MaxBatches); err != nil { // it may ask as many
		return err
	}
	report, err := stuck.Find(r.Context(), g.o.Index, g.o.Batches, ask)
	for i := range report.Groups {
		report.Groups[i].Do = stuckRequest(&report.Groups[i], r.tenant.Operator)
	}
	return answerWith(w, report, indexFailure(err))
}

// stuckRequest is the request that lets go what waits, empty where the caller has none: most
// holds are an operator's.
func stuckRequest(g *stuck.Group, operator bool) string {
	switch {
	case g.Why == stuck.Held && !operator:
		return ""
	case g.Why == stuck.Held && g.Account != "":
		return "POST /v1/accounts/" + g.Account + ":release"
	case g.Why == stuck.Held:
		return "POST /v1/holds:release"
	case g.Why == stuck.Paused:
		return "POST /v1/batches/" + g.Batches[0] + ":resume"
	}
	return ""
}
