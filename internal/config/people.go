package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"

	"volley/internal/access"
	"volley/internal/message"
)

// personName is what a person may be called: also as an address of email, by which many
// proxies know people.
var personName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@+-]{0,99}$`)

// headerName is the name of an HTTP header.
var headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// readPeople reads who may log in. seen are the keys of tenants, none of which a person
// may share.
func (c *Config) readPeople(r *reader, top *object, seen map[string]bool) {
	console := top.child("console")
	parsed(console, "user_header", &c.access.UserHeader, parseHeader)
	c.readProxies(r, console)
	console.finish()
	f, ok := top.field("people")
	if !ok {
		if at, ok := console.field("user_header"); ok {
			r.fail(at.node, at.path, "names somebody of people, and there are none")
		}
		return
	}
	names := map[string]bool{}
	for _, f := range r.list(f) {
		o := r.object(f)
		o.require("name", "role")
		var e access.Entry
		parsed(o, "name", &e.Name, func(s string) (string, error) {
			if !personName.MatchString(s) {
				return "", errors.New("must be 1 to 100 letters, digits and _ . @ + - that begin with a letter or digit")
			}
			return s, nil
		})
		if at, ok := o.field("name"); ok && e.Name != "" {
			if names[strings.ToLower(e.Name)] {
				r.fail(at.node, at.path, "two people have the name %q, or names that differ only in case", e.Name)
			}
			names[strings.ToLower(e.Name)] = true
		}
		parsed(o, "role", &e.Role, access.ParseRole)
		e.Tenants = c.readPersonTenants(r, o)
		if c.access.UserHeader == "" {
			o.require("key")
		}
		e.Key = readPersonKey(r, o, seen)
		o.finish()
		c.access.People = append(c.access.People, e)
	}
}

// readPersonTenants reads the tenants that a person may see; nil is all.
func (c *Config) readPersonTenants(r *reader, o *object) []string {
	tenants := o.texts("tenants")
	f, _ := o.field("tenants")
	if tenants != nil && len(tenants) == 0 {
		r.fail(f.node, f.path, "must name at least one tenant; without the key a person sees all")
	}
	for i, name := range tenants {
		if _, ok := c.Tenants[name]; !ok && name != message.DefaultTenant {
			r.fail(f.node, fmt.Sprintf("%s[%d]", f.path, i), "tenant %q is not configured", name)
		}
	}
	return tenants
}

// readPersonKey reads the key of a person; empty is none, or one that is not set here.
func readPersonKey(r *reader, o *object, seen map[string]bool) string {
	f, ok := o.field("key")
	if !ok {
		return ""
	}
	key, ok := r.text(f, true)
	switch {
	case !ok:
	case utf8.RuneCountInString(key) < MinKey:
		r.fail(f.node, f.path, "must have at least %d characters", MinKey)
	case seen[key]:
		r.fail(f.node, f.path, "the same key is given twice")
	}
	if ok {
		seen[key] = true
	}
	return key
}

func parseHeader(s string) (string, error) {
	switch {
	case !headerName.MatchString(s):
		return "", errors.New("must be the name of a header, such as X-Forwarded-User")
	case strings.EqualFold(s, "Authorization"), strings.EqualFold(s, "Cookie"), strings.EqualFold(s, "Host"), strings.EqualFold(s, "X-Forwarded-For"):
		return "", errors.New("is a header that says other things, expected one such as X-Forwarded-User")
	}
	return s, nil
}

// readProxies reads where the proxies are whose header counts.
func (c *Config) readProxies(r *reader, console *object) {
	from := console.texts("from")
	f, there := console.field("from")
	if c.access.UserHeader != "" && len(from) == 0 {
		console.require("from")
		if there {
			r.fail(f.node, f.path, "must name at least one network")
		}
	}
	if there && c.access.UserHeader == "" {
		console.require("user_header")
	}
	for i, s := range from {
		p, err := parseNetwork(s)
		if err != nil {
			r.fail(f.node, fmt.Sprintf("%s[%d]", f.path, i), "%q: %v", s, err)
			continue
		}
		c.access.From = append(c.access.From, p)
	}
}

// parseNetwork reads a network, or one address. All of the Internet is none.
func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if at, aerr := netip.ParseAddr(s); aerr == nil && at.Zone() == "" {
		at = at.Unmap()
		p, err = netip.PrefixFrom(at, at.BitLen()), nil
	}
	switch {
	case err != nil || p.Addr().Is4In6():
		return p, errors.New("must be a network such as 10.0.0.0/8, or an address")
	case p.Bits() == 0:
		return p, errors.New("is everybody: whoever sends the header would be whom it names")
	}
	return p.Masked(), nil
}

// People are those who may log in. It is never nil.
func (c *Config) People() *access.Book { return access.New(c.access) }
