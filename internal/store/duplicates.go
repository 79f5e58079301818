package store

import (
	"maps"
	"slices"

	"volley/internal/hashset"
)

// maxDuplicates is how many hashes of duplicates a manifest names.
const maxDuplicates = 10_000

// duplicates finds hashes that come more than once. Two that are the same by accident in
// what the set compares, once in hundreds of the largest batches, make the second
// one a duplicate.
type duplicates struct {
	seen  hashset.Set
	twice map[uint64]struct{}
	// all means that there are too many to name; from then on nothing is kept.
	all bool
}

// add takes the hash of a message.
func (t *duplicates) add(h uint64) {
	if !t.all && !t.seen.Add(h) {
		t.name(h)
	}
}

// name takes the hash of a message that is a duplicate.
func (t *duplicates) name(h uint64) {
	if t.twice == nil {
		t.twice = map[uint64]struct{}{}
	}
	t.twice[h] = struct{}{}
	if len(t.twice) > maxDuplicates {
		*t = duplicates{all: true}
	}
}

// list is the hashes that came more than once, sorted.
func (t *duplicates) list() []uint64 { return slices.Sorted(maps.Keys(t.twice)) }
