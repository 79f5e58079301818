package starter

import (
	"encoding/json"

	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"

	"volley/activities"
	"volley/internal/message"
)

// completed takes in what an attempt or a question reported.
func (st *story) completed(a *historypb.ActivityTaskCompletedEventAttributes) {
	if group, ok := st.groups[a.GetScheduledEventId()]; ok {
		delete(st.groups, a.GetScheduledEventId())
		st.groupEnded(group, a.GetResult())
		return
	}
	s, ok := st.steps[a.GetScheduledEventId()]
	if !ok {
		return
	}
	delete(st.steps, a.GetScheduledEventId())
	if s.question {
		var res activities.ReconcileResult
		if st.dc.FromPayloads(a.GetResult(), &res) == nil {
			st.told(s.index, res)
		}
		return
	}
	var res activities.SendResult
	if st.dc.FromPayloads(a.GetResult(), &res) != nil {
		st.doubt(s.index, "lost", "the report of the attempt cannot be read")
		return
	}
	st.answered(s.index, res)
}

func (st *story) answered(i int, res activities.SendResult) {
	switch res.Kind {
	case activities.KindSent:
		st.note(i, message.EventSent, res.At, "", "")
		st.sent(i, res.ProviderID, res.At)
	case activities.KindExpired:
		st.recs[i].Attempts = max(st.recs[i].Attempts-1, 0)
		if st.arrived(i) {
			return
		}
		st.note(i, message.EventExpired, st.at, "", "")
		st.finish(i, message.Expired, codeExpired, detailExpired)
	case activities.KindNotStarted:
		st.withdrawn(i)
	case "ambiguous":
		st.doubt(i, res.Code, res.Detail)
	case "throttled", "unavailable":
		st.note(i, message.Event(res.Kind), res.At, res.Code, res.Detail)
		st.again(i, res.Code, res.Detail)
	default:
		st.note(i, message.Event(res.Kind), res.At, res.Code, res.Detail)
		st.nextHop(i, res.Code, res.Detail)
	}
}

// told takes in the answer to a question. Only a clear one ends the doubt.
func (st *story) told(i int, res activities.ReconcileResult) {
	rec := &st.recs[i]
	switch res.Verdict {
	case activities.VerdictFound:
		st.note(i, message.EventFound, res.At, "", "")
		st.sent(i, res.ProviderID, rec.Doubt)
	case activities.VerdictAbsent:
		st.note(i, message.EventAbsent, res.At, "", "")
		rec.Doubt = 0
		st.again(i, rec.Code, rec.Detail)
	}
}

// lost takes in that an activity ended without a report. An attempt that had
// been started may have sent.
func (st *story) lost(scheduled, begun int64, why *failurepb.Failure) {
	if group, ok := st.groups[scheduled]; ok {
		delete(st.groups, scheduled)
		st.groupLost(group, begun != 0, why)
		return
	}
	s, ok := st.steps[scheduled]
	if !ok {
		return
	}
	delete(st.steps, scheduled)
	switch {
	case s.question:
	case begun != 0:
		st.doubt(s.index, "lost", "the worker did not report what became of the attempt")
	default:
		st.withdrawn(s.index)
	}
}

func (st *story) sent(i int, providerID string, at int64) {
	rec := &st.recs[i]
	rec.Taken(providerID, at)
	if rec.Kept != nil {
		st.conclude(i)
		return
	}
	st.finish(i, message.Sent, "", "")
}

func (st *story) doubt(i int, code, detail string) {
	rec := &st.recs[i]
	st.note(i, message.EventAmbiguous, st.at, code, detail)
	rec.Doubt, rec.Asked = st.at, 0
	rec.Code, rec.Detail = message.Clip(code, message.MaxCode), message.Clip(detail, message.MaxDetail)
	if rec.Settles() {
		st.conclude(i)
		return
	}
	st.move(i, message.Sending)
}

// withdrawn takes an attempt back that never began.
func (st *story) withdrawn(i int) {
	rec := &st.recs[i]
	rec.Attempts = max(rec.Attempts-1, 0)
	rec.HopAttempts = max(rec.HopAttempts-1, 0)
	if st.arrived(i) {
		return
	}
	if rec.Stop {
		st.stop(i, stopReason(rec))
		return
	}
	st.move(i, message.Accepted)
}

