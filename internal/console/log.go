package console

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// logData is a page of the audit log.
type logData struct {
	Lines   []logLine
	Next    string
	Actions []string
	// Action, Actor and Batch are what is shown; empty is all.
	Action, Actor, Batch string
}

// logLine is one action.
type logLine struct {
	Time                           time.Time
	Who, Did, What, Through, Notes string
	Path                           string
	// batch is the one that the action was about, or that it made.
	batch   index.BatchName
	Refused bool
	Result  string
}

// logPage shows who did what.
func (c *Console) logPage(v *visit) (*view, error) {
	if c.o.Index == nil {
		return nil, errNoIndex
	}
	q := v.URL.Query()
	d := logData{Actions: audit.Actions(), Action: q.Get("action"), Actor: strings.TrimSpace(q.Get("actor")), Batch: strings.TrimSpace(q.Get("batch"))}
	aq := index.AuditQuery{Action: d.Action, Actor: d.Actor, Batch: d.Batch, Limit: 50, Cursor: q.Get("cursor")}
	if v.person.Tenants != nil {
		aq.Tenant = v.person.Tenants[0]
	}
	entries, next, err := c.o.Index.Audit(v.Context(), aq)
	if err != nil {
		return nil, err
	}
	d.Next = next
	var batches []index.BatchName
	for i := range entries {
		d.Lines = append(d.Lines, lineOf(&entries[i]))
		if b := d.Lines[i].batch; b.ID != "" && !slices.Contains(batches, b) {
			batches = append(batches, b)
		}
	}
	campaigns := c.campaignsOf(v, batches)
	for i := range d.Lines {
		l := &d.Lines[i]
		if name := campaigns[l.batch]; name != "" && name != l.batch.ID {
			l.What = name + ", " + l.What
		}
	}
	return &view{Page: "log", Title: "Log", Data: d}, nil
}

// maxBatchLog is how many actions the page of a batch shows.
const maxBatchLog = 20

// readLog adds who did what with a batch.
func (c *Console) readLog(ctx context.Context, v *visit, ref starter.Ref, d *batchData) {
	if c.o.Index == nil || !v.person.May(access.Audit) {
		return
	}
	d.LogPath = "/log?batch=" + queryEscape(ref.ID)
	entries, _, err := c.o.Index.Audit(ctx, index.AuditQuery{Tenant: ref.Tenant, Batch: ref.ID, Limit: maxBatchLog})
	if err != nil {
		_, p := explain(err)
		d.NoLog = p.Text
		return
	}
	for i := range entries {
		d.Log = append(d.Log, lineOf(&entries[i]))
	}
	if len(entries) == 0 {
		d.NoLog = "Nothing is noted of it."
	}
}

// lineOf is an entry as people read it.
func lineOf(e *index.AuditEntry) logLine {
	l := logLine{Time: e.Time, Who: e.Actor, Did: e.Action, Through: e.Through, Result: e.Result, Refused: e.Result != audit.ResultOK && e.Result != audit.ResultRecorded}
	var full audit.Entry
	if json.Unmarshal(e.Line, &full) != nil {
		full = audit.Entry{Batch: e.Batch, Tenant: e.Tenant, Reason: e.Reason}
	}
	switch {
	case full.NewBatch != "":
		l.What, l.batch = full.Batch+" as "+full.NewBatch, index.BatchName{Tenant: full.Tenant, ID: full.NewBatch}
	case full.Batch != "":
		l.What, l.batch = full.Batch, index.BatchName{Tenant: full.Tenant, ID: full.Batch}
	case len(full.Batches) > 0:
		l.What = message.Plural(len(full.Batches), "batch")
	case full.Account != "":
		l.What = "account " + full.Account
	case full.HeldTenant != "":
		l.What = "tenant " + full.HeldTenant
	case slices.Contains(full.Selector, "all"):
		l.What = "everything"
	}
	if l.batch.ID != "" {
		l.Path = batchPath(l.batch.Tenant, l.batch.ID)
	}
	notes := full.CountTexts()
	if full.Reason != "" {
		notes = append(notes, "“"+full.Reason+"”")
	}
	l.Notes = strings.Join(notes, ", ")
	return l
}
