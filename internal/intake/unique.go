package intake

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"volley/internal/dialect"
	"volley/internal/hashset"
	"volley/internal/message"
)

// Unique says which messages of a request count as the same. The zero value only
// counts those with the same recipient and text, for a warning.
type Unique struct {
	// By is "to" or "to+text"; empty refuses none.
	By string
	// Drop leaves later ones out, as asked, in place of a problem.
	Drop bool
}

// ParseUnique reads to or to+text, with =drop or without.
func ParseUnique(s string) (Unique, error) {
	for _, by := range []string{uniqueTo, uniqueText} {
		switch s {
		case by:
			return Unique{By: by}, nil
		case by + "=drop":
			return Unique{By: by, Drop: true}, nil
		}
	}
	return Unique{}, fmt.Errorf("%q: expected to, to+text, to=drop or to+text=drop", s)
}

const (
	uniqueTo   = "to"
	uniqueText = "to+text"
)

// repeats finds messages that repeat an earlier one of their request.
type repeats struct {
	unique Unique
	seen   *hashset.Set
	// hashes are those of the message that is looked at.
	hashes []uint64
	// same is how many repeat recipient and text, where that is all that is counted.
	same int
}

func newRepeats(u Unique) *repeats {
	r := &repeats{unique: u, seen: &hashset.Set{}}
	if u.By != "" {
		r.seen = hashset.Wide() // a message would be lost by an accident
	}
	return r
}

// check takes a message without problems, with its index, the keys of its addresses and
// its path. One that repeats an earlier message gets a problem if the caller asked for
// that, else it is counted.
func (r *repeats) check(i int, m *message.Message, keys []string, d dialect.Dialect) {
	r.hashes = r.hashes[:0]
	detail := "an earlier message has the same recipient"
	if r.unique.By != uniqueTo {
		detail += " and text"
	}
	for _, key := range keys {
		if r.unique.By == uniqueTo {
			r.hashes = append(r.hashes, xxhash.Sum64String(key))
		} else {
			r.hashes = append(r.hashes, sameHash(key, m, d.Name))
		}
	}
	switch {
	case !slices.ContainsFunc(r.hashes, r.seen.Has):
		for _, h := range r.hashes { // one that is left out counts for no later one
			r.seen.Add(h)
		}
	case r.unique.By == "":
		r.same++
	default:
		m.Problems.Add(i, d.Recipient(i), message.CodeDuplicate, m.AtLine()+detail)
		m.Route = -1
	}
}

// warnings says how many messages are the same; noun is what one is called.
func (r *repeats) warnings(noun string, overHTTP bool) (out message.Problems) {
	if r.same == 0 {
		return nil
	}
	have, leaves := noun+"s have", "them"
	if r.same == 1 {
		have, leaves = noun+" has", "it"
	}
	option := "--unique to+text=drop"
	if overHTTP {
		option = "unique=to+text=drop"
	}
	out.Add(message.WholeBatch, "messages", message.CodeDuplicate,
		"%d %s the same recipient and text as an earlier one; %s leaves %s out", r.same, have, option, leaves)
	return out
}

// sameHash is the same for messages to the recipient of a key that say the same, and
// in practice for no others.
func sameHash(key string, m *message.Message, dialect string) uint64 {
	if len(m.Body) > 0 {
		return m.HashFor(key, recipientFields(dialect)...)
	}
	var params uint64 // in any order
	for name, value := range m.Params {
		params += mixed(xxhash.Sum64String(name), xxhash.Sum64String(value))
	}
	return mixed(xxhash.Sum64String(key), params)
}

// recipientFields are the keys of a message's body that say who gets it, in the dialects
// whose bodies do.
func recipientFields(dialect string) []string {
	switch dialect {
	case "bird":
		return []string{"receiver"}
	case "sinch":
		return []string{"recipient"}
	case "bluesky":
		return []string{"convoId"}
	}
	return nil
}

// mixed makes one hash of two. The constants are fractions of the golden ratio and of
// the square root of 2, so that no small number hides the other one.
func mixed(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0x6a09e667f3bcc909)
	return hi ^ lo
}
