package contract

import (
	"encoding/json"
	"errors"
	"slices"

	"volley/internal/message"
)

// GroupInput is a group: messages of one segment that one activity sends through
// one account, each its first attempt. That it is scheduled is the intent to send
// all of them.
type GroupInput struct {
	V       int    `json:"v"`
	Dir     string `json:"dir"`
	Segment int    `json:"segment"`
	Account string `json:"account"`
	// Spans are positions in the segment, from the first to before the last, in the
	// order in which they leave.
	Spans [][2]int `json:"spans"`
	// Due is the due time of all, in Unix ms, where it is not the messages' own.
	Due int64 `json:"due,omitempty"`
	// Guard has the group stop where TooManyRefusals.
	Guard bool `json:"guard,omitempty"`
}

// A batch is paused once more than one part in guardParts of at least guardEnds messages
// that were tried ended in the same refusal.
const (
	guardEnds  = 200
	guardParts = 5
)

// TooManyRefusals reports whether so many equal refusals among messages that were tried
// are too many to go on.
func TooManyRefusals(equal, tried int) bool { return tried >= guardEnds && equal*guardParts > tried }

// Positions lists the positions of a group's messages.
func (in *GroupInput) Positions() []int { return positions(in.Spans) }

// GroupResult is what became of a group's messages, in the order of its
// positions. Those that did not leave have KindNotStarted.
type GroupResult struct {
	V        int      `json:"v"`
	Outcomes Outcomes `json:"outcomes"`
}

// GroupProgress is what a group's heartbeats hold. A message from Watermark on has
// certainly not left when this is the last heartbeat that the server has taken.
// Outcomes has a Kind for every message that has an outcome so far; the others
// below Watermark may have left.
type GroupProgress struct {
	V         int      `json:"v"`
	Watermark int      `json:"watermark"`
	Outcomes  Outcomes `json:"outcomes"`
}

// Outcome is what is known of the message k of a group of which this is the last that is
// known. One that has certainly not left has KindNotStarted, one that may have an empty
// Kind.
func (p *GroupProgress) Outcome(k int) SendResult {
	switch {
	case k < len(p.Outcomes) && p.Outcomes[k].Kind != "":
		return p.Outcomes[k]
	case k < p.Watermark:
		return SendResult{}
	}
	return SendResult{Kind: KindNotStarted}
}

// Outcomes are SendResults, packed as JSON: one that is sent takes little more than
// its provider's id. An empty Kind means that there is no outcome.
type Outcomes []SendResult

type packedOutcomes struct {
	N int `json:"n"`
	// Base is the earliest time; At holds what others have more.
	Base int64    `json:"base,omitempty"`
	At   []int64  `json:"at,omitempty"`
	IDs  []string `json:"ids,omitempty"`
	// Other are the outcomes that are not sent.
	Other []packedOutcome `json:"other,omitempty"`
}

type packedOutcome struct {
	I          int    `json:"i"`
	To         int    `json:"to,omitempty"` // for a run of equal ones: before which it ends
	Kind       string `json:"kind,omitempty"`
	Code       string `json:"code,omitempty"`
	Detail     string `json:"detail,omitempty"`
	RetryAfter int64  `json:"retryAfter,omitempty"`
	// Held is why it was held back.
	Held message.Holding `json:"held,omitzero"`
}

// MarshalJSON packs the outcomes.
func (o Outcomes) MarshalJSON() ([]byte, error) {
	p := packedOutcomes{N: len(o)}
	for i := range o {
		if at := o[i].At; at > 0 && (p.Base == 0 || at < p.Base) {
			p.Base = at
		}
	}
	if p.Base > 0 {
		p.At = make([]int64, len(o))
	}
	if slices.ContainsFunc(o, func(r SendResult) bool { return r.ProviderID != "" }) {
		p.IDs = make([]string, len(o))
	}
	var last packedOutcome
	for i := range o {
		r := &o[i]
		if p.At != nil {
			p.At[i] = max(r.At-p.Base, 0)
		}
		if p.IDs != nil {
			p.IDs[i] = r.ProviderID
		}
		x := packedOutcome{Kind: r.Kind, Code: r.Code, Detail: r.Detail, RetryAfter: r.RetryAfter, Held: r.Held}
		switch {
		case r.Kind == KindSent:
		case i > 0 && x == last:
			p.Other[len(p.Other)-1].To = i + 1
		default:
			p.Other = append(p.Other, x)
			p.Other[len(p.Other)-1].I = i
		}
		last = x
	}
	return json.Marshal(p)
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (o *Outcomes) UnmarshalJSON(b []byte) error {
	var p packedOutcomes
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if p.N < 0 || p.N > message.MaxIndex || p.At != nil && len(p.At) != p.N || p.IDs != nil && len(p.IDs) != p.N {
		return errOutcomes
	}
	*o = make(Outcomes, p.N)
	for i := range *o {
		r := &(*o)[i]
		r.V, r.Kind = message.Version, KindSent
		if p.At != nil {
			r.At = p.Base + p.At[i]
		}
		if p.IDs != nil {
			r.ProviderID = p.IDs[i]
		}
	}
	for _, x := range p.Other {
		for i := x.I; i < max(x.To, x.I+1); i++ {
			if i < 0 || i >= p.N {
				return errOutcomes
			}
			r := &(*o)[i]
			r.Kind, r.Code, r.Detail, r.RetryAfter, r.Held = x.Kind, x.Code, x.Detail, x.RetryAfter, x.Held
			if x.Kind == "" {
				*r = SendResult{}
			}
		}
	}
	return nil
}

var errOutcomes = errors.New("packed outcomes are damaged")
