package message

import (
	"strings"
	"unicode/utf8"
)

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

// Size is about how many bytes a bounded report takes as JSON, and not less.
func (p *Report) Size() int {
	n := 120
	for _, text := range []string{p.ID, p.Account, p.ProviderID, p.Code, p.Detail} {
		n += len(text)
		if !utf8.ValidString(text) {
			n += 5 * len(text)
		}
		for _, c := range []byte(text) {
			switch {
			case c < ' ', strings.IndexByte(`"\<>&`, c) >= 0:
				n += 5
			case c >= 0x80:
				n++
			}
		}
	}
	return n
}

// EarlyReport is a report as a record keeps it until it is known what it is about. Hop is
// the hop that it came from.
type EarlyReport struct {
	State      State  `json:"s"`
	Hop        int    `json:"h,omitempty"`
	At         int64  `json:"t,omitempty"`
	ProviderID string `json:"p,omitempty"`
	Code       string `json:"k,omitempty"`
	Detail     string `json:"e,omitempty"`
}

// Effect tells what a report means for a message.
type Effect uint8

// What a report may mean. A report is of an attempt, and a message may have had
// several of them through several accounts, so that one that a message was not
// delivered is believed only of the attempt that counts; that one was delivered
// ends everything.
const (
	// EffectNone means that the report changes nothing: the message had a report
	// before, or ended otherwise, or the report is of an attempt that does not count.
	EffectNone Effect = iota
	// EffectForeign means that the message never went through the report's account.
	EffectForeign
	// EffectEnd means that the message ends, or has ended, as the report says.
	EffectEnd
	// EffectEarly means that the report came while it is not known what became of
	// the attempt that it may be of. It is to be kept.
	EffectEarly
)

// EffectOf tells what a report means for the message with a record, whose way is given,
// and from which hop it comes. It changes nothing.
func (r *Record) EffectOf(p *Report, way []Hop) (Effect, int) {
	hop := min(r.Hop, len(way)-1)
	for hop >= 0 && way[hop].Account != p.Account {
		hop--
	}
	if hop < 0 || r.Attempts == 0 || p.State != Delivered && p.State != Undelivered {
		return EffectForeign, 0
	}
	arrived := p.State == Delivered
	counts := arrived || hop == r.Hop && (r.ProviderID == "" || p.ProviderID == "" || r.ProviderID == p.ProviderID)
	switch {
	case r.State == Sent, r.State == Unknown, r.Await > 0:
		if counts {
			return EffectEnd, hop
		}
	case r.State.Waiting() && arrived:
		return EffectEnd, hop
	case r.State == Sending && counts && (r.Early == nil || arrived && r.Early.State != Delivered):
		return EffectEarly, hop
	}
	return EffectNone, hop
}

// KeepEarly keeps a report that came too early, from a hop.
func (r *Record) KeepEarly(p *Report, hop int) {
	r.Early = &EarlyReport{State: p.State, Hop: hop, At: p.At, ProviderID: p.ProviderID, Code: p.Code, Detail: p.Detail}
}

// ResolvesAmbiguity reports whether the kept report ends a doubt about the last attempt. Only
// that a message was delivered surely does; that it was not may be said of an
// earlier attempt, where there was one through the same account.
func (r *Record) ResolvesAmbiguity() bool {
	return r.Early != nil && (r.Early.State == Delivered || r.HopAttempts == 1)
}
