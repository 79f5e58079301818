package message

import "cmp"

// Report is what a provider says of a message after it has taken it: a delivery
// report.
type Report struct {
	// ID is the message's own id, which travels with it to the provider.
	ID string `json:"id"`
	// State is Delivered or Undelivered.
	State State `json:"state"`
	// At is when it happened by the provider's clock, in Unix ms; 0 is not told.
	At int64 `json:"at,omitempty"`
	// Account is the one through which the message went.
	Account string `json:"account"`
	// ProviderID is the provider's id of the message, or empty.
	ProviderID string `json:"providerId,omitempty"`
	Code       string `json:"code,omitempty"`
	Detail     string `json:"detail,omitempty"`
}

// MaxReports is how many reports one signal brings at most.
const MaxReports = 500

// Bounded returns the report with texts of the lengths that records have.
func (p Report) Bounded() Report {
	p.ProviderID = Clip(p.ProviderID, MaxDetail)
	p.Code, p.Detail = CleanCode(p.Code), Clip(p.Detail, MaxDetail)
	return p
}

// Kept is a report as a record keeps it until it is known what it is about. Hop is
// the hop that it came from.
type Kept struct {
	State      State  `json:"s"`
	Hop        int    `json:"h,omitempty"`
	At         int64  `json:"t,omitempty"`
	ProviderID string `json:"p,omitempty"`
	Code       string `json:"k,omitempty"`
	Detail     string `json:"e,omitempty"`
}

// Heard tells what a report means for a message.
type Heard uint8

// What a report may mean. A report is of an attempt, and a message may have had
// several of them through several accounts, so that one that a message was not
// delivered is believed only of the attempt that counts; that one was delivered
// ends everything.
const (
	// HeardNothing means that the report changes nothing: the message had a report
	// before, or ended otherwise, or the report is of an attempt that does not count.
	HeardNothing Heard = iota
	// HeardForeign means that the message never went through the report's account.
	HeardForeign
	// HeardEnd means that the message ends, or has ended, as the report says.
	HeardEnd
	// HeardEarly means that the report came while it is not known what became of
	// the attempt that it may be of. It is to be kept.
	HeardEarly
)

// Hear tells what a report means for the message with a record, whose way is given,
// and from which hop it comes. It changes nothing.
func (r *Record) Hear(p *Report, way []Hop) (Heard, int) {
	hop := min(r.Hop, len(way)-1)
	for hop >= 0 && way[hop].Account != p.Account {
		hop--
	}
	if hop < 0 || r.Attempts == 0 || p.State != Delivered && p.State != Undelivered {
		return HeardForeign, 0
	}
	arrived := p.State == Delivered
	counts := arrived || hop == r.Hop && (r.ProviderID == "" || p.ProviderID == "" || r.ProviderID == p.ProviderID)
	switch {
	case r.State == Sent, r.State == Unknown, r.Await > 0:
		if counts {
			return HeardEnd, hop
		}
	case r.State.Waiting() && arrived:
		return HeardEnd, hop
	case r.State == Sending && counts && (r.Kept == nil || arrived && r.Kept.State != Delivered):
		return HeardEarly, hop
	}
	return HeardNothing, hop
}

// Keep keeps a report that came too early, from a hop.
func (r *Record) Keep(p *Report, hop int) {
	r.Kept = &Kept{State: p.State, Hop: hop, At: p.At, ProviderID: p.ProviderID, Code: p.Code, Detail: p.Detail}
}

// Taken notes that a provider took the message, and the id that it gave it. A kept
// report is dropped that is of another attempt.
func (r *Record) Taken(providerID string, at int64) {
	r.ProviderID, r.Sent = Clip(providerID, MaxDetail), at
	if k := r.Kept; k != nil && k.State != Delivered && k.ProviderID != "" && r.ProviderID != "" && k.ProviderID != r.ProviderID {
		r.Kept = nil
	}
}

// Settles reports whether the kept report ends a doubt about the last attempt. Only
// that a message was delivered surely does; that it was not may be said of an
// earlier attempt, where there was one through the same account.
func (r *Record) Settles() bool {
	return r.Kept != nil && (r.Kept.State == Delivered || r.HopAttempts == 1)
}

// Concludes notes a report in the record of a message, which it shows to have been
// taken by its provider, and gives the record what the end has: all but state,
// finish and rev. now is the time in Unix ms.
func (r *Record) Concludes(k *Kept, now int64) {
	at := k.At
	if at <= 0 || at > now {
		at = now
	}
	e := Entry{At: at, Hop: k.Hop, Attempt: r.Attempts, Event: EventDelivered, Code: k.Code, Detail: k.Detail}
	if k.State == Undelivered {
		e.Event = EventUndelivered
	}
	r.Note(e)
	r.ProviderID = cmp.Or(r.ProviderID, k.ProviderID)
	r.Sent = cmp.Or(r.Sent, r.Began, at)
	r.Kept = nil
}

// Ending is the code and the detail of a message that ends by the report.
func (k *Kept) Ending() (code, detail string) {
	if k.State == Delivered {
		return "", ""
	}
	return k.Code, k.Detail
}
