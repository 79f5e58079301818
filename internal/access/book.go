package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"slices"
)

// Person is somebody who may log in.
type Person struct {
	// Name is what the configuration calls the person, and what the audit log says.
	Name string
	Role Role
	// Tenants are those whose batches the person may see; nil is all.
	Tenants []string
}

// May reports whether the person has a right.
func (p Person) May(right Right) bool { return May(p.Role, right) }

// Sees reports whether the person may see a tenant's batches.
func (p Person) Sees(tenant string) bool {
	return p.Tenants == nil || slices.Contains(p.Tenants, tenant)
}

// Entry is a person as the configuration has it.
type Entry struct {
	Person
	// Key is what the person logs in with; empty is with a trusted proxy's header only.
	Key string
}

// Options are who may log in, and how.
type Options struct {
	People []Entry
	// UserHeader is the header in which a proxy says who somebody is, and From the networks
	// that such a proxy is in. Where one of them is empty no header counts.
	UserHeader string
	From       []netip.Prefix
}

// Book knows the people who may log in. It is safe for concurrent use; nil knows nobody.
type Book struct {
	o    Options
	keys [][sha256.Size]byte
}

// New returns a book.
func New(o Options) *Book {
	o.People = slices.Clone(o.People)
	b := &Book{o: o, keys: make([][sha256.Size]byte, len(o.People))}
	for i := range o.People {
		if e := &o.People[i]; e.Key != "" {
			b.keys[i] = sha256.Sum256([]byte(e.Key))
			e.Key = "" // nothing needs it any more
		}
	}
	return b
}

// Login finds the person with a key. It takes the same time whichever key it is, and
// whether there is one or not.
func (b *Book) Login(key string) (Person, bool) {
	if b == nil || key == "" {
		return Person{}, false
	}
	given := sha256.Sum256([]byte(key))
	found := -1
	for i := range b.keys {
		if subtle.ConstantTimeCompare(given[:], b.keys[i][:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Person{}, false
	}
	return b.o.People[found].Person, true
}

// Trusted finds the person whom a trusted proxy names in a request. What other addresses
// say counts as nothing, nor does what a proxy says of where a request came from.
func (b *Book) Trusted(r *http.Request) (Person, bool) {
	if !b.Proxied(r) {
		return Person{}, false
	}
	return b.Named(r.Header.Get(b.o.UserHeader))
}

// Proxied reports whether a trusted proxy says of a request who somebody is, known or not.
// A header that stands twice says nothing: one of them may be the client's own.
func (b *Book) Proxied(r *http.Request) bool {
	if b == nil || b.o.UserHeader == "" || len(r.Header.Values(b.o.UserHeader)) != 1 {
		return false
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	peer := at.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(b.o.From, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// Named finds a person by name, such as one whose session goes on.
func (b *Book) Named(name string) (Person, bool) {
	if b == nil || name == "" {
		return Person{}, false
	}
	for i := range b.o.People {
		if b.o.People[i].Name == name {
			return b.o.People[i].Person, true
		}
	}
	return Person{}, false
}

// Empty reports whether nobody may log in.
func (b *Book) Empty() bool { return b == nil || len(b.o.People) == 0 }

// SessionKey is what the sessions of a person are signed with: it follows from the
// person's key, so that they end with it. It is nil where the person has no key.
func (b *Book) SessionKey(name string) []byte {
	if b == nil || name == "" {
		return nil
	}
	for i := range b.o.People {
		if b.o.People[i].Name == name && b.keys[i] != [sha256.Size]byte{} {
			sum := sha256.Sum256(append([]byte("volley session\n"), b.keys[i][:]...))
			return sum[:]
		}
	}
	return nil
}
