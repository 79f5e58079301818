package hashset

import (
	"encoding/binary"
	"math/bits"
)

// shards is in how many parts a Set grows, so that growing never needs much more
// room than the set itself.
const shards = 256

const (
	slot     = 5
	wideSlot = 6
)

// Set is a set of hashes. The zero value is an empty one that compares 48 of their
// 64 bits and needs about seven bytes for each: two hashes are the same in these by
// accident once in hundreds of sets of a million.
type Set struct {
	tables [shards]table
	wide   bool
	n      int
}

// Wide returns an empty set that compares 56 bits and needs about eight bytes for
// each: an accident happens once in a hundred thousand sets of a million.
func Wide() *Set { return &Set{wide: true} }

// Add adds h and reports whether it is new.
func (s *Set) Add(h uint64) bool {
	width := slot
	if s.wide {
		width = wideSlot
	}
	if !s.tables[h%shards].add(h/shards, width) {
		return false
	}
	s.n++
	return true
}

// Has reports whether h was added.
func (s *Set) Has(h uint64) bool {
	width := slot
	if s.wide {
		width = wideSlot
	}
	return s.tables[h%shards].has(h/shards, width)
}

// Len is how many different hashes were added.
func (s *Set) Len() int { return s.n }

// table is a set of numbers, of which it looks at as many of the lower bits as a
// slot has, with open addressing. The place of a number is what fraction of the
// largest it is. A slot that is 0 is empty; the number 0 counts as 1.
type table struct {
	slots []byte
	n     int
}

// add reports whether h is new. width is how many bytes a slot has.
func (t *table) add(h uint64, width int) bool {
	h = max(h&mask(width), 1)
	if t.n*5 >= t.room(width)*4 {
		t.grow(width)
	}
	at, found := t.place(h, width)
	if found {
		return false
	}
	put(t.slots[at:], h, width)
	t.n++
	return true
}

// has reports whether h was added.
func (t *table) has(h uint64, width int) bool {
	if t.n == 0 {
		return false
	}
	_, found := t.place(max(h&mask(width), 1), width)
	return found
}

// room is how many slots there are. Behind the last one there is space, so that
// eight bytes can be read from each.
func (t *table) room(width int) int { return max(len(t.slots)-padding, 0) / width }

const padding = 8

func mask(width int) uint64 { return 1<<(8*width) - 1 }

func (t *table) grow(width int) {
	old, room := t.slots, t.room(width)
	t.slots = make([]byte, width*max(16, room+room/4)+padding)
	for at := 0; at < room*width; at += width {
		if x := binary.LittleEndian.Uint64(old[at:]) & mask(width); x != 0 {
			place, _ := t.place(x, width)
			put(t.slots[place:], x, width)
		}
	}
}

// place is where h is, or where it goes, in bytes.
func (t *table) place(h uint64, width int) (at int, found bool) {
	room := t.room(width)
	hi, lo := bits.Mul64(h, uint64(room))
	at = width * int(hi<<(64-8*width)|lo>>(8*width))
	for {
		switch x := binary.LittleEndian.Uint64(t.slots[at:]) & mask(width); x {
		case h:
			return at, true
		case 0:
			return at, false
		}
		if at += width; at == room*width {
			at = 0
		}
	}
}

func put(b []byte, h uint64, width int) {
	for i := range width {
		b[i] = byte(h >> (8 * i))
	}
}
