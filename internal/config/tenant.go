package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"volley/internal/message"
	"volley/internal/phone"
)

// Tenant is one caller, with what it may use.
type Tenant struct {
	// Keys are its credentials at the gateway; a tenant without any cannot use it.
	Keys []Key
	// Operator lets its keys hold whole accounts, everything and other tenants' messages.
	Operator bool
	// Dialects it may use; nil is all.
	Dialects []string
	// Accounts it may use; nil is all.
	Accounts []string
	// Rate is the most submits a second; 0 is no limit.
	Rate float64
	// ReadRate is the most reads a second, of which a list with counts is as many as it has
	// batches; 0 is ten times Rate.
	ReadRate float64
	// Priority of its batches that give none, 1 (first) to 5; 0 is the default.
	Priority int
	// MaxPriority is the best priority that a batch may ask for, 1 (any) to 5; 0 is Priority,
	// and any where that is 0 too.
	MaxPriority int
	// DefaultRegion is where phone numbers without a country code are written, as
	// phone.Region returns it; empty is nowhere in particular.
	DefaultRegion string
	// Timezone is the zone of the local times of its people; nil is none.
	Timezone *time.Location
	// MaySetSender allows imkit requests to name a sender.
	MaySetSender bool
	// SendUnsuppressed lets messages leave while nobody can tell who is on the suppression
	// list; else those of a tenant that has one wait.
	SendUnsuppressed bool
	// BirdWorkspaces and SinchProjects are the ids in paths that are its own.
	BirdWorkspaces []string
	SinchProjects  []string
	// CallbackURL is where its events go, signed with CallbackSecret; empty is
	// nowhere, unless a request names an address of its own.
	CallbackURL    string
	CallbackSecret Secret
	// CallbackFormat is one of message's Callback constants; empty follows from a
	// batch's dialect.
	CallbackFormat string
	// CallbackMessages asks for message events also above 1,000 messages.
	CallbackMessages bool
	// CallbackPreviousSecret signs too while the receiver changes to CallbackSecret.
	CallbackPreviousSecret Secret
	// CallbackEvents are the types of events that are told, of callback.Types; nil is
	// all.
	CallbackEvents []string
}

// Key is one credential of a tenant.
type Key struct {
	// Name tells it from the tenant's others in the audit log: its own, or key-1 for the
	// first key of the list.
	Name   string
	Secret Secret
}

// readTenants reads the tenants, and notes their keys in seen.
func (c *Config) readTenants(r *reader, o *object, seen map[string]bool) {
	names := map[string]string{}
	for i, name := range o.names {
		f, ok := o.field(name)
		if !ok {
			f = o.fields[i]
		}
		if err := message.CheckName(name); err != nil {
			r.fail(f.key, f.path, "the name %v", err)
		}
		if other, ok := names[strings.ToLower(name)]; ok {
			r.fail(f.key, f.path, "differs only in case from the tenant %s, and stores on some disks would mix them up", other)
		}
		names[strings.ToLower(name)] = name
		c.Tenants[name] = c.readTenant(r, r.object(f), seen)
	}
}

func (c *Config) readTenant(r *reader, o *object, seen map[string]bool) Tenant {
	var t Tenant
	t.readKeys(r, o, seen)
	t.Dialects = o.texts("dialects")
	f, _ := o.field("dialects")
	for i, d := range t.Dialects {
		if _, err := checkDialect(d); err != nil {
			r.fail(f.node, fmt.Sprintf("%s[%d]", f.path, i), err.Error())
		}
	}
	t.Accounts = c.accountNames(r, o, "accounts")
	parsed(o, "rate", &t.Rate, parseRate)
	parsed(o, "read_rate", &t.ReadRate, parseRate)
	o.integer("priority", &t.Priority, 1, 5)
	o.integer("max_priority", &t.MaxPriority, 1, 5)
	if f, ok := o.field("max_priority"); ok && t.Priority != 0 && t.Priority < t.MaxPriority {
		r.fail(f.node, f.path, "must be at most %d, the priority of batches that give none", t.Priority)
	}
	parsed(o, "default_region", &t.DefaultRegion, phone.Region)
	parsed(o, "timezone", &t.Timezone, parseZone)
	o.boolean("may_set_sender", &t.MaySetSender)
	o.boolean("operator", &t.Operator)
	parsed(o, "suppression_unknown", &t.SendUnsuppressed, parseUnknown)
	bird, sinch := o.child("bird"), o.child("sinch")
	t.BirdWorkspaces, t.SinchProjects = bird.texts("workspaces"), sinch.texts("projects")
	bird.finish()
	sinch.finish()
	if _, ok := o.field("callbacks"); ok {
		cb := o.child("callbacks")
		cb.require("secret")
		cb.address("url", &t.CallbackURL)
		cb.secret("secret", &t.CallbackSecret)
		cb.secret("previous_secret", &t.CallbackPreviousSecret)
		parsed(cb, "format", &t.CallbackFormat, checkFormat)
		cb.boolean("messages", &t.CallbackMessages)
		t.CallbackEvents = callbackEvents(r, cb)
		cb.finish()
	}
	o.finish()
	return t
}

// SendsUnsuppressed reports whether messages of a tenant leave while nobody can tell who is
// on the suppression list.
func (c *Config) SendsUnsuppressed(tenant string) bool { return c.Tenants[tenant].SendUnsuppressed }

func parseUnknown(s string) (send bool, err error) {
	if s != "send" && s != "hold" {
		return false, errors.New("must be hold or send")
	}
	return s == "send", nil
}

func checkFormat(s string) (string, error) {
	switch s {
	case message.CallbackVolley, message.CallbackSinch, message.CallbackBird:
		return s, nil
	}
	return "", errors.New("must be volley, sinch or bird")
}

// MinKey is how many characters a tenant's key should have: a shorter one can be found by
// trying, also from a token that was signed with it.
const MinKey = 16

// WeakTenants are the names of the tenants that have a key shorter than MinKey.
func (c *Config) WeakTenants() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(c.Tenants)) {
		if slices.ContainsFunc(c.Tenants[name].Keys, func(key Key) bool { return utf8.RuneCountInString(key.Secret.Reveal()) < MinKey }) {
			names = append(names, name)
		}
	}
	return names
}

// readKeys reads keys, none of which two tenants may share. One is a text, or has a name.
func (t *Tenant) readKeys(r *reader, o *object, seen map[string]bool) {
	f, ok := o.field("keys")
	if !ok {
		return
	}
	names := map[string]bool{}
	for i, e := range r.list(f) {
		name, key := fmt.Sprintf("key-%d", i+1), e
		if _, ok := scalar(e.node); !ok {
			named := r.object(e)
			named.require("key")
			parsed(named, "name", &name, func(s string) (string, error) { return s, message.CheckName(s) })
			key, ok = named.field("key")
			named.finish()
			if !ok {
				continue
			}
		}
		if names[name] {
			r.fail(e.node, e.path, "two keys have the name %q", name)
		}
		names[name] = true
		s, ok := r.text(key, true)
		if !ok {
			continue
		}
		if at := strings.IndexFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }); at >= 0 {
			r.fail(key.node, key.path, "a key has no blanks, line breaks or control characters: a header could not carry it")
			continue
		}
		if s == name {
			r.fail(key.node, key.path, "is the same as the key's name, which stands in logs")
			continue
		}
		if seen[s] {
			r.fail(key.node, key.path, "the same key is given twice")
			continue
		}
		seen[s] = true
		t.Keys = append(t.Keys, Key{name, NewSecret(s)})
	}
}
