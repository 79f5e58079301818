package starter

import (
	"strconv"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	historypb "go.temporal.io/api/history/v1"

	"volley/internal/message"
	"volley/workflows"
)

// orderName is the signal with which a large batch passes controls on to its
// segments.
const orderName = "order"

// signaled and updated take in what callers asked of the batch. An update stands
// in a history only after the workflow accepted it.
func (st *story) signaled(a *historypb.WorkflowExecutionSignaledEventAttributes) {
	st.asked(a.GetSignalName(), a.GetInput())
}

func (st *story) updated(a *historypb.WorkflowExecutionUpdateAcceptedEventAttributes) {
	in := a.GetAcceptedRequest().GetInput()
	st.asked(in.GetName(), in.GetArgs())
}

func (st *story) asked(name string, args *commonpb.Payloads) {
	switch name {
	case workflows.ControlCancel:
		var q message.CancelRequest
		if len(args.GetPayloads()) == 0 || st.dc.FromPayloads(args, &q) == nil {
			st.cancel(q)
		}
	case orderName:
		var o workflows.Order
		if st.dc.FromPayloads(args, &o) != nil {
			return
		}
		if o.Cancel != nil {
			st.cancel(*o.Cancel)
		}
		if o.Reschedule != nil {
			st.reschedule(*o.Reschedule)
		}
	case workflows.SignalReports:
		var q workflows.Reports
		if st.dc.FromPayloads(args, &q) == nil {
			st.reported(q.Reports)
		}
	case workflows.ControlReschedule:
		var q message.RescheduleRequest
		if st.dc.FromPayloads(args, &q) == nil {
			st.reschedule(q)
		}
	}
}

// cancel ends the messages meant that wait; those under way get no other attempt.
func (st *story) cancel(q message.CancelRequest) {
	st.expire()
	var only map[int]bool
	if q.Messages != nil {
		only = map[int]bool{}
		for _, id := range q.Messages {
			n, err := strconv.Atoi(id)
			if key, i, ok := message.ParseID(id); err != nil && ok && key == st.key {
				n, err = i, nil
			}
			if i, ok := st.place(n); ok && err == nil {
				only[i] = true
			}
		}
	}
	for i := range st.recs {
		rec := &st.recs[i]
		switch {
		case only != nil && !only[i] || rec.State.Final():
		case rec.State.Waiting():
			st.stop(i, q.Reason)
		default:
			rec.Stop, rec.Code, rec.Detail = true, codeCanceled, message.Clip(q.Reason, message.MaxDetail)
		}
	}
}

// stop ends a message that was canceled.
func (st *story) stop(i int, reason string) {
	st.note(i, message.EventCanceled, st.at, "", reason)
	st.finish(i, message.Canceled, codeCanceled, reason)
}

// reschedule moves the messages without an attempt.
func (st *story) reschedule(q message.RescheduleRequest) {
	at, err := time.Parse(time.RFC3339, q.SendAfter)
	if err != nil {
		d, err := time.ParseDuration(q.SendAfter)
		if err != nil || d < 0 {
			return
		}
		at = time.UnixMilli(st.at).Add(d)
	}
	st.expire()
	st.sendAt = max(at.UnixMilli(), st.at)
	for i := range st.recs {
		rec := &st.recs[i]
		if rec.State.Waiting() && rec.Attempts == 0 {
			ttl := rec.Expires - rec.Due
			rec.Due, rec.Expires = st.sendAt, st.sendAt+ttl
			st.move(i, message.Scheduled)
		}
	}
}

// expire ends the waiting messages whose validity has run out by now. The
// workflow does so without an event.
func (st *story) expire() {
	for i := range st.recs {
		rec := &st.recs[i]
		if rec.State.Waiting() && rec.Doubt == 0 && rec.Expires <= st.at {
			st.note(i, message.EventExpired, rec.Expires, "", "")
			st.finish(i, message.Expired, codeExpired, detailExpired)
			rec.Finished = rec.Expires
		}
	}
}
