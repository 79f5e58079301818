package index

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// auditHash is the kind of hash that tells a line of the audit log from its repetition.
const auditHash byte = 'l'

// Record keeps lines of the audit log. One that is there already is not kept again.
func (x *Index) Record(ctx context.Context, entries []AuditEntry) error {
	type sealed struct {
		sum  int64
		line []byte
	}
	lines := make([]sealed, len(entries))
	for i, e := range entries {
		line, err := x.people.seal(e.Tenant, "audit", e.Reason, string(e.Line))
		if err != nil {
			return err
		}
		lines[i] = sealed{x.people.sum(auditHash, strings.Join([]string{e.Action, e.Result, e.Actor, e.Through, e.Tenant, e.Batch, e.Reason, string(e.Line)}, "\x00")), line}
	}
	return x.db.change(ctx, func(t *tx) error {
		return t.insert("INSERT INTO audit (at, sum, action, result, actor, through, tenant, batch, line) ", 9, " ON CONFLICT DO NOTHING", len(entries), func(i int) []any {
			e := &entries[i]
			return []any{e.Time.UnixMilli(), lines[i].sum, e.Action, e.Result, e.Actor, e.Through, e.Tenant, e.Batch, lines[i].line}
		})
	})
}

// Audit lists lines of the audit log, newest first, and the cursor of the next page, empty
// on the last one.
func (x *Index) Audit(ctx context.Context, q AuditQuery) (entries []AuditEntry, next string, err error) {
	limit, err := limitOf(q.Limit)
	if err != nil {
		return nil, "", err
	}
	where, args := "1 = 1", []any{}
	for _, c := range []struct{ column, value string }{{"tenant", q.Tenant}, {"batch", q.Batch}, {"action", q.Action}, {"actor", q.Actor}} {
		if c.value != "" {
			where, args = where+" AND "+c.column+" = ?", append(args, c.value)
		}
	}
	if !q.Since.IsZero() {
		where, args = where+" AND at >= ?", append(args, q.Since.UnixMilli())
	}
	if q.Cursor != "" {
		when, n, ok := strings.Cut(q.Cursor, ".")
		before, err := strconv.ParseInt(when, 36, 64)
		last, err2 := strconv.ParseInt(n, 36, 64)
		if !ok || err != nil || err2 != nil {
			return nil, "", invalid("a cursor that is none, expected next of the page before")
		}
		where, args = where+" AND (at < ? OR at = ? AND n < ?)", append(args, before, before, last)
	}
	entries = []AuditEntry{}
	err = x.db.look(ctx, func(t *tx) error {
		var last, at int64
		err := t.each("SELECT n, at, action, result, actor, through, tenant, batch, line FROM audit WHERE "+where+" ORDER BY at DESC, n DESC LIMIT ?", append(args, limit+1), func(row *sql.Rows) error {
			if len(entries) == limit {
				next = strconv.FormatInt(at, 36) + "." + strconv.FormatInt(last, 36)
				return nil
			}
			var e AuditEntry
			var line []byte
			if err := row.Scan(&last, &at, &e.Action, &e.Result, &e.Actor, &e.Through, &e.Tenant, &e.Batch, &line); err != nil {
				return err
			}
			var text string
			if x.people.open(e.Tenant, "audit", line, &e.Reason, &text) {
				e.Line = json.RawMessage(text)
			}
			e.Time = timeOf(at)
			entries = append(entries, e)
			return nil
		})
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		return nil
	})
	return entries, next, err
}
