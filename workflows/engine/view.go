package engine

import (
	"strings"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// status answers the query status.
func (r *run) status() (message.Status, error) {
	s := r.Status(r.batch, r.counts, message.ReasonsOf(r.recs), workflow.Now(r.Root), r.rev)
	var next int64
	recent := message.Recent{Since: r.recentSince()}
	for i := range r.recs {
		rec := &r.recs[i]
		if rec.State.Waiting() && (next == 0 || rec.Next < next) {
			next = rec.Next
		}
		s.Wait(rec)
		if rec.State == message.Sending && rec.Await == 0 {
			s.Sends(r.account(i))
		}
		if rec.LastTried() >= recent.Since {
			recent.Ended++
		}
	}
	if r.counts.Open() > 0 || r.seg != nil {
		s.Recent = &recent
	}
	s.NextDueAt, s.Held = message.At(next), r.heldBy()
	return s, nil
}

// recentSince is since when it is counted what the run did. Of a segment, whose batch knows
// when it began, that is but for holds.
func (r *run) recentSince() int64 {
	if r.seg != nil {
		return max(r.Resumed, r.Now()-message.RecentSpan.Milliseconds())
	}
	return r.RecentSince(workflow.GetInfo(r.Root).WorkflowStartTime.UnixMilli(), r.Now())
}

// page answers the query messages.
func (r *run) page(q message.PageQuery) (message.Page, error) {
	q.Room = r.room
	page, err := message.Pages(q, len(r.recs),
		func(i int) (message.State, int64) { return r.recs[i].State, r.recs[i].Rev }, r.row)
	if err != nil {
		err = temporal.NewApplicationError(err.Error(), contract.ErrInputType)
	}
	return page, err
}

// row shows a message; that of a segment lacks what only the store knows.
func (r *run) row(i int) message.Row {
	return r.batch.RowOf(r.key, r.number(i), &r.batch.Messages[i], &r.recs[i])
}

// one answers the query message, for an id or an index.
func (r *run) one(id converter.RawValue) (message.Row, error) {
	found, err := r.targets([]string{strings.Trim(strings.TrimSpace(string(id.Payload().GetData())), `"`)})
	if err != nil {
		return message.Row{}, err
	}
	i := found[0]
	row := r.row(i)
	row.Trail = r.batch.TrailOf(&r.batch.Messages[i], r.recs[i].Trail)
	return row, nil
}

// result is what the workflow returns.
func (r *run) result() message.Result {
	s, _ := r.status()
	rows := make(message.Rows, len(r.recs))
	for i := range rows {
		rows[i] = r.row(i)
	}
	return message.Result{V: message.Version, Status: s, Rows: rows, Trails: message.FitRows(&s, rows, message.TrailsOf(r.recs), r.room)}
}

// show tells the Web UI and the lists how the batch stands, when that changed.
func (r *run) show() {
	r.display.Show(&r.Progress, r.rev,
		func() string {
			return r.Details(message.Plural(len(r.recs), "message"), r.counts, message.ReasonsOf(r.recs), r.Reason)
		},
		func() message.Counts { return r.counts })
}

// meter counts a message that ended.
func (r *run) meter(i int, s message.State) {
	r.CountEnds(s, r.recs[i].Code, r.account(i), 1)
}
