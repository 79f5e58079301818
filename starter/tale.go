package starter

import (
	"context"
	"fmt"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"volley/internal/message"
	"volley/workflows"
)

// cutShort tells from the history of a segment's workflow how its messages stood
// when Temporal ended it. The ledger's records are final.
func (v *view) cutShort(ctx context.Context, number int) (*message.Ledger, *story, error) {
	what := fmt.Sprintf("segment %d of batch %s", number, v.ref.ID)
	events := v.s.c.GetWorkflowHistory(ctx, v.workflow(number), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var st *story
	ledger := &message.Ledger{V: message.Version}
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, nil, v.s.translate(ctx, what, err)
		}
		if st == nil {
			if st, err = v.beginTale(ctx, number, e, ledger); err != nil {
				return nil, nil, err
			}
		}
		st.tell(e)
	}
	if st == nil {
		return nil, nil, fmt.Errorf("%s: its history is empty", what)
	}
	st.cut()
	ledger.Records = st.recs
	return ledger, st, nil
}

// beginTale reads the input of a segment's workflow and takes up its messages.
func (v *view) beginTale(ctx context.Context, number int, first *historypb.HistoryEvent, ledger *message.Ledger) (*story, error) {
	var in workflows.SegmentInput
	if err := v.s.o.DataConverter.FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in); err != nil {
		return nil, fmt.Errorf("read the input of segment %d of batch %s: %w", number, v.ref.ID, err)
	}
	m, err := v.manifest(ctx)
	if err != nil {
		return nil, err
	}
	st := &story{
		dc: v.s.o.DataConverter, batch: m.Batch, key: v.key, steps: map[int64]step{}, groups: map[int64][]int{},
		places: map[int]int{}, spots: map[message.Spot]int{}, at: first.GetEventTime().AsTime().UnixMilli(),
	}
	lines, err := v.takeUp(ctx, in, st)
	if err != nil {
		return nil, err
	}
	st.batch.Messages = make([]message.Message, len(lines))
	for i, l := range lines {
		st.batch.Messages[i].Route = l.Route
		st.places[l.Index], st.spots[l.Spot] = i, i
		if in.Sources[0].Left {
			ledger.Spots = append(ledger.Spots, l.Spot)
		}
	}
	if s := in.State; s != nil {
		st.rev, st.started = s.Rev, s.Started
		if len(s.Ledger.Records) == len(lines) {
			copy(st.recs, s.Ledger.Records)
		}
		return st, nil
	}
	st.controls(in, lines)
	return st, nil
}

// takeUp gives a segment's messages their first records, or those that they were
// left with.
func (v *view) takeUp(ctx context.Context, in workflows.SegmentInput, st *story) (message.Lines, error) {
	var lines message.Lines
	for _, source := range in.Sources {
		all, err := v.s.o.Store.Lines(ctx, v.large.Dir, source.Segment)
		if err != nil {
			return nil, v.s.storeError("batch "+v.ref.ID, err)
		}
		if !source.Left {
			for _, l := range all {
				lines = append(lines, l)
				st.recs = append(st.recs, firstRecord(l, st.batch.CreatedAt.UnixMilli()))
			}
			continue
		}
		ledger, err := v.s.o.Store.Ledger(ctx, v.large.Dir, source.Segment)
		if err != nil {
			return nil, v.s.storeError("batch "+v.ref.ID, err)
		}
		for pos := range min(len(all), len(ledger.Records)) {
			if !ledger.Records[pos].State.Final() {
				lines = append(lines, all[pos])
				st.recs = append(st.recs, own(ledger.Records[pos]))
			}
		}
	}
	return lines, nil
}

// own is a record out of a ledger that others read too.
func own(rec message.Record) message.Record {
	rec.Trail = slices.Clone(rec.Trail)
	return rec
}

// firstRecord is what is known of a message that was not tried yet.
func firstRecord(l message.Line, created int64) message.Record {
	rec := message.Record{Due: l.Due, Expires: l.Due + l.TTL, Rev: created << revShift}
	if l.Code != "" {
		rec.State, rec.Finished, rec.Code, rec.Detail = message.Rejected, created, l.Code, l.Detail
	}
	return rec
}

// controls does what was asked of messages before their workflow began.
func (st *story) controls(in workflows.SegmentInput, lines message.Lines) {
	for i := range st.recs {
		if rec := &st.recs[i]; in.Due > 0 && rec.State.Waiting() && rec.Attempts == 0 {
			rec.Due, rec.Expires = in.Due, in.Due+lines[i].TTL
		}
	}
	for k, index := range in.Canceled {
		i, ok := st.place(index)
		if !ok || st.recs[i].State.Final() {
			continue
		}
		reason := ""
		if k < len(in.Reasons) {
			reason = in.Reasons[k]
		}
		st.stop(i, reason)
		if k < len(in.Revs) {
			st.recs[i].Finished = in.Revs[k] >> revShift
		}
	}
	if in.Cancel != nil {
		st.cancel(*in.Cancel)
	}
}
