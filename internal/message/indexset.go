package message

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/bits"
	"slices"
)

// IndexSet is a set of messages of a batch, by index. It takes a bit for each message up
// to the last one that it has, and less as JSON: 125 KB for any choice among a million
// messages, a few hundred bytes for ranges. The zero value is empty. A copy shares what
// it has with the original.
type IndexSet struct {
	words []uint64
	n     int
}

// Add puts in a message. Its index is 0 to MaxIndex.
func (s *IndexSet) Add(index int) {
	if index < 0 || index > MaxIndex || s.Has(index) {
		return
	}
	if need := index/64 + 1; need > len(s.words) {
		s.words = append(s.words, make([]uint64, need-len(s.words))...)
	}
	s.words[index/64] |= 1 << (index % 64)
	s.n++
}

// Has reports whether a message is in the set.
func (s *IndexSet) Has(index int) bool {
	return index >= 0 && index/64 < len(s.words) && s.words[index/64]&(1<<(index%64)) != 0
}

// Len is how many messages are in the set.
func (s *IndexSet) Len() int { return s.n }

// Union puts in all messages of another set.
func (s *IndexSet) Union(t IndexSet) {
	if need := len(t.words); need > len(s.words) {
		s.words = append(s.words, make([]uint64, need-len(s.words))...)
	}
	for i, w := range t.words {
		s.words[i] |= w
	}
	s.count()
}

// Without is a new set of the messages that are in s and not in t.
func (s *IndexSet) Without(t IndexSet) IndexSet {
	out := IndexSet{words: slices.Clone(s.words)}
	for i := range min(len(out.words), len(t.words)) {
		out.words[i] &^= t.words[i]
	}
	out.count()
	return out
}

// Equal reports whether two sets have the same messages.
func (s *IndexSet) Equal(t IndexSet) bool {
	left := s.Without(t)
	return s.n == t.n && left.n == 0
}

func (s *IndexSet) count() {
	s.n = 0
	for _, w := range s.words {
		s.n += bits.OnesCount64(w)
	}
}

type packedIndexSet struct {
	N int `json:"n"`
	// Bits is the set bit by bit, the lowest index first, compressed with DEFLATE.
	Bits []byte `json:"bits,omitempty"`
}

// MarshalJSON packs the set.
func (s IndexSet) MarshalJSON() ([]byte, error) {
	p := packedIndexSet{N: s.n}
	if s.n > 0 {
		var out bytes.Buffer
		w, _ := flate.NewWriter(&out, flate.BestCompression) // fails for other levels
		raw := make([]byte, 0, 8*len(s.words))
		for _, word := range s.words {
			raw = binary.LittleEndian.AppendUint64(raw, word)
		}
		_, _ = w.Write(raw) // a buffer takes everything
		_ = w.Close()
		p.Bits = out.Bytes()
	}
	return json.Marshal(p)
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (s *IndexSet) UnmarshalJSON(b []byte) error {
	var p packedIndexSet
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	const most = (MaxIndex + 1) / 8
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(p.Bits)), most+1))
	if len(p.Bits) > 0 && err != nil || len(raw) > most || len(raw)%8 != 0 {
		return errDamaged
	}
	*s = IndexSet{}
	if len(p.Bits) > 0 {
		s.words = make([]uint64, len(raw)/8)
		for i := range s.words {
			s.words[i] = binary.LittleEndian.Uint64(raw[8*i:])
		}
	}
	if s.count(); s.n != p.N {
		return errDamaged
	}
	return nil
}
