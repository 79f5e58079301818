package starter

import (
	"context"
	"fmt"
	"slices"

	"volley/internal/message"
)

// revShift makes the change counter of a large batch out of a time in Unix ms.
const revShift = 10

// rows are all messages of one segment, by position. What only the message itself
// tells (recipient, reference, a channel that no hop names) is filled in for those
// rows that are shown.
type rows struct {
	view    *view
	number  int
	batch   message.Batch // hops, and for each position a message that has its route
	list    []message.Row
	records []*message.Record // where the store has them
	asked   []int             // the number of the running workflow that told a row; 0 is none
	late    map[int]message.Late
}

// rowsOf tells how the messages of a segment stand. q leaves out what the caller
// does not want to see, as far as that saves anything; the rows still have to be
// filtered. Rows that were left out have index -1.
func (v *view) rowsOf(ctx context.Context, number int, q filter) (*rows, error) {
	m, err := v.manifest(ctx)
	if err != nil {
		return nil, err
	}
	lines, err := v.lines(ctx, m, number)
	if err != nil {
		return nil, err
	}
	r := &rows{view: v, number: number, batch: m.Batch}
	r.batch.Messages = make([]message.Message, len(lines))
	for i, l := range lines {
		r.batch.Messages[i].Route = l.Route
	}
	r.list = make([]message.Row, len(lines))
	r.records, r.asked = make([]*message.Record, len(lines)), make([]int, len(lines))
	switch letter := v.letter(number); letter {
	case message.SegmentRunning, message.SegmentRetrying:
		if err := r.running(ctx, lines, q); err != nil {
			return r, err
		}
		return r, r.lay(ctx)
	case message.SegmentEnded, message.SegmentLeft:
		if err := r.ended(ctx, lines); err != nil {
			return r, err
		}
		return r, r.lay(ctx)
	default:
		r.idle(lines, letter == message.SegmentNever)
		return r, nil
	}
}

// put sets the row of a message out of its record.
func (r *rows) put(lines message.Lines, pos int, rec *message.Record) {
	row := r.batch.RowOf(r.view.key, pos, rec)
	row.Index, row.ID = lines[pos].Index, r.view.key.MessageID(lines[pos].Index)
	r.list[pos] = row
}

// idle fills in a segment that has no workflow: it waits for its turn, or will
// never have one.
func (r *rows) idle(lines message.Lines, never bool) {
	large, made := &r.view.large, r.batch.CreatedAt.UnixMilli()
	canceled := r.view.canceled()
	now := r.view.status.AsOf.UnixMilli()
	rest := r.view.rest(r.number, never)
	for pos, l := range lines {
		rec := firstRecord(l, made)
		by := canceled[l.Index]
		if large.Due != 0 && l.Code == "" && (by.rev == 0 || by.rev > large.DueRev) {
			rec.Due, rec.Expires, rec.Rev = large.Due, large.Due+l.TTL, max(rec.Rev, large.DueRev)
		}
		if !r.view.stopped(&rec, l.Index, canceled, rest) && !rec.State.Final() && rec.Due <= now {
			rec.State = message.Accepted
		}
		r.put(lines, pos, &rec)
	}
}

// strike is a cancel of one message by name before a workflow had it, at a rev of
// the batch; 0 is not known.
type strike struct {
	reason string
	rev    int64
}

// canceled are such messages, by index.
func (v *view) canceled() map[int]strike {
	all := make(map[int]strike, len(v.large.Canceled))
	for i, index := range v.large.Canceled {
		var s strike
		if i < len(v.large.Reasons) {
			s.reason = v.large.Reasons[i]
		}
		if i < len(v.large.Revs) {
			s.rev = v.large.Revs[i]
		}
		all[index] = s
	}
	return all
}

// stopped ends the record of a message that no workflow will have: one that was
// canceled by name, or of which rest says what became of it. It reports whether it
// did.
func (v *view) stopped(rec *message.Record, index int, canceled map[int]strike, rest *message.Rest) bool {
	by, named := canceled[index]
	if rec.State.Final() || !named && rest == nil {
		return false
	}
	switch {
	case by.rev > 0:
		rec.Finished = by.rev >> revShift
	case rest != nil:
		rec.Finished = rest.Finished
	case !v.open && v.status.FinishedAt != nil:
		rec.Finished = v.status.FinishedAt.UnixMilli()
	}
	rec.State, rec.Code, rec.Detail = message.Canceled, codeCanceled, by.reason
	if !named {
		rec.State, rec.Code, rec.Detail = rest.State, rest.Code, rest.Detail
	}
	rec.Rev = max(rec.Rev, rec.Finished<<revShift, by.rev)
	return true
}

