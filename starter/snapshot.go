package starter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/large"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Listed is a batch as Temporal's list tells of it.
type Listed struct {
	Ref
	// Run is Temporal's id of its run, and of what is listed with it.
	Run string
	// Open means that it had not ended, and State and Due are what it last told the list.
	Open  bool
	State message.BatchState
	Due   time.Time
	// Started and Closed are when it was started and when it ended; zero is not yet.
	Started, Closed time.Time
	// Late means that it got delivery reports that its own workflow could not take. The run
	// and its times are then those of who took them.
	Late bool

	single bool
}

// ListedQuery says of which batches a list tells. Tenants make no difference.
type ListedQuery struct {
	// Open lists those that have not ended, Closed those that have, and Late those that got
	// late reports, which may be open.
	Open, Closed, Late bool
	// Since leaves out what ended before it; zero leaves out nothing.
	Since time.Time
}

// Listed lists batches of all tenants, the newest end first. It may lag behind by seconds.
func (s *Starter) Listed(ctx context.Context, q ListedQuery) iter.Seq2[Listed, error] {
	ended := ""
	if !q.Since.IsZero() {
		ended = " AND CloseTime >= " + server.Quote(q.Since.UTC().Format(time.RFC3339Nano))
	}
	var queries []string
	if q.Open {
		queries = append(queries, OpenBatchesQuery())
	}
	if q.Late {
		kept := "WorkflowType = " + server.Quote(contract.KeepReportsName)
		queries = append(queries, kept+" AND ExecutionStatus = 'Running'", kept+" AND ExecutionStatus != 'Running'"+ended)
	}
	if q.Closed {
		queries = append(queries, "WorkflowType = "+server.Quote(contract.SendBatchName)+
			" AND ExecutionStatus != 'Running' AND ExecutionStatus != 'ContinuedAsNew'"+ended)
	}
	return func(yield func(Listed, error) bool) {
		for _, query := range queries {
			for info, err := range s.server.Runs(ctx, query) {
				if err != nil {
					yield(Listed{}, server.Translate(ctx, "list batches", err))
					return
				}
				if l, ok := s.listedOf(info); ok && !yield(l, nil) {
					return
				}
			}
		}
	}
}

// listedOf reads what a list tells; false is of what is no batch.
func (s *Starter) listedOf(info *workflowpb.WorkflowExecutionInfo) (Listed, bool) {
	wid, late := strings.CutSuffix(info.GetExecution().GetWorkflowId(), contract.ReportsID(""))
	ref, ok := server.ParseWorkflowID(wid)
	if !ok {
		return Listed{}, false
	}
	l := Listed{Ref: ref, Run: info.GetExecution().GetRunId(), Late: late, Open: server.IsOpen(info.GetStatus()), Started: info.GetStartTime().AsTime()}
	if info.GetCloseTime() != nil {
		l.Closed = info.GetCloseTime().AsTime()
	}
	if !late {
		d := s.server.DescriptionOf(info)
		l.State, l.single = d.State, d.Memo.Single
		server.ReadAttribute(info, contract.AttrDue, &l.Due)
	}
	return l, true
}

// Deleted is a batch that was deleted. Created is when it was made, in milliseconds: a later one
// with its id is another batch.
type Deleted struct {
	Ref
	Created time.Time
}

// Deleted lists batches of all tenants that were deleted since a time, the zero time being as
// long ago as the namespace keeps workflows that have ended. It may lag behind by seconds.
func (s *Starter) Deleted(ctx context.Context, since time.Time) iter.Seq2[Deleted, error] {
	query := "WorkflowType = " + server.Quote(contract.DeletedName)
	if !since.IsZero() {
		query += " AND StartTime >= " + server.Quote(since.UTC().Format(time.RFC3339Nano))
	}
	return func(yield func(Deleted, error) bool) {
		for info, err := range s.server.Runs(ctx, query) {
			if err != nil {
				yield(Deleted{}, server.Translate(ctx, "list deleted batches", err))
				return
			}
			wid, created, ok := contract.ParseDeletedID(info.GetExecution().GetWorkflowId())
			ref, isBatch := server.ParseWorkflowID(wid)
			if ok && isBatch && !yield(Deleted{ref, created}, nil) {
				return
			}
		}
	}
}

// Snapshot is how a batch stands, and its messages.
type Snapshot struct {
	Status message.Status
	// Segments is where each segment of a large batch stands, as RowsQuery.Ended takes it;
	// empty of a small one.
	Segments string
	// Rows yields messages in the order in which they lie. Those of a batch that is open may
	// be newer than Status. Parts of a large batch that the store has lost are an error that
	// wraps ErrLost, after which the others come; any other error is the last.
	Rows func(ctx context.Context, q RowsQuery) iter.Seq2[Rows, error]
}

// snapshot reads the rows of a Snapshot.
type snapshot struct {
	s      *Starter
	ref    Ref
	single bool
	view   *large.View       // of a large batch
	rows   []message.Row     // of a small one that has ended
	asked  []message.Message // what a small one was asked for, once it was read
}

