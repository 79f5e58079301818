package store

import (
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"
)

// maxTwins is how many hashes of twins a manifest names.
const maxTwins = 10_000

// twinShards is in how many parts the set of hashes grows, so that growing never
// needs much more room than the set itself.
const twinShards = 256

// twins finds hashes that come more than once, in about seven bytes for each: it
// compares 48 of their 64 bits. Two hashes that are the same in these by accident,
// once in hundreds of the largest batches, make the second one a twin.
type twins struct {
	shards [twinShards]hashSet
	twice  map[uint64]struct{}
	// all means that there are too many to name; from then on nothing is kept.
	all bool
}

// add takes the hash of a message.
func (t *twins) add(h uint64) {
	if t.all || t.shards[h%twinShards].add(h/twinShards) {
		return
	}
	if t.twice == nil {
		t.twice = map[uint64]struct{}{}
	}
	t.twice[h] = struct{}{}
	if len(t.twice) > maxTwins {
		*t = twins{all: true}
	}
}

// list is the hashes that came more than once, sorted.
func (t *twins) list() []uint64 { return slices.Sorted(maps.Keys(t.twice)) }

// Slots of a hashSet.
const (
	slotBytes = 5
	slotBits  = 8 * slotBytes
)

// hashSet is a set of numbers, of which it looks at the lower slotBits, with open
// addressing. The place of a number is what fraction of the largest it is. A slot
// that is 0 is empty.
type hashSet struct {
	slots []byte
	n     int
}

// add reports whether h is new.
func (s *hashSet) add(h uint64) bool {
	h = max(h&(1<<slotBits-1), 1)
	if room := len(s.slots) / slotBytes; s.n*5 >= room*4 {
		old := s.slots
		s.slots = make([]byte, slotBytes*max(16, room+room/4))
		for at := 0; at < len(old); at += slotBytes {
			if x := slot(old[at:]); x != 0 {
				set(s.slots[s.place(x):], x)
			}
		}
	}
	at := s.place(h)
	if slot(s.slots[at:]) == h {
		return false
	}
	set(s.slots[at:], h)
	s.n++
	return true
}

// place is where h is, or where it goes, in bytes.
func (s *hashSet) place(h uint64) int {
	hi, lo := bits.Mul64(h, uint64(len(s.slots)/slotBytes))
	at := slotBytes * int(hi<<(64-slotBits)|lo>>slotBits)
	for x := slot(s.slots[at:]); x != 0 && x != h; x = slot(s.slots[at:]) {
		if at += slotBytes; at == len(s.slots) {
			at = 0
		}
	}
	return at
}

func slot(b []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(b)) | uint64(b[4])<<32
}

func set(b []byte, h uint64) {
	binary.LittleEndian.PutUint32(b, uint32(h))
	b[4] = byte(h >> 32)
}
