package activities

import (
	"encoding/json"
	"errors"

	"volley/internal/message"
)

// Stored is where a message of a large batch lies in the store. It stands in a
// SendInput instead of the template, the message and the batch's metadata.
type Stored struct {
	Dir     string `json:"dir"`
	Segment int    `json:"segment"`
	Pos     int    `json:"pos"`
}

// OpenInput asks for the manifest of a large batch. The activity proves that the
// worker sees the store that the starter wrote to.
type OpenInput struct {
	V   int    `json:"v"`
	Dir string `json:"dir"`
}

// OpenResult is what a manifest says of the segments. Found false means that the
// store was read and does not have it, or, with a Fault, that what it has makes no
// sense.
type OpenResult struct {
	V        int               `json:"v"`
	Found    bool              `json:"found"`
	Fault    string            `json:"fault,omitempty"`
	Segments []message.Segment `json:"segments,omitempty"`
}

// Source is where a workflow gets messages from: a whole segment, or what the
// segment's own workflow left, according to its ledger.
type Source struct {
	Segment int  `json:"s"`
	Left    bool `json:"l,omitempty"`
}

// LoadInput asks for the messages of a segment, or for those left by several.
type LoadInput struct {
	V       int      `json:"v"`
	Dir     string   `json:"dir"`
	Sources []Source `json:"sources"`
}

// LoadResult is what a workflow needs of messages in the store: hops and policies
// of the batch, without template, metadata and messages, and a line for each
// message. Records has those of messages that were left, in the same order, and is
// nil for a whole segment. Found false means that the store lacks something.
type LoadResult struct {
	V       int             `json:"v"`
	Found   bool            `json:"found"`
	Batch   message.Batch   `json:"batch"`
	Lines   message.Lines   `json:"lines"`
	Records *message.Ledger `json:"records,omitempty"`
}

// KeepInput puts the ledger of a segment's workflow, or of a retry's, into the
// store. Number is the workflow's.
type KeepInput struct {
	V      int            `json:"v"`
	Dir    string         `json:"dir"`
	Number int            `json:"number"`
	Ledger message.Ledger `json:"ledger"`
}

// CloseInput puts the end of a large batch into the store, where it outlives the
// namespace's retention.
type CloseInput struct {
	V      int            `json:"v"`
	Result message.Result `json:"result"`
}

// LocateInput asks where messages lie, and how those of the workflows in Ended
// ended.
type LocateInput struct {
	V       int    `json:"v"`
	Dir     string `json:"dir"`
	Indexes []int  `json:"indexes"`
	// Large is what is known of the batch.
	Large message.Large `json:"large"`
}

// LocateResult answers in the order of the indexes; an index that the batch does
// not have has segment 0. State is there for messages whose workflow has ended, and
// for rejected ones that have none yet.
type LocateResult struct {
	V     int       `json:"v"`
	Found []Located `json:"found"`
}

// Located is one message of a LocateResult.
type Located struct {
	Segment int            `json:"s"`
	Pos     int            `json:"p"`
	State   *message.State `json:"state,omitempty"`
}

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
}

// Positions lists the positions of a group's messages.
func (in *GroupInput) Positions() []int {
	var all []int
	for _, s := range in.Spans {
		for p := s[0]; p < s[1]; p++ {
			all = append(all, p)
		}
	}
	return all
}

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
	for i := range o {
		r := &o[i]
		if r.At > 0 {
			p.At[i] = r.At - p.Base
		}
		if r.ProviderID != "" {
			if p.IDs == nil {
				p.IDs = make([]string, len(o))
			}
			p.IDs[i] = r.ProviderID
		}
		if r.Kind == KindSent {
			continue
		}
		x := packedOutcome{I: i, Kind: r.Kind, Code: r.Code, Detail: r.Detail, RetryAfter: r.RetryAfter}
		if k := len(p.Other) - 1; k >= 0 {
			last := p.Other[k]
			end := max(last.To, last.I+1)
			last.I, last.To = i, 0
			if end == i && last == x {
				p.Other[k].To = i + 1
				continue
			}
		}
		p.Other = append(p.Other, x)
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
			r.Kind, r.Code, r.Detail, r.RetryAfter = x.Kind, x.Code, x.Detail, x.RetryAfter
			if x.Kind == "" {
				*r = SendResult{}
			}
		}
	}
	return nil
}

var errOutcomes = errors.New("packed outcomes are damaged")
