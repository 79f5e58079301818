package engine

import (
	"volley/internal/message"
	"volley/workflows/contract"
)

// onReports takes in the reports of one signal.
func (r *run) onReports(q contract.Reports) {
	if q.V != message.Version {
		return
	}
	for i := range q.Reports {
		p := q.Reports[i].Bounded()
		r.Count("volley_reports", "outcome", r.onReport(&p), p.Account)
	}
}

// onReport does what a report asks for, and says what became of it.
func (r *run) onReport(p *message.Report) string {
	key, number, ok := message.ParseID(p.ID)
	i, found := r.position(number)
	if !ok || key != r.key || !found {
		return contract.ReportUnknown
	}
	rec := &r.recs[i]
	what, hop := rec.EffectOf(p, r.hops(i))
	switch what {
	case message.EffectForeign:
		return contract.ReportUnknown
	case message.EffectNone:
		return contract.ReportRepeated
	}
	rec.KeepEarly(p, hop)
	if what == message.EffectEarly && (r.inFlight[i] != nil || !rec.ResolvesAmbiguity()) {
		return contract.ReportKept
	}
	r.change(i, message.Transition.Report)
	return contract.ReportApplied
}
