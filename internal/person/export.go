package person

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"volley/internal/index"
	"volley/starter"
)

// Export is all that is known of one person.
type Export struct {
	AsOf time.Time `json:"asOf"`
	// Batches are those that have messages of the person.
	Batches []ExportedBatch `json:"batches"`
	// Suppressions are those of the tenant's list and of everybody's.
	Suppressions []SuppressionRow `json:"suppressions"`
	// Audit are the lines of the audit log about these batches; the log names no person.
	Audit []json.RawMessage `json:"audit"`
	// Unreached names what may be known elsewhere.
	Unreached []string `json:"unreached"`
}

// ExportedBatch is one batch, with the person's messages alone.
type ExportedBatch struct {
	ID       string          `json:"id"`
	Tenant   string          `json:"tenant"`
	Dialect  string          `json:"dialect"`
	Created  *time.Time      `json:"createdAt"`
	Metadata json.RawMessage `json:"metadata"`
	// Messages are rows with their trails and, unless they are sensitive, their texts. Those
	// that Temporal and the store do not have any more are as the index has them.
	Messages []any `json:"messages"`
}

// SuppressionRow is a suppression as it is shown.
type SuppressionRow struct {
	// Tenant is null for everybody's.
	Tenant *string `json:"tenant"`
	// Recipient is empty where it was forgotten; Key names it then.
	Recipient string     `json:"recipient"`
	Key       string     `json:"key"`
	Reason    string     `json:"reason"`
	Source    string     `json:"source"`
	Until     *time.Time `json:"until"`
	At        time.Time  `json:"at"`
	By        string     `json:"by"`
}

// RowOf shows a suppression.
func RowOf(s index.Suppression) SuppressionRow {
	r := SuppressionRow{Recipient: s.Recipient, Key: s.Key, Reason: s.Reason, Source: s.Source, At: s.At, By: s.By}
	if s.Tenant != "" {
		r.Tenant = &s.Tenant
	}
	if !s.Until.IsZero() {
		r.Until = &s.Until
	}
	return r
}

// Export tells all that is known of a person in a tenant's batches.
func (r *Records) Export(ctx context.Context, q Query, now time.Time) (*Export, error) {
	all, err := r.gather(ctx, q)
	if err != nil {
		return nil, err
	}
	e := &Export{AsOf: now.UTC(), Batches: []ExportedBatch{}, Suppressions: []SuppressionRow{}, Audit: []json.RawMessage{}, Unreached: unreached()}
	for _, ref := range sorted(all) {
		b, err := r.exportBatch(ctx, ref, all[ref])
		if err != nil {
			return nil, err
		}
		e.Batches = append(e.Batches, b)
		if err := r.auditOf(ctx, ref, e); err != nil {
			return nil, err
		}
	}
	query := index.SuppressionQuery{Tenants: []string{q.Tenant, ""}, Recipient: normal(q)}
	list, _, err := r.Index.Suppressions(ctx, query)
	for _, s := range list {
		e.Suppressions = append(e.Suppressions, RowOf(s))
	}
	return e, err
}

func (r *Records) exportBatch(ctx context.Context, ref starter.Ref, b *batchOf) (ExportedBatch, error) {
	out := ExportedBatch{ID: ref.ID, Tenant: ref.Tenant, Metadata: json.RawMessage("{}"), Messages: []any{}}
	st, err := r.Batches.Status(ctx, ref)
	switch {
	case err == nil:
		created := st.CreatedAt
		out.Dialect, out.Created, out.Metadata = st.Dialect, &created, st.Metadata
	case !errors.Is(err, starter.ErrNotFound):
		return out, err
	}
	rows := map[int]index.Found{}
	for _, m := range b.found {
		rows[m.Index] = m
	}
	var indexes []int
	for i := range rows {
		indexes = append(indexes, i)
	}
	for _, p := range b.places {
		if _, ok := rows[p.Index]; !ok {
			indexes = append(indexes, p.Index)
		}
	}
	slices.Sort(indexes)
	for _, i := range indexes {
		row, err := r.Batches.Message(ctx, ref, text(i))
		m, indexed := rows[i]
		switch {
		case err == nil:
			out.Messages = append(out.Messages, row)
		case errors.Is(err, starter.ErrNotFound) && indexed:
			out.Messages = append(out.Messages, m)
		case !errors.Is(err, starter.ErrNotFound):
			return out, err
		}
	}
	return out, nil
}

// maxAudit is how many lines of the audit log are told of one batch.
const maxAudit = 500

func (r *Records) auditOf(ctx context.Context, ref starter.Ref, e *Export) error {
	lines, _, err := r.Index.Audit(ctx, index.AuditQuery{Tenant: ref.Tenant, Batch: ref.ID, Limit: maxAudit})
	for _, l := range lines {
		if len(l.Line) > 0 {
			e.Audit = append(e.Audit, l.Line)
		}
	}
	return err
}
