package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/audit"
	"volley/internal/config"
	"volley/internal/index"
)

func (a *app) auditCommand() *cobra.Command {
	var f audit.Filter
	var since string
	limit := 100
	cmd := &cobra.Command{
		Use:   "audit [FILE|-]...",
		Short: "Show who did what",
		Long: `Shows the actions in the index (index.url in the configuration), which has those of all
gateways and commands that use it, or where there is none those in the audit log
(audit.file), or in the files that are named, the oldest first: what gateways and commands
were asked to change, by whom, and what became of it. As JSON each line is one of the
log, and all are shown.`,
		Example: `  volley audit --since 24h --action cancel,hold
  volley audit --batch spring-sale -o json`,
		RunE: func(cmd *cobra.Command, files []string) error {
			for _, name := range []string{"since", "action", "actor", "batch"} {
				if flag := cmd.Flags().Lookup(name); flag.Changed && (flag.Value.String() == "" || flag.Value.String() == "[]") {
					return usage("--%s is empty, expected a value: everything is shown without it", name)
				}
			}
			if cmd.Flags().Changed("tenant") {
				f.Tenant = a.tenant
			}
			if a.json() && !cmd.Flags().Changed("limit") {
				limit = 0
			}
			if err := a.checkAudit(&f, since, limit); err != nil {
				return err
			}
			if len(files) == 0 {
				c, _, err := a.config(config.LoadWithoutSecrets)
				if err != nil {
					return err
				}
				if !c.Index.URL.IsZero() {
					return a.withIndex(cmd.Context(), func(x *index.Index) error { return a.showIndexedAudit(cmd.Context(), x, f, limit) })
				}
				if c.AuditFile == "" || c.AuditFile == audit.Stderr {
					return usage("the configuration names no file for the audit log (audit.file): name one here")
				}
				files = []string{c.AuditFile}
			}
			return a.showAudit(files, f, limit)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&since, "since", "", "only what was since `T`: a duration ago such as 12h or 3d, or an RFC 3339 time")
	fl.StringSliceVar(&f.Actions, "action", nil, "only these `actions`, such as start,cancel,login")
	fl.StringVar(&f.Actor, "actor", "", "only what this `key or person` did")
	fl.StringVar(&f.Batch, "batch", "", "only what is about the batch with this `id`")
	fl.IntVar(&limit, "limit", limit, "how many, the newest; 0 is all")
	complete(cmd, "action", completeList(audit.Actions()))
	return cmd
}

func (a *app) checkAudit(f *audit.Filter, since string, limit int) error {
	for _, name := range f.Actions {
		if !slices.Contains(audit.Actions(), name) {
			return usage("--action %q, expected one or more of %v with commas between them", name, audit.Actions())
		}
	}
	if limit < 0 {
		return usage("--limit %d, expected a number from 0", limit)
	}
	if since == "" {
		return nil
	}
	at, err := a.sinceOf(since)
	f.Since = at
	return err
}

// auditLines collects entries that are to be shown.
type auditLines struct {
	limit            int
	entries          []audit.Entry
	left, unreadable int
}

func (l *auditLines) read(r io.Reader, f audit.Filter, each func(*audit.Entry) error) error {
	for e, err := range audit.Read(r) {
		switch {
		case errors.Is(err, audit.ErrUnreadable):
			l.unreadable++
			continue
		case err != nil:
			return err
		case !f.Chooses(&e):
			continue
		}
		if l.limit == 0 && each != nil {
			if err := each(&e); err != nil {
				return err
			}
			continue
		}
		if l.entries = append(l.entries, e); l.limit > 0 && len(l.entries) >= 2*l.limit {
			l.cut()
		}
	}
	return nil
}

// cut drops what is older than the newest lines that are to be shown.
func (l *auditLines) cut() {
	if n := len(l.entries) - l.limit; l.limit > 0 && n > 0 {
		l.entries, l.left = slices.Delete(l.entries, 0, n), l.left+n
	}
}

func (a *app) showAudit(files []string, f audit.Filter, limit int) error {
	l := auditLines{limit: limit}
	each := func(e *audit.Entry) error { return a.print(e) }
	if !a.json() {
		each = nil
	}
	for _, name := range files {
		in, err := a.auditFile(name)
		if err != nil {
			return err
		}
		err = l.read(in, f, each)
		_ = in.Close() // it was only read
		if err != nil {
			return err
		}
	}
	l.cut()
	if l.unreadable > 0 {
		a.note("%s of the files cannot be read as entries of an audit log", plural(l.unreadable, "line"))
	}
	if a.json() {
		for i := range l.entries {
			if err := each(&l.entries[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if l.left > 0 {
		a.note("%s before these are left out, --limit 0 shows all", plural(l.left, "action"))
	}
	a.auditTable(l.entries)
	return nil
}

// showIndexedAudit shows what the index has, the newest of it where there is a limit.
func (a *app) showIndexedAudit(ctx context.Context, x *index.Index, f audit.Filter, limit int) error {
	q := index.AuditQuery{Actor: f.Actor, Since: f.Since, Limit: 500}
	if len(f.Actions) == 1 {
		q.Action = f.Actions[0]
	}
	var entries []audit.Entry
	for more := true; more && (limit == 0 || len(entries) <= limit); more = q.Cursor != "" {
		page, next, err := x.Audit(ctx, q)
		if err != nil {
			return indexError(err)
		}
		for i := range page {
			var e audit.Entry
			if json.Unmarshal(page[i].Line, &e) == nil && f.Chooses(&e) {
				entries = append(entries, e)
			}
		}
		q.Cursor = next
	}
	left := limit > 0 && len(entries) > limit
	if left {
		entries = entries[:limit]
	}
	slices.Reverse(entries)
	if a.json() {
		for i := range entries {
			if err := a.print(&entries[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if left {
		a.note("actions before these are left out, --limit 0 shows all")
	}
	a.auditTable(entries)
	return nil
}

func (a *app) auditFile(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.stdin), nil
	}
	in, err := os.Open(name)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	return in, nil
}

func (a *app) auditTable(entries []audit.Entry) {
	if len(entries) == 0 {
		a.printf("nothing\n")
		return
	}
	t := &table{}
	t.row(headings("time", "action", "of", "tenant", "by", "through", "result", "")...)
	zone := a.now().Location()
	for i := range entries {
		e := &entries[i]
		result := cell{e.Result, 0}
		if e.Refused() {
			result.colour = red
		}
		through := strings.TrimSpace(e.Through + " " + e.Dialect)
		t.row(
			cell{e.Time.In(zone).Format("2006-01-02 15:04:05"), 0}, cell{e.Action, 0}, cell{auditTarget(e), 0}, cell{e.Tenant, 0},
			cell{auditActor(e), 0}, cell{through, 0}, result, cell{auditNote(e), faint},
		)
	}
	a.table(t)
}

// auditActor is who did something, with the role of a person.
func auditActor(e *audit.Entry) string {
	if e.Role == "" {
		return e.Actor
	}
	return e.Actor + " (" + e.Role + ")"
}

// auditTarget is what an action was about.
func auditTarget(e *audit.Entry) string {
	switch {
	case e.NewBatch != "":
		return e.Batch + " as " + e.NewBatch
	case len(e.Batches) > 0:
		return plural(len(e.Batches), "batch")
	case e.Batch != "":
		return e.Batch
	case e.Account != "":
		return "account " + e.Account
	case e.HeldTenant != "":
		return "tenant " + e.HeldTenant
	case slices.Contains(e.Selector, "all"):
		return "everything"
	}
	return ""
}

// auditNote is what else there is to say of an action.
func auditNote(e *audit.Entry) string {
	var parts []string
	if len(e.Selector) > 0 {
		chosen := "by " + strings.Join(e.Selector, ", ")
		if e.Selected != nil {
			chosen += ": " + number(*e.Selected)
		}
		parts = append(parts, chosen)
	}
	parts = append(parts, e.CountTexts()...)
	if e.Existing {
		parts = append(parts, "was there")
	}
	if e.Reason != "" {
		parts = append(parts, strconv.Quote(e.Reason))
	}
	if e.Unwritten > 0 {
		parts = append(parts, plural(e.Unwritten, "refusal")+" before it without a line")
	}
	if e.Remote != "" {
		parts = append(parts, "from "+e.Remote)
	}
	return strings.Join(parts, "; ")
}
