package intake

import (
	"bytes"
	"sort"
)

// hashList is a sorted list of hashes, of which it compares 56 bits, in about five
// bytes for each: with a list and a batch of a million recipients a hash is found by
// accident once in tens of thousands of batches.
type hashList struct {
	// begin is, for each value of the first 16 bits, where its hashes begin, and ends
	// with how many there are in all. It is nil where there are none.
	begin []uint32
	// suffixes is the following 40 bits of each, the highest byte first.
	suffixes []byte
}

const suffixBytes = 5

// hashes are those of a list in the making, in parts that are never copied.
type hashes [][]uint64

// hashesPart is how many hashes a part has.
const hashesPart = 8 << 10

func (h *hashes) add(hash uint64) {
	last := len(*h) - 1
	if last < 0 || len((*h)[last]) == hashesPart {
		*h = append(*h, make([]uint64, 0, hashesPart))
		last++
	}
	(*h)[last] = append((*h)[last], hash)
}

// newHashList makes a list of hashes, each once.
func newHashList(all hashes) (l hashList) {
	if len(all) == 0 {
		return l
	}
	l.begin = make([]uint32, 1<<16+1)
	n := 0
	for _, part := range all {
		n += len(part)
		for _, h := range part {
			l.begin[h>>48+1]++
		}
	}
	for i := 1; i < len(l.begin); i++ {
		l.begin[i] += l.begin[i-1]
	}
	l.suffixes = make([]byte, suffixBytes*n)
	free := append([]uint32(nil), l.begin...)
	for _, part := range all {
		for _, h := range part {
			put(l.slot(int(free[h>>48])), h)
			free[h>>48]++
		}
	}
	l.order()
	return l
}

// order sorts what begins with the same bits, and keeps each hash once.
func (l *hashList) order() {
	kept, from := 0, 0
	for i := range len(l.begin) - 1 {
		behind := int(l.begin[i+1])
		sort.Sort(suffixes(l.suffixes[suffixBytes*from : suffixBytes*behind]))
		l.begin[i] = uint32(kept)
		for first := kept; from < behind; from++ {
			if kept == first || !bytes.Equal(l.slot(kept-1), l.slot(from)) {
				copy(l.slot(kept), l.slot(from))
				kept++
			}
		}
	}
	l.begin[len(l.begin)-1] = uint32(kept)
	l.suffixes = l.suffixes[:suffixBytes*kept]
}

func (l *hashList) slot(i int) []byte { return l.suffixes[suffixBytes*i : suffixBytes*(i+1)] }

func (l *hashList) len() int { return len(l.suffixes) / suffixBytes }

// find returns the place of a hash in the list, from 0.
func (l *hashList) find(h uint64) (int, bool) {
	if l.begin == nil {
		return 0, false
	}
	first, behind := int(l.begin[h>>48]), int(l.begin[h>>48+1])
	var want [suffixBytes]byte
	put(want[:], h)
	for first < behind {
		middle := (first + behind) / 2
		switch order := bytes.Compare(l.slot(middle), want[:]); {
		case order == 0:
			return middle, true
		case order < 0:
			first = middle + 1
		default:
			behind = middle
		}
	}
	return 0, false
}

// put writes the 40 bits behind the first 16.
func put(slot []byte, h uint64) {
	for i := range suffixBytes {
		slot[i] = byte(h >> (40 - 8*i))
	}
}

// suffixes are slots to be sorted.
type suffixes []byte

// Len, Less and Swap are those of sort.Interface.
func (r suffixes) Len() int { return len(r) / suffixBytes }

// Less compares two slots.
func (r suffixes) Less(i, j int) bool {
	return bytes.Compare(r[suffixBytes*i:suffixBytes*(i+1)], r[suffixBytes*j:suffixBytes*(j+1)]) < 0
}

// Swap changes two slots.
func (r suffixes) Swap(i, j int) {
	var held [suffixBytes]byte
	a, b := r[suffixBytes*i:suffixBytes*(i+1)], r[suffixBytes*j:suffixBytes*(j+1)]
	copy(held[:], a)
	copy(a, b)
	copy(b, held[:])
}
