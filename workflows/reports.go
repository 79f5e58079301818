package workflows

import (
	"volley/internal/message"
)

// Reports are what one signal brings: at most message.MaxReports delivery reports
// of messages of one batch, or of one segment.
type Reports struct {
	V       int              `json:"v"`
	Reports []message.Report `json:"reports"`
}

// Outcomes of a report, as they are counted.
const (
	// ReportApplied means that the message ends, or has ended, as the report says, or
	// takes the next hop because of it.
	ReportApplied = "applied"
	// ReportKept means that the report came before it was known what had become of
	// the attempt, or after the batch had ended.
	ReportKept = "kept"
	// ReportRepeated means that the report changed nothing.
	ReportRepeated = "repeated"
	// ReportUnknown means that it is of no message of ours, or of none that went
	// through its account.
	ReportUnknown = "unknown"
)

// heard takes in the reports of one signal.
func (r *run) heard(q Reports) {
	if q.V != message.Version {
		return
	}
	for i := range q.Reports {
		p := q.Reports[i].Bounded()
		r.countReport(p.Account, r.hears(&p))
	}
}

// hears does what a report asks for, and says what became of it.
func (r *run) hears(p *message.Report) string {
	key, i, ok := message.ParseID(p.ID)
	if ok && r.seg != nil {
		i, ok = r.seg.position(i)
	}
	if !ok || key != r.key || i >= len(r.recs) {
		return ReportUnknown
	}
	rec := &r.recs[i]
	what, hop := rec.Hear(p, r.batch.Way(i))
	switch what {
	case message.HeardForeign:
		return ReportUnknown
	case message.HeardNothing:
		return ReportRepeated
	}
	rec.Keep(p, hop)
	if what == message.HeardEarly {
		if r.open[i] == nil && r.proven(i) {
			return ReportApplied
		}
		return ReportKept
	}
	r.conclude(i)
	return ReportApplied
}

// conclude ends a message that a provider has taken by the report that is kept, or,
// where reports were awaited and it was not delivered, moves it to its next hop.
func (r *run) conclude(i int) {
	rec := &r.recs[i]
	awaited := r.awaits(i)
	k := rec.Kept
	rec.Concludes(k, r.now())
	code, detail := k.Ending()
	switch {
	case rec.State.Final():
		rec.Finished = r.now()
		rec.Code, rec.Detail = code, detail
		r.move(i, k.State)
	case k.State == message.Undelivered && awaited && !rec.Stop && r.now() < rec.Expires && rec.Hop+1 < len(r.batch.Way(i)):
		r.unload(i)
		rec.Sent, rec.ProviderID, rec.Doubt, rec.Await = 0, "", 0, 0
		rec.Code, rec.Detail = code, detail
		r.onward(i)
	default:
		r.end(i, k.State, code, detail)
	}
}

// awaits reports whether the report is awaited of what was sent through the
// message's account.
func (r *run) awaits(i int) bool {
	return r.batch.AwaitReports > 0 && !r.batch.Policies[r.account(i)].NoReports
}

// await lets a message that its provider has taken wait for its report. It holds no
// place in the pool, and does not count for its account.
func (r *run) await(i int) {
	rec := &r.recs[i]
	r.unload(i)
	rec.Await = r.now() + r.batch.AwaitReports
	rec.Next, rec.Doubt = rec.Await, 0
	if !rec.Stop { // else they hold why it was canceled
		rec.Code, rec.Detail = "", ""
	}
	r.move(i, message.Sending)
	r.hold(i)
}

// unload takes a message out of what its account has to do, unless it awaits its
// report and is out of it already.
func (r *run) unload(i int) {
	if r.recs[i].Await == 0 {
		r.lane(i).load--
	}
}

// arrived ends a message of which a report that was kept says that it was delivered,
// whatever is known of its last attempt. Otherwise it forgets what was kept, since
// that attempt was not taken.
func (r *run) arrived(i int) bool {
	rec := &r.recs[i]
	if rec.Kept == nil || rec.Kept.State != message.Delivered {
		rec.Kept = nil
		return false
	}
	r.conclude(i)
	return true
}

// proven ends the doubt about a message where a report was kept that shows that
// its provider took it.
func (r *run) proven(i int) bool {
	if !r.recs[i].Settles() {
		return false
	}
	r.conclude(i)
	return true
}

// countReport counts a report by what became of it.
func (r *run) countReport(account, outcome string) {
	if r.heardOf == nil {
		r.heardOf = map[[2]string]meterCounter{}
	}
	at := [2]string{account, outcome}
	c, ok := r.heardOf[at]
	if !ok {
		c = reportCounter(r.root, account, outcome)
		r.heardOf[at] = c
	}
	c.Inc(1)
}
