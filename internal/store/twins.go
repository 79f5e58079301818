package store

import (
	"math/bits"
	"slices"
)

// maxTwins is how many hashes of twins a manifest names.
const maxTwins = 10_000

// twinShards is in how many parts the set of hashes grows, so that growing never
// needs much more room than the set itself.
const twinShards = 256

// twins finds hashes that come more than once, in about twelve bytes for each.
type twins struct {
	shards [twinShards]hashSet
	zero   bool
	twice  map[uint64]struct{}
	// all means that there are too many to name; from then on nothing is kept.
	all bool
}

// add takes the hash of a message.
func (t *twins) add(h uint64) {
	if t.all {
		return
	}
	if h == 0 {
		if t.zero {
			t.note(h)
		}
		t.zero = true
		return
	}
	if !t.shards[h%twinShards].add(h) {
		t.note(h)
	}
}

func (t *twins) note(h uint64) {
	if t.twice == nil {
		t.twice = map[uint64]struct{}{}
	}
	t.twice[h] = struct{}{}
	if len(t.twice) > maxTwins {
		*t = twins{all: true}
	}
}

// list is the hashes that came more than once, sorted.
func (t *twins) list() []uint64 {
	var out []uint64
	for h := range t.twice {
		out = append(out, h)
	}
	slices.Sort(out)
	return out
}

// hashSet is a set of numbers other than 0, with open addressing. The place of a
// number is its high bits as a fraction of the table.
type hashSet struct {
	slots []uint64
	n     int
}

// add reports whether h is new.
func (s *hashSet) add(h uint64) bool {
	if s.n*5 >= len(s.slots)*4 {
		old := s.slots
		s.slots = make([]uint64, max(16, len(old)+len(old)/2))
		for _, x := range old {
			if x != 0 {
				s.slots[s.place(x)] = x
			}
		}
	}
	at := s.place(h)
	if s.slots[at] == h {
		return false
	}
	s.slots[at] = h
	s.n++
	return true
}

// place is where h is, or where it goes.
func (s *hashSet) place(h uint64) int {
	hi, _ := bits.Mul64(h, uint64(len(s.slots)))
	at := int(hi)
	for s.slots[at] != 0 && s.slots[at] != h {
		if at++; at == len(s.slots) {
			at = 0
		}
	}
	return at
}