// again lets a message wait for another attempt, unless its account has had all.
func (st *story) again(i int, code, detail string) {
	rec := &st.recs[i]
	if st.arrived(i) {
		return
	}
	if rec.Stop {
		st.stop(i, stopReason(rec))
		return
	}
	way := st.batch.Way(i)
	if rec.Hop < len(way) {
		if p := st.batch.Policies[way[rec.Hop].Account]; p.Attempts > 0 && rec.HopAttempts >= p.Attempts {
			st.nextHop(i, code, detail)
			return
		}
	}
	rec.Code, rec.Detail = message.Clip(code, message.MaxCode), message.Clip(detail, message.MaxDetail)
	st.move(i, message.Retrying)
}

// nextHop moves a message on after a permanent answer, or fails it.
func (st *story) nextHop(i int, code, detail string) {
	rec := &st.recs[i]
	if st.arrived(i) {
		return
	}
	more := rec.Hop+1 < len(st.batch.Way(i))
	if more && rec.Stop {
		st.stop(i, stopReason(rec))
		return
	}
	if more && st.at < rec.Expires {
		rec.Hop++
		rec.HopAttempts = 0
		st.move(i, message.Retrying)
		return
	}
	st.finish(i, message.Failed, code, detail)
}

// stopReason is why a message was canceled, as long as nothing was said over it.
func stopReason(rec *message.Record) string {
	if rec.Code == codeCanceled {
		return rec.Detail
	}
	return ""
}

// What is said of messages that the end of the workflow cut off.
const (
	codeExpired    = "expired"
	detailExpired  = "its validity ran out before a provider took it"
	codeUnknown    = "unknown"
	detailUnknown  = "temporal ended the workflow while an attempt was not answered for"
	codeCanceled   = "canceled"
	detailCanceled = "temporal ended the workflow before a provider took it"
)

// end closes the story at its latest event: what was under way or in doubt is
// unknown, what waited is expired or canceled, and the counts add up.
func (st *story) end() message.Result {
	// The workflow counted changes that left no event; whoever follows by rev must
	// see the last ones as new.
	st.rev += 3*int64(len(st.recs)) + 4*st.events
	res := message.Result{V: message.Version, Rows: make([]message.Row, len(st.recs)), Trails: make(message.Trails, len(st.recs))}
	counts := st.cut()
	for i := range st.recs {
		rec := &st.recs[i]
		res.Rows[i] = st.batch.RowOf(st.key, i, rec)
		res.Trails[i] = rec.Trail
	}
	res.Status = st.status(counts)
	return res
}

// cut ends every message at the latest event and counts them.
func (st *story) cut() message.Counts {
	st.expire()
	var counts message.Counts
	for i := range st.recs {
		rec := &st.recs[i]
		switch {
		case rec.State.Final():
		case rec.Await > 0:
			st.finish(i, message.Sent, "", "")
		case rec.Kept != nil:
			st.conclude(i)
		case rec.State == message.Sending || rec.Doubt != 0:
			st.finish(i, message.Unknown, codeUnknown, detailUnknown)
		default:
			st.note(i, message.EventCanceled, st.at, "", "")
			st.finish(i, message.Canceled, codeCanceled, detailCanceled)
		}
		counts[rec.State]++
	}
	return counts
}

func (st *story) status(counts message.Counts) message.Status {
	b := &st.batch
	out := message.Status{
		ID: b.ID, Dialect: b.Dialect, Tenant: b.Tenant, Account: accountOf(b),
		State: message.BatchFailed, Dispatch: dispatchOf(b), CreatedAt: b.CreatedAt,
		SendAfter: message.At(st.sendAt), StartedAt: message.At(st.started), FinishedAt: message.At(st.at),
		Total: len(st.recs), Counts: &counts, Metadata: b.Metadata, Rev: st.rev,
	}
	if len(out.Metadata) == 0 {
		out.Metadata = json.RawMessage("{}")
	}
	if b.RedriveOf != "" {
		out.RedriveOf = &b.RedriveOf
	}
	return out
}
