package message

import (
	"encoding/json"
	"slices"
)

// LateReport is what a report made of a message that had ended before, in a batch or a
// segment whose workflow has ended. Times are Unix ms.
type LateReport struct {
	Index int
	// Segment is that of the message; 0 in a small batch.
	Segment int
	// From is the state that the message ended in, State the one that it has now.
	From, State State
	// Hop and Attempt are those that the trail shows.
	Hop, Attempt int
	// At is when it happened by the provider's clock, Kept when the report came.
	At, Kept int64
	// ProviderID is the provider's, as the report has it.
	ProviderID string
	Code       string
	Detail     string
	Rev        int64
}

// LateReports are packed as JSON. They stand in any order, at most one of each message.
type LateReports []LateReport

type packedLateReports struct {
	V        int      `json:"v"`
	N        int      `json:"n"`
	Index    column   `json:"i,omitzero"`
	Segment  column   `json:"g,omitzero"`
	From     column   `json:"f,omitzero"`
	State    column   `json:"s,omitzero"`
	Hop      column   `json:"h,omitzero"`
	Attempt  column   `json:"a,omitzero"`
	At       column   `json:"t,omitzero"`
	Kept     column   `json:"w,omitzero"`
	Rev      column   `json:"r,omitzero"`
	Code     column   `json:"k,omitzero"`
	Detail   column   `json:"e,omitzero"`
	Provider []string `json:"p,omitempty"`
	Texts    []string `json:"texts,omitempty"`
}

// MarshalJSON packs them.
func (l LateReports) MarshalJSON() ([]byte, error) {
	var t stringTable
	n := len(l)
	col := func(value func(x *LateReport) int64) column {
		return columnOf(n, func(i int) int64 { return value(&l[i]) })
	}
	p := packedLateReports{
		V: Version, N: n,
		Index:   col(func(x *LateReport) int64 { return int64(x.Index) }),
		Segment: col(func(x *LateReport) int64 { return int64(x.Segment) }),
		From:    col(func(x *LateReport) int64 { return int64(x.From) }),
		State:   col(func(x *LateReport) int64 { return int64(x.State) }),
		Hop:     col(func(x *LateReport) int64 { return int64(x.Hop) }),
		Attempt: col(func(x *LateReport) int64 { return int64(x.Attempt) }),
		At:      col(func(x *LateReport) int64 { return x.At }),
		Kept:    col(func(x *LateReport) int64 { return x.Kept }),
		Rev:     col(func(x *LateReport) int64 { return x.Rev }),
		Code:    col(func(x *LateReport) int64 { return t.number(x.Code) }),
		Detail:  col(func(x *LateReport) int64 { return t.number(x.Detail) }),
	}
	if slices.ContainsFunc(l, func(x LateReport) bool { return x.ProviderID != "" }) {
		p.Provider = make([]string, n)
		for i := range l {
			p.Provider[i] = l[i].ProviderID
		}
	}
	p.Texts = t.list
	return json.Marshal(p)
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (l *LateReports) UnmarshalJSON(b []byte) error {
	var p packedLateReports
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if p.V != Version || p.N < 0 || p.N > MaxIndex || p.Provider != nil && len(p.Provider) != p.N {
		return errDamaged
	}
	*l = make(LateReports, p.N)
	var bad decodeErr
	for i := range *l {
		x := &(*l)[i]
		x.Index, x.Segment = int(p.Index.next(&bad, i)), int(p.Segment.next(&bad, i))
		from, state := p.From.next(&bad, i), p.State.next(&bad, i)
		if !within(from, int(numStates)) || !within(state, int(numStates)) {
			return errDamaged
		}
		x.From, x.State = State(from), State(state)
		x.Hop, x.Attempt = int(p.Hop.next(&bad, i)), int(p.Attempt.next(&bad, i))
		x.At, x.Kept, x.Rev = p.At.next(&bad, i), p.Kept.next(&bad, i), p.Rev.next(&bad, i)
		x.Code, x.Detail = bad.text(p.Texts, p.Code.next(&bad, i)), bad.text(p.Texts, p.Detail.next(&bad, i))
		if p.Provider != nil {
			x.ProviderID = p.Provider[i]
		}
	}
	return bad.err()
}

// LateReportOf is what a report makes of a message that has ended, with the record that
// it has and its way; it is false where the report changes nothing. now is the time
// in Unix ms.
func LateReportOf(p *Report, index int, rec *Record, way []Hop, now int64) (LateReport, Effect) {
	what, hop := rec.EffectOf(p, way)
	if what != EffectEnd {
		return LateReport{}, what
	}
	l := LateReport{
		Index: index, From: rec.State, State: p.State, Hop: hop, Attempt: rec.Attempts, At: p.At, Kept: now,
		ProviderID: p.ProviderID, Code: p.Code, Detail: p.Detail,
	}
	if l.At <= 0 || l.At > now {
		l.At = now
	}
	return l, what
}

// ApplyTo shows a message as it is since the report came.
func (l *LateReport) ApplyTo(row *Row) {
	row.State, row.FinishedAt, row.Rev = l.State, At(l.Kept), l.Rev
	if row.ProviderID == "" {
		row.ProviderID = l.ProviderID
	}
	if row.SentAt == nil {
		row.SentAt = At(l.At)
	}
	row.Code, row.Detail = "", ""
	if l.State == Undelivered {
		row.Code, row.Detail = l.Code, l.Detail
	}
}

// Entry is the step that the report adds to the message's trail.
func (l *LateReport) Entry() Entry {
	e := Entry{At: l.At, Hop: l.Hop, Attempt: l.Attempt, Event: EventDelivered, Code: l.Code, Detail: l.Detail}
	if l.State == Undelivered {
		e.Event = EventUndelivered
	}
	return e
}

// CountDeltas is how many messages late reports moved from one state to another.
type CountDeltas map[State]map[State]int

// Add counts messages that were moved.
func (m *CountDeltas) Add(from, to State, n int) {
	if *m == nil {
		*m = CountDeltas{}
	}
	if (*m)[from] == nil {
		(*m)[from] = map[State]int{}
	}
	(*m)[from][to] += n
}

// Of applies the moves to counts.
func (m CountDeltas) Of(c Counts) Counts {
	for from, to := range m {
		for state, n := range to {
			c[from] -= n
			c[state] += n
		}
	}
	return c
}
