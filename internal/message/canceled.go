package message

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Cancellation says that a message of a large batch was canceled by name: it is not
// to be sent where no attempt is under way.
type Cancellation struct {
	Index int
	// At is when it was asked for, in Unix ms.
	At int64
	// Reason is why; an empty one is not told.
	Reason string
}

// before orders by time and then by index. Of two of one message the first counts.
func (c *Cancellation) before(d *Cancellation) int {
	return cmp.Or(cmp.Compare(c.At, d.At), cmp.Compare(c.Index, d.Index), cmp.Compare(c.Reason, d.Reason))
}

// Cancellations are packed as JSON.
type Cancellations []Cancellation

// Union returns all of them in the order of their times, and the earliest of each
// message alone. The result does not depend on how they are split or ordered.
func (c Cancellations) Union(others ...Cancellations) Cancellations {
	all := slices.Concat(append([]Cancellations{c}, others...)...)
	slices.SortFunc(all, func(a, b Cancellation) int { return a.before(&b) })
	seen := make(map[int]struct{}, len(all))
	return slices.DeleteFunc(all, func(x Cancellation) bool {
		_, again := seen[x.Index]
		seen[x.Index] = struct{}{}
		return again
	})
}

type packedCancellations struct {
	V      int      `json:"v"`
	N      int      `json:"n"`
	Index  column   `json:"i,omitzero"`
	At     column   `json:"t,omitzero"`
	Reason column   `json:"e,omitzero"`
	Texts  []string `json:"texts,omitempty"`
}

// MarshalJSON packs them.
func (c Cancellations) MarshalJSON() ([]byte, error) {
	var t stringTable
	n := len(c)
	p := packedCancellations{
		V: Version, N: n,
		Index:  columnOf(n, func(i int) int64 { return int64(c[i].Index) }),
		At:     columnOf(n, func(i int) int64 { return c[i].At }),
		Reason: columnOf(n, func(i int) int64 { return t.number(c[i].Reason) }),
	}
	p.Texts = t.list
	return json.Marshal(p)
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (c *Cancellations) UnmarshalJSON(b []byte) error {
	var p packedCancellations
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if p.V != Version || p.N < 0 || p.N > MaxIndex+1 {
		return errDamaged
	}
	*c = make(Cancellations, p.N)
	var bad decodeErr
	for i := range *c {
		index := p.Index.next(&bad, i)
		if !within(index, MaxIndex+1) {
			return errDamaged
		}
		(*c)[i] = Cancellation{Index: int(index), At: p.At.next(&bad, i), Reason: bad.text(p.Texts, p.Reason.next(&bad, i))}
	}
	return bad.err()
}
