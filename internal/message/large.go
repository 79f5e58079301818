package message

import (
	"encoding/json"
	"fmt"
)

// Bounds of a large batch: one that lies in the store as segments, in the order
// of their due times, each of them the work of one workflow.
const (
	// MaxSegments is how many segments a batch may have.
	MaxSegments = 1000
	// SegmentMessages and SegmentBytes bound one segment; the bytes are those of
	// its messages as JSON.
	SegmentMessages = 1000
	SegmentBytes    = 8 << 20
	// MaxLarge is what one payload of a large batch has at most, in bytes of JSON.
	// Only provider ids of more than a hundred bytes each can make one larger.
	MaxLarge = 240_000
)

// CodeStore is the code of messages that ended failed because the store had lost
// what is known of them, or is not the one that the starter wrote to.
const CodeStore = "store"

// Manifest describes a large batch in the store. It is written last, so that what
// it names is there.
type Manifest struct {
	V int `json:"v"`
	// Batch is all but the messages.
	Batch    Batch     `json:"batch"`
	Total    int       `json:"total"`
	Rejected int       `json:"rejected"`
	Segments []Segment `json:"segments"`
	// InOrder means that the messages lie in the order of their indexes.
	InOrder bool `json:"inOrder,omitempty"`
	// Twins are the TwinHash of messages that stand more than once; AllTwins means
	// that there were too many to name.
	Twins    []uint64 `json:"twins,omitempty"`
	AllTwins bool     `json:"allTwins,omitempty"`
}

// Segment is one segment of a large batch. Times are Unix ms. Rejected messages
// count in Count and Rejected only.
type Segment struct {
	Count    int `json:"n"`
	Rejected int `json:"r,omitempty"`
	// First and Last bound the due times, Expires is the last end of a validity.
	First   int64 `json:"f"`
	Last    int64 `json:"l"`
	Expires int64 `json:"x"`
}

// Spot is where a message of a large batch lies: its segment, from 1, and its
// position in it, from 0.
type Spot struct {
	Segment int
	Pos     int
}

// Line is what a workflow knows of one message of a large batch. Everything else
// stays in the store.
type Line struct {
	Spot
	Index int
	// Due and TTL are final: what Batch.DueAt and Batch.Validity say.
	Due   int64
	TTL   int64
	Route int
	// Code and Detail are why a message is rejected; an empty Code is none.
	Code   string
	Detail string
}

// Lines are packed as JSON: a thousand that are alike take a few hundred bytes.
type Lines []Line

type packedLines struct {
	N       int      `json:"n"`
	Segment column   `json:"s,omitzero"`
	Pos     column   `json:"p,omitzero"`
	Index   column   `json:"i,omitzero"`
	Due     column   `json:"d,omitzero"`
	TTL     column   `json:"t,omitzero"`
	Route   column   `json:"w,omitzero"`
	Code    column   `json:"k,omitzero"`
	Detail  column   `json:"e,omitzero"`
	Texts   []string `json:"texts,omitempty"`
}

// MarshalJSON packs the lines.
func (l Lines) MarshalJSON() ([]byte, error) {
	var t texts
	n := len(l)
	p := packedLines{
		N:       n,
		Segment: columnOf(n, func(i int) int64 { return int64(l[i].Segment) }),
		Pos:     columnOf(n, func(i int) int64 { return int64(l[i].Pos) }),
		Index:   columnOf(n, func(i int) int64 { return int64(l[i].Index) }),
		Due:     columnOf(n, func(i int) int64 { return l[i].Due }),
		TTL:     columnOf(n, func(i int) int64 { return l[i].TTL }),
		Route:   columnOf(n, func(i int) int64 { return int64(l[i].Route) }),
		Code:    columnOf(n, func(i int) int64 { return t.number(l[i].Code) }),
		Detail:  columnOf(n, func(i int) int64 { return t.number(l[i].Detail) }),
	}
	p.Texts = t.list
	return json.Marshal(p)
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (l *Lines) UnmarshalJSON(b []byte) error {
	var p packedLines
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if p.N < 0 || p.N > MaxIndex {
		return fmt.Errorf("lines are damaged: %d of them", p.N)
	}
	*l = make(Lines, p.N)
	var bad damage
	for i := range *l {
		x := &(*l)[i]
		x.Code, x.Detail = "", ""
		x.Segment, x.Pos = int(p.Segment.next(&bad, i)), int(p.Pos.next(&bad, i))
		x.Index, x.Due, x.TTL = int(p.Index.next(&bad, i)), p.Due.next(&bad, i), p.TTL.next(&bad, i)
		x.Route = int(p.Route.next(&bad, i))
		x.Code, x.Detail = bad.text(p.Texts, p.Code.next(&bad, i)), bad.text(p.Texts, p.Detail.next(&bad, i))
	}
	return bad.err()
}
