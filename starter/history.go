package starter

import (
	"context"
	"fmt"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// rebuild tells from its history how a batch stood when Temporal itself ended it
// (terminated, timed out, failed). No worker is needed.
func (s *Starter) rebuild(ctx context.Context, ref Ref) (message.Result, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return message.Result{}, err
	}
	events := s.c.GetWorkflowHistory(ctx, wid, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var st *story
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return message.Result{}, s.translate(ctx, "batch "+ref.ID, err)
		}
		if st == nil {
			in, err := s.inputOf(ref, e)
			if err != nil {
				return message.Result{}, err
			}
			if in.Large != nil {
				return s.rebuildLarge(ctx, ref, in, e, events)
			}
			st = newStory(wid, in, s.o.DataConverter)
			continue
		}
		st.tell(e)
	}
	if st == nil {
		return message.Result{}, fmt.Errorf("batch %s: its history is empty", ref.ID)
	}
	res := st.end()
	res.Status.AsOf = s.o.Now().UTC()
	return res, nil
}

// inputOf reads the input out of a history's first event.
func (s *Starter) inputOf(ref Ref, first *historypb.HistoryEvent) (workflows.Input, error) {
	var in workflows.Input
	payloads := first.GetWorkflowExecutionStartedEventAttributes().GetInput()
	if err := s.o.DataConverter.FromPayloads(payloads, &in); err != nil {
		return in, fmt.Errorf("read the input of batch %s: %w", ref.ID, err)
	}
	return in, nil
}

// story is a batch as its history tells it: the records that the workflow kept
// for itself, as far as events show them.
type story struct {
	dc      converter.DataConverter
	batch   message.Batch
	key     message.Key
	recs    []message.Record
	steps   map[int64]step // by the event that scheduled them
	rev     int64
	sendAt  int64
	started int64
	at      int64 // time of the latest event
	events  int64

	// In a segment of a large batch messages have places that are not their indexes,
	// and groups of them have steps in common.
	places map[int]int
	spots  map[message.Spot]int
	groups map[int64][]int
}

// place finds the record of a message by its index in the batch.
func (st *story) place(index int) (int, bool) {
	if st.places != nil {
		i, ok := st.places[index]
		return i, ok
	}
	return index, index >= 0 && index < len(st.recs)
}

// step is an activity of one message: an attempt, or a question about one.
type step struct {
	index    int
	question bool
}

func newStory(wid string, in workflows.Input, dc converter.DataConverter) *story {
	st := &story{
		dc: dc, batch: in.Batch, key: message.KeyOf(wid), steps: map[int64]step{},
		recs: make([]message.Record, len(in.Batch.Messages)), sendAt: in.Batch.SendAfter,
	}
	for i := range st.recs {
		st.rev++
		rec := &st.recs[i]
		rec.Due, rec.Rev = st.batch.DueAt(i), st.rev
		rec.Expires = rec.Due + st.batch.Validity(i)
		if p := st.batch.Messages[i].Problems; len(p) > 0 {
			rec.State, rec.Finished = message.Rejected, st.batch.CreatedAt.UnixMilli()
			rec.Code, rec.Detail = p[0].Code, message.Clip(p[0].Place(), message.MaxDetail)
		}
	}
	if in.State != nil {
		st.rev, st.started = max(st.rev, in.State.Rev), in.State.Started
		if in.State.SendAt != 0 {
			st.sendAt = in.State.SendAt
		}
		copy(st.recs, in.State.Records)
		for i := range min(len(st.recs), len(in.State.Trails)) {
			st.recs[i].Trail = slices.Clone(in.State.Trails[i])
		}
	}
	return st
}

// tell takes in the next event.
func (st *story) tell(e *historypb.HistoryEvent) {
	st.events++
	st.at = e.GetEventTime().AsTime().UnixMilli()
	switch e.GetEventType() {
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
		st.scheduled(e)
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
		st.completed(e.GetActivityTaskCompletedEventAttributes())
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_FAILED:
		a := e.GetActivityTaskFailedEventAttributes()
		st.lost(a.GetScheduledEventId(), a.GetStartedEventId(), a.GetFailure())
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
		a := e.GetActivityTaskTimedOutEventAttributes()
		st.lost(a.GetScheduledEventId(), a.GetStartedEventId(), a.GetFailure())
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
		a := e.GetActivityTaskCanceledEventAttributes()
		st.lost(a.GetScheduledEventId(), a.GetStartedEventId(), nil)
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
		st.signaled(e.GetWorkflowExecutionSignaledEventAttributes())
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
		st.cancel(message.CancelRequest{Reason: "canceled through Temporal"})
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
		st.updated(e.GetWorkflowExecutionUpdateAcceptedEventAttributes())
	}
}

func (st *story) scheduled(e *historypb.HistoryEvent) {
	a := e.GetActivityTaskScheduledEventAttributes()
	if a.GetActivityType().GetName() == workflows.GroupName {
		st.grouped(e.GetEventId(), a)
		return
	}
	var in activities.SendInput
	question := a.GetActivityType().GetName() == workflows.ReconcileName
	if question {
		var q activities.ReconcileInput
		if st.dc.FromPayloads(a.GetInput(), &q) != nil {
			return
		}
		in = q.Send
	} else if a.GetActivityType().GetName() != workflows.SendName || st.dc.FromPayloads(a.GetInput(), &in) != nil {
		return
	}
	i, ok := st.place(in.Index)
	if !ok {
		return
	}
	rec := &st.recs[i]
	goesOn := rec.State != message.Delivered && st.batch.AwaitReports > 0
	if rec.State.Taken() && !goesOn || rec.State == message.Rejected {
		return
	}
	// Where a later attempt shows that a message had not ended after all, the
	// event is right and what was concluded before is not.
	rec.Finished = 0
	st.steps[e.GetEventId()] = step{index: i, question: question}
	st.move(i, message.Sending)
	if question {
		rec.Asked++
		return
	}
	if st.started == 0 {
		st.started = st.at
	}
	if h := st.hop(i, in); h != rec.Hop {
		rec.Hop, rec.HopAttempts = h, 0
		rec.Sent, rec.ProviderID = 0, ""
	}
	rec.Attempts, rec.Began, rec.Doubt, rec.Await = in.Attempt, st.at, 0, 0
	rec.HopAttempts++
}

// hop finds the hop that an attempt takes: the message's own one, or the next
// that has the attempt's account and channels.
func (st *story) hop(i int, in activities.SendInput) int {
	way := st.batch.Way(i)
	for h := st.recs[i].Hop; h < len(way); h++ {
		if way[h].Account == in.Account && slices.Equal(way[h].Channels, in.Channels) {
			return h
		}
	}
	return st.recs[i].Hop
}

func (st *story) move(i int, s message.State) {
	st.rev++
	if st.places != nil {
		st.rev = max(st.rev, st.at<<revShift)
	}
	st.recs[i].State, st.recs[i].Rev = s, st.rev
}

func (st *story) note(i int, e message.Event, at int64, code, detail string) {
	rec := &st.recs[i]
	rec.Note(message.Entry{At: at, Hop: rec.Hop, Attempt: rec.Attempts, Event: e, Code: code, Detail: detail})
}

func (st *story) finish(i int, s message.State, code, detail string) {
	rec := &st.recs[i]
	rec.Finished, rec.Doubt, rec.Await = st.at, 0, 0
	rec.Code, rec.Detail = message.Clip(code, message.MaxCode), message.Clip(detail, message.MaxDetail)
	st.move(i, s)
}