// Snapshot reads how a batch stands. What has ended needs no worker.
//
// Errors: those of Status. ErrStillRunning is of a batch that Temporal is about to end.
func (s *Starter) Snapshot(ctx context.Context, l Listed) (Snapshot, error) {
	x := &snapshot{s: s, ref: l.Ref, single: l.single}
	if l.Open || l.Late { // the list may be behind
		st, err := s.status(ctx, l.Ref)
		switch {
		case err != nil:
			return Snapshot{}, err
		case st.large:
			return x.large(ctx, s.viewOf(l.Ref, st)), nil
		case st.open:
			st.Status.AsOf = s.o.Now().UTC()
			st.Status.Forecast(s.o.Rates[st.Status.Account], 0)
			return Snapshot{Status: st.Status, Rows: x.openRows}, nil
		}
	}
	res, err := s.result(ctx, l.Ref)
	if err != nil {
		return Snapshot{}, err
	}
	if res.Large != nil {
		return x.large(ctx, s.viewOf(l.Ref, endedStatus(res))), nil
	}
	if res, err = s.reported(ctx, l.Ref, res, true); err != nil {
		return Snapshot{}, err
	}
	x.rows = res.Rows
	return Snapshot{Status: res.Status, Rows: x.endedRows}, nil
}

// large is the snapshot of a large batch.
func (x *snapshot) large(ctx context.Context, v *large.View) Snapshot {
	x.view = v
	return Snapshot{Status: v.LiveStatus(ctx), Segments: v.Large.Segments, Rows: x.largeRows}
}

// RowsQuery says which rows of a snapshot are wanted.
type RowsQuery struct {
	// Since leaves out those whose rev is not above it.
	Since int64
	// Cursor is Next of the rows before; empty is the beginning.
	Cursor string
	// Ended is Segments of a Snapshot of which all rows were read; segments that had ended by
	// then are read again only for reports that came later. Empty is none.
	Ended string
	// Ahead is how many segments of a large batch are read at once; 0 is 1.
	Ahead int
}

// Rows is some of a snapshot's rows, up to a thousand.
type Rows struct {
	Messages []message.Row
	// Others are the further addresses of each recipient.
	Others [][]string
	// Next is where the next ones begin; empty is that there are none.
	Next string
}

// ErrLost means that the store does not have a part of a batch any more.
var ErrLost = errors.New("the store does not have it any more")

func (x *snapshot) largeRows(ctx context.Context, q RowsQuery) iter.Seq2[Rows, error] {
	return func(yield func(Rows, error) bool) {
		from, err := large.ParseCursor(q.Cursor)
		if err != nil {
			yield(Rows{}, err)
			return
		}
		// Next of the last piece stays behind it: what comes then is nothing.
		for p, err := range x.view.Pieces(ctx, large.PiecesQuery{From: from.Segment, Since: q.Since, Ended: q.Ended, Ahead: q.Ahead}) {
			if store.Lost(err) && !errors.Is(err, ErrNotFound) {
				err = fmt.Errorf("%w: %w", ErrLost, err)
			}
			if !yield(Rows{Messages: p.Rows, Others: p.Others, Next: fmt.Sprintf("%d:0", p.Segment+1)}, err) {
				return
			}
		}
	}
}

func (x *snapshot) endedRows(ctx context.Context, q RowsQuery) iter.Seq2[Rows, error] {
	return func(yield func(Rows, error) bool) {
		var out Rows
		for _, row := range x.rows {
			if row.Rev > q.Since {
				out.Messages = append(out.Messages, row)
			}
		}
		err := x.addOthers(ctx, &out)
		if len(out.Messages) > 0 || err != nil {
			yield(out, err)
		}
	}
}

func (x *snapshot) openRows(ctx context.Context, q RowsQuery) iter.Seq2[Rows, error] {
	return func(yield func(Rows, error) bool) {
		page := message.PageQuery{Since: q.Since, Cursor: q.Cursor, Limit: message.MaxPage}
		for {
			p, err := x.s.smallPage(ctx, x.ref, page)
			out := Rows{Messages: p.Messages, Next: p.Next}
			if err == nil {
				err = x.addOthers(ctx, &out)
			}
			if !yield(out, err) || err != nil || p.Next == "" {
				return
			}
			page.Cursor = p.Next
		}
	}
}

// addOthers fills in the further addresses of a small batch's recipients, which its
// request tells.
func (x *snapshot) addOthers(ctx context.Context, rows *Rows) error {
	rows.Others = make([][]string, len(rows.Messages))
	if x.single || len(rows.Messages) == 0 {
		return nil
	}
	if x.asked == nil {
		in, err := x.s.server.Input(ctx, x.ref)
		if err != nil {
			return err
		}
		x.asked = in.Batch.Messages
	}
	for i := range rows.Messages {
		if n := rows.Messages[i].Index; n < len(x.asked) {
			rows.Others[i] = x.asked[n].OtherAddresses()
		}
	}
	return nil
}
