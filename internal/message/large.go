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
	// Namespace and Cluster are where the batch runs: the Temporal namespace and the
	// id of the Temporal cluster. Empty is not known.
	Namespace string `json:"namespace,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	// IndexSeal is how many bytes sealing added to each block of the object that says where
	// the messages lie; 0 means that it is in clear.
	IndexSeal int `json:"indexSeal,omitempty"`
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
	// FirstExpires is the first end of a validity of the messages to be sent; 0 means
	// that there are none.
	FirstExpires int64 `json:"x0,omitempty"`
	// Reasons are those of the rejected ones, without details; a writer of an earlier
	// version left them out.
	Reasons Reasons `json:"rr,omitempty"`
}

// Location is where a message of a large batch lies: its segment, from 1, and its
// position in it, from 0.
type Location struct {
	Segment int
	Pos     int
}

// MessageMeta is what a workflow knows of one message of a large batch. Everything else
// stays in the store.
type MessageMeta struct {
	Index int
	// Due and TTL are final: what Batch.DueAt and Batch.Validity say.
	Due   int64
	TTL   int64
	Route int
	// Code and Detail are why a message is rejected; an empty Code is none.
	Code   string
	Detail string
}

// Meta is what a workflow knows of a message of the batch, which has the index i.
func (b *Batch) Meta(i int, m *Message) MessageMeta {
	l := MessageMeta{Index: i, Due: b.DueAt(m), TTL: b.Validity(m), Route: m.Route}
	if len(m.Problems) > 0 {
		l.Code, l.Detail = m.Problems[0].Code, Clip(m.Problems[0].Place(), MaxDetail)
	}
	return l
}

// FirstRecord is what is known of the message before anything was done for it, in a batch
// that was created at a time and where a reschedule made all messages due at another, both in
// Unix ms; 0 is none did.
func (l *MessageMeta) FirstRecord(created, moved int64) Record {
	rec := Record{Due: l.Due, Rev: created << RevShift}
	if l.Code != "" {
		rec.State, rec.Finished, rec.Code, rec.Detail = Rejected, created, l.Code, l.Detail
	} else if moved > 0 {
		rec.Due = moved
	}
	rec.Next, rec.Expires = rec.Due, rec.Due+l.TTL
	return rec
}

// RevShift makes room for a thousand changes within a millisecond in revs that begin at a
// time in Unix ms, as those of a large batch do.
const RevShift = 10

// MessageMetas are packed as JSON: a thousand that are alike take a few hundred bytes.
type MessageMetas []MessageMeta

type packedMetas struct {
	N      int      `json:"n"`
	Index  column   `json:"i,omitzero"`
	Due    column   `json:"d,omitzero"`
	TTL    column   `json:"t,omitzero"`
	Route  column   `json:"w,omitzero"`
	Code   column   `json:"k,omitzero"`
	Detail column   `json:"e,omitzero"`
	Texts  []string `json:"texts,omitempty"`
}

// MarshalJSON packs the lines.
func (l MessageMetas) MarshalJSON() ([]byte, error) {
	var t stringTable
	n := len(l)
	p := packedMetas{
		N:      n,
		Index:  columnOf(n, func(i int) int64 { return int64(l[i].Index) }),
		Due:    columnOf(n, func(i int) int64 { return l[i].Due }),
		TTL:    columnOf(n, func(i int) int64 { return l[i].TTL }),
		Route:  columnOf(n, func(i int) int64 { return int64(l[i].Route) }),
		Code:   columnOf(n, func(i int) int64 { return t.number(l[i].Code) }),
		Detail: columnOf(n, func(i int) int64 { return t.number(l[i].Detail) }),
	}
	p.Texts = t.list
	return json.Marshal(p)
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (l *MessageMetas) UnmarshalJSON(b []byte) error {
	var p packedMetas
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if p.N < 0 || p.N > MaxIndex {
		return fmt.Errorf("lines are damaged: %d of them", p.N)
	}
	*l = make(MessageMetas, p.N)
	var bad decodeErr
	for i := range *l {
		x := &(*l)[i]
		x.Code, x.Detail = "", ""
		x.Index, x.Due, x.TTL = int(p.Index.next(&bad, i)), p.Due.next(&bad, i), p.TTL.next(&bad, i)
		x.Route = int(p.Route.next(&bad, i))
		x.Code, x.Detail = bad.text(p.Texts, p.Code.next(&bad, i)), bad.text(p.Texts, p.Detail.next(&bad, i))
	}
	return bad.err()
}
