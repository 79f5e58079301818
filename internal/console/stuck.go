package console

import (
	"cmp"
	"slices"
	"strconv"

	"volley/internal/access"
	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/stuck"
)

// stuckAfter is how long messages wait at least that the page shows where nobody says.
const stuckAfter = "10m"

// stuckSpans are those that can be chosen, as queries have them.
func stuckSpans() []stuckSpan {
	return []stuckSpan{{"1m", "a minute"}, {stuckAfter, "ten minutes"}, {"1h", "an hour"}, {"1d", "a day"}}
}

// stuckSpan is how long messages wait at least, as a query and as people have it.
type stuckSpan struct{ For, Words string }

// stuckData is what waits longer than it should.
type stuckData struct {
	Groups []stuckLine
	Unread []string
	Left   bool
	// NoWorker means that nothing leaves at all.
	NoWorker bool
	// Batches is how many were looked at where Left.
	Batches int
	// For is how long they wait at least, such as one of Spans, and Words the same in words.
	For   string
	Spans []stuckSpan
	Words string
}

// stuckLine is messages that wait for the same reason.
type stuckLine struct {
	stuck.Group
	What, Control, Path string
	// BatchPath is where the batch is that waits longest, More how many others there are.
	BatchPath string
	Campaign  string
	More      int
}

// stuckPage shows what waits longer than it should, by reason, each with its control.
func (c *Console) stuckPage(v *visit) (*view, error) {
	if c.o.Index == nil {
		return nil, errNoIndex
	}
	d := stuckData{Batches: stuck.MaxBatches, For: cmp.Or(v.URL.Query().Get("for"), stuckAfter), Spans: stuckSpans()}
	wait, err := message.ParseDuration(d.For)
	if err != nil || wait < 0 {
		return nil, &wrongError{"for: expected how long messages wait, such as 10m or 2h"}
	}
	q := stuck.Query{For: wait, Now: v.now, Accounts: c.o.Accounts}
	if len(v.person.Tenants) > 0 {
		q.Tenant = v.person.Tenants[0]
	}
	found, err := stuck.Find(v.Context(), c.o.Index, c.o.Batches, q)
	if err != nil {
		return nil, err
	}
	d.Unread, d.Left, d.NoWorker = found.Unread, found.Left, found.NoWorker
	d.Words = span(wait)
	if i := slices.IndexFunc(d.Spans, func(s stuckSpan) bool { return s.For == d.For }); i >= 0 {
		d.Words = d.Spans[i].Words
	} else {
		d.Spans = append(d.Spans, stuckSpan{d.For, d.Words})
	}
	var batches []index.BatchName
	for i := range found.Groups {
		batches = append(batches, firstOf(&found.Groups[i]))
	}
	campaigns := c.campaignsOf(v, batches)
	for _, g := range found.Groups {
		l := stuckLine{Group: g, BatchPath: batchPath(g.Tenant, g.FirstBatch), More: len(g.Batches) - 1, Campaign: cmp.Or(campaigns[firstOf(&g)], g.FirstBatch)}
		var may access.Right
		l.What, l.Control, l.Path, may = stuckWords(&g)
		if !v.person.May(may) {
			l.Control = ""
		}
		d.Groups = append(d.Groups, l)
	}
	return &view{Page: "stuck", Title: "Stuck", Data: d}, nil
}

// firstOf names the batch of those that wait longest.
func firstOf(g *stuck.Group) index.BatchName {
	return index.BatchName{Tenant: g.Tenant, ID: g.FirstBatch}
}

// stuckWords say why messages wait, and what can be done.
func stuckWords(g *stuck.Group) (what, control, path string, may access.Right) {
	batch := batchPath(g.Tenant, g.FirstBatch)
	why := message.ReasonText(g.Code, "")
	hold := func(what string) (string, string, string, access.Right) {
		if why != "" {
			what += ": " + why
		}
		return what, "Hold " + g.Account, "/holds/hold?account=" + queryEscape(g.Account), access.Hold
	}
	switch g.Why {
	case stuck.Held:
		return "They are held", "Release " + g.Account, "/holds/release?account=" + queryEscape(g.Account), access.Hold
	case stuck.Paused:
		return "Their batch is paused", "Resume", batch + "/control/resume", access.Control
	case stuck.NoWorker:
		if g.Account == "" {
			return "No worker answers for their batch", "See the accounts", "/accounts", access.Read
		}
		return "No worker serves " + g.Account, "See the accounts", "/accounts", access.Read
	case stuck.Rate:
		return g.Account + " sends as fast as it may", "See the accounts", "/accounts", access.Read
	case stuck.Breaker:
		return hold(g.Account + " is not available")
	case stuck.Retrying:
		return hold("They are tried again")
	case stuck.InDoubt:
		return "They may have arrived, and the provider is asked", "Open the message", batch + "/messages/" + strconv.Itoa(g.First), access.Find
	case stuck.AwaitsReport:
		return "Their delivery reports have not come", "Open the message", batch + "/messages/" + strconv.Itoa(g.First), access.Find
	}
	return "They are due, and nothing known keeps them", "Open the batch", batch, access.Read
}
