package engine

import (
	"volley/internal/message"
	"volley/workflows/contract"
)

// ledgerBytes is how much the records of one answer to the query for the ledger have at
// most, in bytes of JSON. A ledger that is larger loses details.
const ledgerBytes = message.MaxLarge

// ledgerPage answers the query ledger.
func (r *run) ledgerPage(q contract.LedgerQuery) (contract.LedgerPage, error) {
	from := min(max(q.From, 0), len(r.recs))
	to, room := from, ledgerBytes
	for to < len(r.recs) && (to == from || room > 0) {
		room -= r.recs[to].Size()
		to++
	}
	page := contract.LedgerPage{
		V: message.Version, Ledger: message.Ledger{V: message.Version, Records: r.recs[from:to]}, InFlight: r.activities(from, to),
		Rev: r.rev, Started: r.Started, SendAt: r.SendAt,
	}
	if to < len(r.recs) {
		page.Next = to
	}
	return page, nil
}

// activities are those under way that begin with a message from a position to before
// another.
func (r *run) activities(from, to int) []contract.InFlight {
	var all []contract.InFlight
	for i := from; i < to; i++ {
		t := r.inFlight[i]
		if t != nil && t.i == i && t.id != "" {
			all = append(all, contract.InFlight{ID: t.id, Spans: contract.Spans(t.messages), Question: t.question, Group: t.group})
		}
	}
	return all
}