// rest is what became of the messages of a segment that never ran; nil while it
// waits for its turn.
func (v *view) rest(number int, never bool) *message.Rest {
	if !never {
		return nil
	}
	if own, ok := v.large.RestOf[number]; ok {
		return &own
	}
	if v.large.Rest != nil {
		return v.large.Rest
	}
	return &message.Rest{State: message.Canceled, Code: codeCanceled, Detail: detailCanceled}
}

// running asks a segment's workflow. One that has ended meanwhile has left its
// ledger, and one that is not there yet waits.
func (r *rows) running(ctx context.Context, lines message.Lines, q filter) error {
	told, state, err := r.view.ask(ctx, r.number, q)
	switch {
	case err != nil:
		return err
	case state == hasEnded:
		return r.ended(ctx, lines)
	case state == notThere:
		r.idle(lines, false)
		return nil
	}
	at := make(map[int]int, len(lines))
	for pos, l := range lines {
		at[l.Index] = pos
		r.list[pos].Index = -1
	}
	for _, row := range told {
		if pos, ok := at[row.Index]; ok {
			r.list[pos], r.asked[pos] = row, r.number
		}
	}
	return nil
}

// ended reads a segment's ledger, and lays over it what retries made of what it
// left.
func (r *rows) ended(ctx context.Context, lines message.Lines) error {
	l, err := r.view.s.o.Store.Ledger(ctx, r.view.large.Dir, r.number)
	if err != nil {
		return r.view.s.storeError("batch "+r.view.ref.ID, err)
	}
	if len(l.Records) != len(lines) {
		return fmt.Errorf("batch %s: the ledger of segment %d has %d messages of %d", r.view.ref.ID, r.number, len(l.Records), len(lines))
	}
	for pos := range lines {
		r.records[pos] = &l.Records[pos]
		r.put(lines, pos, &l.Records[pos])
	}
	for _, retry := range r.view.large.Retries {
		if !r.view.covers(retry, r.number) {
			continue
		}
		if err := r.retried(ctx, lines, retry); err != nil {
			return err
		}
	}
	if own, ok := r.view.large.RestOf[r.number]; ok {
		r.abandoned(lines, &own)
	} else if len(r.view.large.Canceled) > 0 {
		r.abandoned(lines, nil)
	}
	return nil
}

// abandoned ends what the segment left and nobody has, or will have.
func (r *rows) abandoned(lines message.Lines, rest *message.Rest) {
	canceled := r.view.canceled()
	for pos, l := range lines {
		if r.records[pos] == nil {
			continue
		}
		if rec := *r.records[pos]; r.view.stopped(&rec, l.Index, canceled, rest) {
			r.records[pos] = &rec
			r.put(lines, pos, &rec)
		}
	}
}

// covers reports whether a retry may have messages of a segment: directly, or from
// another retry that had.
func (v *view) covers(retry message.Retry, number int) bool {
	return slices.ContainsFunc(retry.Segments, func(n int) bool { return n == number || n > len(v.large.Segments) })
}

// retried lays the messages that a retry took over the segment's own.
func (r *rows) retried(ctx context.Context, lines message.Lines, retry message.Retry) error {
	t, err := r.view.takenBy(ctx, retry)
	if err != nil {
		return err
	}
	if t == nil {
		if rest, ok := r.view.large.RestOf[retry.Number]; ok {
			r.abandoned(lines, &rest)
		}
		return nil
	}
	for i, spot := range t.spots {
		if spot.Segment == r.number && spot.Pos < len(lines) {
			r.records[spot.Pos] = &t.records[i]
			r.put(lines, spot.Pos, &t.records[i])
		}
	}
	if len(t.told) == 0 {
		return nil
	}
	for pos, l := range lines {
		if row, ok := t.told[l.Index]; ok {
			r.list[pos], r.asked[pos], r.records[pos] = row, retry.Number, nil
		}
	}
	return nil
}
