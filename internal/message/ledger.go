package message

import (
	"encoding/json"
)

// Ledger is what is known of the messages of one segment, by position, as its
// workflow hands it on, keeps it in the store and takes it over again. Records
// hold their trails.
type Ledger struct {
	V       int
	Records []Record
}

type packedLedger struct {
	V int `json:"v"`
	N int `json:"n"`

	State       column        `json:"s,omitzero"`
	Hop         column        `json:"h,omitzero"`
	Attempts    column        `json:"a,omitzero"`
	HopAttempts column        `json:"ha,omitzero"`
	Asked       column        `json:"q,omitzero"`
	Next        column        `json:"nx,omitzero"`
	Due         column        `json:"d,omitzero"`
	Validity    column        `json:"x,omitzero"`
	Began       column        `json:"b,omitzero"`
	Doubt       column        `json:"u,omitzero"`
	Unresolved  column        `json:"y,omitzero"`
	Stop        column        `json:"c,omitzero"`
	Sent        column        `json:"t,omitzero"`
	Finished    column        `json:"f,omitzero"`
	Rev         column        `json:"r,omitzero"`
	Await       column        `json:"w,omitzero"`
	Code        column        `json:"k,omitzero"`
	Detail      column        `json:"e,omitzero"`
	Provider    []string      `json:"p,omitempty"`
	Kept        []packedEarly `json:"o,omitempty"`
	Texts       []string      `json:"texts,omitempty"`
	Trails      Trails        `json:"trails,omitempty"`
}

// packedEarly is a kept report and its message's position.
type packedEarly struct {
	I int `json:"i"`
	*EarlyReport
}

// maxLedger is what a ledger has at most as JSON, in bytes: a payload of Temporal's
// holds 2 MiB.
const maxLedger = 1900 << 10

// MarshalJSON packs the ledger. Details and the middles of trails are left out
// where it would become larger than MaxLarge, and the texts of early reports where
// provider ids alone make it larger than a payload of Temporal's. A thousand
// messages always fit.
func (l Ledger) MarshalJSON() ([]byte, error) {
	b, err := l.pack(TrailsOf(l.Records))
	if err != nil || len(b) <= MaxLarge {
		return b, err
	}
	t := TrailsOf(l.Records)
	b, err = l.pack(nil)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxLarge {
		short := Ledger{V: l.V, Records: append([]Record(nil), l.Records...)}
		for i := range short.Records {
			short.Records[i].Detail = Clip(short.Records[i].Detail, shortDetail)
		}
		l = short
		if b, err = l.pack(nil); err != nil {
			return nil, err
		}
	}
	if len(b) > maxLedger {
		l.dropEarlyTexts()
		return l.pack(nil)
	}
	return l.pack(t.within(max(MaxLarge-len(b), 0)))
}

// dropEarlyTexts leaves of early reports what decides about their messages. The
// records are the ledger's own; their reports may not be.
func (l *Ledger) dropEarlyTexts() {
	for i := range l.Records {
		if k := l.Records[i].Early; k != nil {
			l.Records[i].Early = &EarlyReport{State: k.State, Hop: k.Hop, At: k.At}
		}
	}
}

func (l *Ledger) pack(trails Trails) ([]byte, error) {
	n, r := len(l.Records), l.Records
	var t stringTable
	col := func(value func(r *Record) int64) column {
		return columnOf(n, func(i int) int64 { return value(&r[i]) })
	}
	flag := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	p := packedLedger{
		V: l.V, N: n, Trails: trails,
		State:       col(func(r *Record) int64 { return int64(r.State) }),
		Hop:         col(func(r *Record) int64 { return int64(r.Hop) }),
		Attempts:    col(func(r *Record) int64 { return int64(r.Attempts) }),
		HopAttempts: col(func(r *Record) int64 { return int64(r.HopAttempts) }),
		Asked:       col(func(r *Record) int64 { return int64(r.Asked) }),
		Next:        col(func(r *Record) int64 { return r.Next }),
		Due:         col(func(r *Record) int64 { return r.Due }),
		Validity:    col(func(r *Record) int64 { return r.Expires - r.Due }),
		Began:       col(func(r *Record) int64 { return r.Began }),
		Doubt:       col(func(r *Record) int64 { return r.Doubt }),
		Unresolved:  col(func(r *Record) int64 { return r.Unresolved }),
		Stop:        col(func(r *Record) int64 { return flag(r.Stop) }),
		Sent:        col(func(r *Record) int64 { return r.Sent }),
		Finished:    col(func(r *Record) int64 { return r.Finished }),
		Rev:         col(func(r *Record) int64 { return r.Rev }),
		Await:       col(func(r *Record) int64 { return r.Await }),
		Code:        col(func(r *Record) int64 { return t.number(r.Code) }),
		Detail:      col(func(r *Record) int64 { return t.number(r.Detail) }),
	}
	for i := range r {
		if r[i].ProviderID != "" && p.Provider == nil {
			p.Provider = make([]string, n)
		}
		if p.Provider != nil {
			p.Provider[i] = r[i].ProviderID
		}
		if r[i].Early != nil {
			p.Kept = append(p.Kept, packedEarly{i, r[i].Early})
		}
	}
	p.Texts = t.list
	return json.Marshal(p)
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (l *Ledger) UnmarshalJSON(b []byte) error {
	var p packedLedger
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if p.N < 0 || p.N > MaxIndex || p.Provider != nil && len(p.Provider) != p.N || len(p.Trails) > p.N {
		return errDamaged
	}
	*l = Ledger{V: p.V, Records: make([]Record, p.N)}
	var bad decodeErr
	for i := range l.Records {
		r := &l.Records[i]
		state := p.State.next(&bad, i)
		if !within(state, int(numStates)) {
			return errDamaged
		}
		r.State, r.Hop = State(state), int(p.Hop.next(&bad, i))
		r.Attempts, r.HopAttempts = int(p.Attempts.next(&bad, i)), int(p.HopAttempts.next(&bad, i))
		r.Asked, r.Next = int(p.Asked.next(&bad, i)), p.Next.next(&bad, i)
		r.Due = p.Due.next(&bad, i)
		r.Expires = r.Due + p.Validity.next(&bad, i)
		r.Began, r.Doubt, r.Stop = p.Began.next(&bad, i), p.Doubt.next(&bad, i), p.Stop.next(&bad, i) != 0
		r.Sent, r.Finished, r.Rev = p.Sent.next(&bad, i), p.Finished.next(&bad, i), p.Rev.next(&bad, i)
		r.Await, r.Unresolved = p.Await.next(&bad, i), p.Unresolved.next(&bad, i)
		r.Code, r.Detail = bad.text(p.Texts, p.Code.next(&bad, i)), bad.text(p.Texts, p.Detail.next(&bad, i))
		if p.Provider != nil {
			r.ProviderID = p.Provider[i]
		}
		if i < len(p.Trails) {
			r.Trail = p.Trails[i]
		}
	}
	for _, k := range p.Kept {
		if !within(int64(k.I), p.N) || k.EarlyReport == nil {
			return errDamaged
		}
		l.Records[k.I].Early = k.EarlyReport
	}
	return bad.err()
}
