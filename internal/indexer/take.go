package indexer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"volley/internal/index"
	"volley/starter"
)

// piece is how many messages are put at once, about.
const piece = 5_000

// progress is what came of looking at a batch.
type progress struct {
	// changed means that something was put, and closed that the batch has ended and all of it
	// is in.
	changed, closed bool
	// segments is where those of a large batch stood that was read from its beginning.
	segments string
}

// take takes in what is new of a batch. last is where its segments stood when all of it
// was taken in before.
func (f *Feed) take(ctx context.Context, l starter.Listed, last string) (progress, error) {
	began := f.o.Now()
	pos, err := f.index.Position(ctx, tenantOf(l), l.ID)
	switch {
	case err != nil:
		return progress{}, err
	case pos.Done && !l.Late && !l.Open && pos.Walk == l.Run:
		return progress{closed: true}, nil
	case pos.Done && !l.Late: // another batch had the id before
		if _, err := f.index.Drop(ctx, tenantOf(l), l.ID, began); err != nil {
			return progress{}, err
		}
		pos = index.Position{}
	}
	return f.takeFrom(ctx, l, pos, last)
}

// takeFrom takes in what has come after a position.
func (f *Feed) takeFrom(ctx context.Context, l starter.Listed, pos index.Position, last string) (progress, error) {
	began := f.o.Now()
	if pos == (index.Position{}) {
		last = ""
	}
	x, err := f.o.Batches.Snapshot(ctx, l)
	if err != nil {
		return progress{}, err
	}
	w := readerOf(pos, l, x, x.Status.SettledRev(f.o.Now()))
	if !w.needed() {
		return progress{segments: last}, nil
	}
	w.feed, w.began, w.batch = f, began, f.row.batch(&x.Status, began)
	if err := w.run(ctx, last); err != nil {
		return progress{}, err
	}
	t := progress{changed: true, closed: w.done() && !l.Open, segments: last}
	if w.whole {
		t.segments = x.Segments
	}
	return t, nil
}

// rowReader goes through the changes of a batch from one rev to another, in the order in which
// messages lie.
type rowReader struct {
	feed     *Feed
	began    time.Time
	listed   starter.Listed
	snapshot starter.Snapshot
	batch    index.Batch
	// before is where the batch stood when it was read, and at where it stands now.
	before, at index.Position
	cursor     string
	until      int64
	// whole means that it began at the beginning.
	whole    bool
	messages []index.Message
}

// readerOf goes on with what a position says, or begins.
func readerOf(pos index.Position, l starter.Listed, x starter.Snapshot, until int64) *rowReader {
	w := &rowReader{listed: l, snapshot: x, before: pos, at: pos, until: until, whole: true}
	if rev, cursor, ok := strings.Cut(pos.Walk, " "); ok && !pos.Done {
		if n, err := strconv.ParseInt(rev, 10, 64); err == nil {
			w.until, w.cursor, w.whole = n, cursor, false
		}
	}
	return w
}

// needed reports whether there is anything to take in.
func (w *rowReader) needed() bool {
	st := &w.snapshot.Status
	return !w.whole || st.Rev > w.before.Rev || st.State.Closed() && !w.before.Done
}

// done reports whether the batch has ended and nothing of it is left.
func (w *rowReader) done() bool {
	st := &w.snapshot.Status
	return st.State.Closed() && w.until >= st.Rev
}

// run puts all of it, and keeps how far it came.
func (w *rowReader) run(ctx context.Context, ended string) error {
	f, q := w.feed, starter.RowsQuery{Since: w.before.Rev, Cursor: w.cursor, Ended: ended, Ahead: w.feed.pace.ahead()}
	for rows, err := range w.snapshot.Rows(ctx, q) {
		switch {
		case errors.Is(err, starter.ErrLost):
			f.o.Log.Warn("the store lacks a part of a batch, which the index lacks then too", zap.String("batch_id", w.listed.ID), zap.Error(err))
			continue
		case err != nil:
			return err
		}
		for i := range rows.Messages {
			var others []string
			if i < len(rows.Others) {
				others = rows.Others[i]
			}
			w.messages = append(w.messages, f.row.message(&rows.Messages[i], others))
		}
		if len(w.messages) < piece || rows.Next == "" {
			continue
		}
		if err := w.put(ctx, index.Position{Rev: w.before.Rev, Walk: fmt.Sprintf("%d %s", w.until, rows.Next)}); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	end := index.Position{Rev: w.until}
	switch {
	case w.listed.Late:
		end.Done, end.Walk = w.before.Done && w.done(), w.before.Walk
	case !w.listed.Open: // else the run may not be the batch's last one
		end.Done, end.Walk = w.done(), w.listed.Run
	}
	if !end.Done {
		end.Walk = ""
	}
	return w.put(ctx, end)
}

// put puts what was gathered, and rests.
func (w *rowReader) put(ctx context.Context, p index.Position) error {
	f := w.feed
	err := f.index.Advance(ctx, w.batch, w.messages, index.Step{From: w.at, To: p, Lease: f.lease, Term: f.term})
	switch {
	case errors.Is(err, index.ErrMoved): // it is read anew, without an older batch that had its id
		_, derr := f.index.Delete(ctx, w.batch.Tenant, w.batch.ID, w.batch.CreatedAt.Add(-time.Millisecond))
		return errors.Join(err, derr)
	case err != nil:
		return err
	}
	w.at = p
	f.metrics.rows(len(w.messages))
	w.messages = w.messages[:0]
	f.pace.rest(ctx, w.began)
	w.began = f.o.Now()
	return nil
}

func tenantOf(l starter.Listed) string {
	if l.Tenant == "" {
		return starter.DefaultTenant
	}
	return l.Tenant
}
