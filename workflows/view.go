package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// state is where the batch stands.
func (r *run) state() message.BatchState {
	switch {
	case r.finished > 0 && r.cancel:
		return message.BatchCanceled
	case r.finished > 0:
		return message.BatchCompleted
	case r.cancel:
		return message.BatchCanceling
	case r.paused:
		return message.BatchPaused
	case r.started > 0:
		return message.BatchRunning
	default:
		return message.BatchScheduled
	}
}

// status answers the query status.
func (r *run) status() (message.Status, error) {
	counts := r.counts
	s := message.Status{
		ID: r.batch.ID, Dialect: r.batch.Dialect, Tenant: r.batch.Tenant, Account: r.batch.Account,
		State: r.state(), Dispatch: r.batch.Dispatch, CreatedAt: r.batch.CreatedAt,
		SendAfter: message.At(r.sendAt), StartedAt: message.At(r.started), FinishedAt: message.At(r.finished),
		Total: len(r.recs), Counts: &counts, Metadata: r.batch.Metadata, AsOf: workflow.Now(r.root).UTC(), Rev: r.rev,
	}
	if s.SendAfter == nil {
		s.SendAfter = message.At(r.batch.SendAfter)
	}
	if s.Account == "" && len(r.lanes) == 1 {
		s.Account = r.lanes[0].name
	}
	if s.Dispatch == "" {
		s.Dispatch = "message"
	}
	if s.Metadata == nil {
		s.Metadata = []byte("{}")
	}
	if r.batch.RedriveOf != "" {
		s.RedriveOf = &r.batch.RedriveOf
	}
	var next int64
	for i := range r.recs {
		if rec := &r.recs[i]; rec.State.Waiting() && (next == 0 || rec.Next < next) {
			next = rec.Next
		}
	}
	s.NextDueAt = message.At(next)
	return s, nil
}

// page answers the query messages.
func (r *run) page(q message.PageQuery) (message.Page, error) {
	page, err := message.Pages(q, len(r.recs),
		func(i int) (message.State, int64) { return r.recs[i].State, r.recs[i].Rev }, r.row)
	if err != nil {
		err = temporal.NewApplicationError(err.Error(), ErrInputType)
	}
	return page, err
}

// row shows a message; that of a segment lacks what only the store knows.
func (r *run) row(i int) message.Row {
	row := r.batch.RowOf(r.key, i, &r.recs[i])
	row.Index, row.ID = r.number(i), r.id(i)
	return row
}

// one answers the query message, for an id or an index.
func (r *run) one(id converter.RawValue) (message.Row, error) {
	i, err := r.index(strings.Trim(strings.TrimSpace(string(id.Payload().GetData())), `"`))
	if err != nil {
		return message.Row{}, err
	}
	row := r.row(i)
	row.Trail = r.batch.TrailOf(i, r.recs[i].Trail)
	return row, nil
}

// result is what the workflow returns.
func (r *run) result() message.Result {
	s, _ := r.status()
	rows := make(message.Rows, len(r.recs))
	for i := range rows {
		rows[i] = r.row(i)
	}
	return message.Result{V: message.Version, Status: s, Rows: rows, Trails: message.FitRows(rows, r.trails())}
}

// show tells the Web UI and the lists how the batch stands, when that changed.
func (r *run) show() {
	s := r.state()
	if now := fmt.Sprintf("%s %d", s, r.rev); now != r.described {
		r.described = now
		workflow.SetCurrentDetails(r.root, r.details())
	}
	if !r.indexed || string(s) == r.shown && r.sendAt == r.shownDue {
		return
	}
	r.shown, r.shownDue = string(s), r.sendAt
	attrs := []temporal.SearchAttributeUpdate{attrState.ValueSet(r.shown)}
	if s.Closed() {
		bad := r.counts[message.Failed] + r.counts[message.Undelivered] + r.counts[message.Unknown]
		attrs = append(attrs, attrFailed.ValueSet(int64(bad)))
	}
	if r.sendAt > 0 {
		attrs = append(attrs, attrDue.ValueSet(time.UnixMilli(r.sendAt).UTC()))
	}
	if err := workflow.UpsertTypedSearchAttributes(r.root, attrs...); err != nil {
		workflow.GetLogger(r.root).Warn("search attributes were not updated", "error", err)
	}
}

var (
	attrState  = temporal.NewSearchAttributeKeyKeyword(AttrState)
	attrFailed = temporal.NewSearchAttributeKeyInt64(AttrFailed)
	attrDue    = temporal.NewSearchAttributeKeyTime(AttrDue)
)

// details is a small table of the counts.
func (r *run) details() string {
	var b strings.Builder
	noun := "messages"
	if len(r.recs) == 1 {
		noun = "message"
	}
	fmt.Fprintf(&b, "**%s** · %d %s", r.state(), len(r.recs), noun)
	if r.reason != "" {
		fmt.Fprintf(&b, " · %s", r.reason)
	}
	b.WriteString("\n\n| state | messages |\n|---|---:|\n")
	for _, s := range message.States() {
		if r.counts[s] > 0 {
			fmt.Fprintf(&b, "| %s | %d |\n", s, r.counts[s])
		}
	}
	return b.String()
}

type meter struct {
	state   message.State
	account string
}

type meterCounter interface{ Inc(int64) }

// reportCounter counts reports by what became of them.
func reportCounter(ctx workflow.Context, account, outcome string) meterCounter {
	return workflow.GetMetricsHandler(ctx).
		WithTags(map[string]string{"outcome": outcome, "account": account}).Counter("volley_reports")
}

// meter counts a message that ended.
func (r *run) meter(i int, s message.State) {
	m := meter{s, r.account(i)}
	c, ok := r.meters[m]
	if !ok {
		c = workflow.GetMetricsHandler(r.root).
			WithTags(map[string]string{"state": s.String(), "account": m.account}).Counter("volley_messages")
		r.meters[m] = c
	}
	c.Inc(1)
}
