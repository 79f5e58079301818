package intake

import (
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"

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

// check takes a message without problems, with its index, recipient key and path. One
// that repeats an earlier message gets a problem if the caller asked for that, else it
// is counted.
func (r *repeats) check(i int, m *message.Message, key string, path func(int) string) {
	hash, detail := uint64(0), "an earlier message has the same recipient"
	if r.unique.By == uniqueTo {
		hash = xxhash.Sum64String(key)
	} else {
		hash, detail = sameHash(key, m), detail+" and text"
	}
	switch {
	case r.seen.Add(hash):
	case r.unique.By == "":
		r.same++
	default:
		m.Problems.Add(i, path(i), message.CodeDuplicate, m.AtLine()+detail)
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
func sameHash(key string, m *message.Message) uint64 {
	if len(m.Body) > 0 {
		return m.HashFor(key)
	}
	var params uint64 // in any order
	for name, value := range m.Params {
		params += mixed(xxhash.Sum64String(name), xxhash.Sum64String(value))
	}
	return mixed(xxhash.Sum64String(key), params)
}

// mixed makes one hash of two. The constants are fractions of the golden ratio and of
// the square root of 2, so that no small number hides the other one.
func mixed(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0x6a09e667f3bcc909)
	return hi ^ lo
}
