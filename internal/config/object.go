package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// object is a mapping whose keys are asked for one by one; finish reports those
// that nobody asked for.
type object struct {
	r      *reader
	at     ast.Node
	path   string
	fields []field
	names  []string
	known  []string
	// broken means that a problem says already why there are no keys.
	broken bool
}

// field finds a key and marks it as known. An empty value counts as absent.
func (o *object) field(name string) (field, bool) {
	o.known = append(o.known, name)
	i := slices.Index(o.names, name)
	if i < 0 || empty(o.fields[i].node) {
		return field{}, false
	}
	return o.fields[i], true
}

// parsed reads a value of its own form, or keeps what into holds.
func parsed[T any](o *object, name string, into *T, parse func(string) (T, error)) {
	f, ok := o.field(name)
	if !ok {
		return
	}
	s, ok := o.r.text(f, false)
	if !ok {
		return
	}
	v, err := parse(s)
	if err != nil {
		raw, _ := scalar(f.node)
		o.r.fail(f.node, f.path, "%q: %v", source(raw), err)
		return
	}
	*into = v
}

func (o *object) text(name string, into *string) {
	parsed(o, name, into, func(s string) (string, error) { return s, nil })
}

// address reads a URL. A wrong one is not quoted: it may hold a password.
func (o *object) address(name string, into *string) {
	f, ok := o.field(name)
	if !ok {
		return
	}
	s, ok := o.r.text(f, false)
	if !ok {
		return
	}
	if err := checkURL(s); err != nil {
		o.r.fail(f.node, f.path, err.Error())
		return
	}
	*into = s
}

func (o *object) boolean(name string, into *bool) {
	parsed(o, name, into, func(s string) (bool, error) {
		switch s {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, errors.New("must be true or false")
	})
}

func (o *object) integer(name string, into *int, low, high int) {
	parsed(o, name, into, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("must be a whole number from %d to %d", low, high)
		}
		return n, nil
	})
}

func (o *object) duration(name string, into *time.Duration, low, high time.Duration) {
	parsed(o, name, into, func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		if err == nil && (d < low || d > high) {
			err = fmt.Errorf("must be from %s to %s", low, high)
		}
		return d, err
	})
}

func (o *object) secret(name string, into *Secret) {
	if f, ok := o.field(name); ok {
		if s, ok := o.r.text(f, true); ok {
			*into = NewSecret(s)
		}
	}
}

// texts reads a list of values; it is nil only where the key is absent.
func (o *object) texts(name string) []string {
	f, ok := o.field(name)
	if !ok {
		return nil
	}
	out := []string{}
	for _, e := range o.r.list(f) {
		if s, ok := o.r.text(e, false); ok {
			out = append(out, s)
		}
	}
	return out
}

func (o *object) child(name string) *object {
	f, ok := o.field(name)
	if !ok {
		return &object{r: o.r, path: join(o.path, name)}
	}
	return o.r.object(f)
}

// require reports the keys of names that are absent.
func (o *object) require(names ...string) {
	if o.broken {
		return
	}
	for _, n := range names {
		i := slices.Index(o.names, n)
		if i < 0 || empty(o.fields[i].node) {
			o.r.fail(o.at, join(o.path, n), "is required")
		}
	}
}

// finish reports the keys that nobody asked for.
func (o *object) finish() {
	for i, n := range o.names {
		if !slices.Contains(o.known, n) {
			known := slices.Compact(slices.Sorted(slices.Values(o.known)))
			o.r.fail(o.fields[i].key, o.fields[i].path, "unknown key, expected one of %s", strings.Join(known, ", "))
		}
	}
}
